import { assert, describe, it } from "@effect/vitest"
import { mayName } from "../../src/protocol/Reach.ts"

const hostOf = (address: string) => new URL(`https://${address.includes(":") ? `[${address}]` : address}`).hostname
const isNamed = (address: string, from = "id.example") => mayName(from, hostOf(address))

/** A block's first and last address, and what is next to it and anybody's. */
const rows: ReadonlyArray<readonly [kind: string, block: string, first: string, last: string, ...next: Array<string>]> =
  [
    ["machine", "0.0.0.0/8", "0.0.0.0", "0.255.255.255", "1.0.0.0"],
    ["machine", "127.0.0.0/8", "127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0"],
    ["machine", "::/128", "::", "::"],
    ["machine", "::1/128", "::1", "::1"],
    ["link", "169.254.0.0/16", "169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0"],
    ["link", "fe80::/10", "fe80::", "febf:ffff::1", "fe7f:ffff::1"],
    ["network", "10.0.0.0/8", "10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"],
    ["network", "172.16.0.0/12", "172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0"],
    ["network", "192.168.0.0/16", "192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0"],
    ["network", "100.64.0.0/10", "100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0"],
    ["network", "192.0.0.0/24", "192.0.0.0", "192.0.0.255", "191.255.255.255", "192.0.1.0"],
    ["network", "198.18.0.0/15", "198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0"],
    ["network", "64:ff9b:1::/48", "64:ff9b:1::", "64:ff9b:1:ffff::1", "64:ff9b:2::"],
    ["network", "5f00::/16", "5f00::", "5f00:ffff::1", "5eff:ffff::1", "5f01::"],
    ["network", "fc00::/7", "fc00::", "fdff:ffff::1", "fbff:ffff::1", "fe00::"],
    ["network", "fec0::/10", "fec0::", "feff:ffff::1"],
    ["nobody", "192.0.2.0/24", "192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0"],
    ["nobody", "198.51.100.0/24", "198.51.100.0", "198.51.100.255", "198.51.99.255", "198.51.101.0"],
    ["nobody", "203.0.113.0/24", "203.0.113.0", "203.0.113.255", "203.0.112.255", "203.0.114.0"],
    ["nobody", "224.0.0.0/4", "224.0.0.0", "239.255.255.255", "223.255.255.255"],
    ["nobody", "240.0.0.0/4", "240.0.0.0", "255.255.255.255"],
    ["nobody", "100::/64", "100::", "100::ffff:ffff:ffff:ffff", "ff:ffff::1"],
    ["nobody", "100:0:0:1::/64", "100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", "100:0:0:2::"],
    ["nobody", "2001::/23", "2001::", "2001:1ff:ffff::1", "2000:ffff::1", "2001:200::"],
    ["nobody", "2001:db8::/32", "2001:db8::", "2001:db8:ffff::1", "2001:db7:ffff::1", "2001:db9::"],
    ["nobody", "3fff::/20", "3fff::", "3fff:fff:ffff::1", "3ffe:ffff::1", "3fff:1000::"],
    ["nobody", "ff00::/8", "ff00::", "ffff:ffff::1"]
  ]

/** The ways to write an address of version 4 as one of version 6. */
const carried = {
  compatible: (address: string) => `::${address}`,
  mapped: (address: string) => `::ffff:${address}`,
  translated: (address: string) => `::ffff:0:${address}`,
  NAT64: (address: string) => `64:ff9b::${address}`,
  "6to4": (address: string) => {
    const [a = 0, b = 0, c = 0, d = 0] = address.split(".").map(Number)
    return `2002:${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}:1::1`
  }
}

describe("attack: metadata names an address that is not reached from everywhere", () => {
  const known = { link: "169.254.1.1", network: "[fd00::1]", nobody: "192.0.2.1" }

  for (const [kind, block, first, last, ...next] of rows) {
    it(`X-17 ${block}, of the ${kind}`, () => {
      for (const address of [first, last]) {
        assert.isFalse(isNamed(address), address)
        assert.isFalse(isNamed(address, "93.184.216.34"), address)
        for (const [own, from] of Object.entries(known))
          assert.strictEqual(isNamed(address, from), own === kind, address)
        assert.isTrue(isNamed(address, "127.0.0.1"), address)
      }
      for (const address of next) assert.isTrue(isNamed(address), address)
    })
  }

  for (const [way, write] of Object.entries(carried)) {
    it(`X-17 one of version 4, ${way} in one of version 6`, () => {
      for (const [, block, first, last, ...next] of rows) {
        if (block.includes(":")) continue
        for (const address of [first, last]) assert.isFalse(isNamed(write(address)), write(address))
        for (const address of next) assert.isTrue(isNamed(write(address)), write(address))
      }
    })
  }

  it("X-17 a name shows nothing, but for this machine's own", () => {
    for (const name of ["localhost", "localhost.", "a.localhost"]) assert.isFalse(isNamed(name), name)
    for (const name of ["10.example", "127.0.0.1.example", "notlocalhost", "dead.example"])
      assert.isTrue(isNamed(name), name)
  })
})
