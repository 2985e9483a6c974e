/**
 * From where a host can be reached, as far as its text shows. A name other than this machine's shows nothing: it is looked
 * up by who sends the request.
 */

/** Whether requests to it stay on this machine for certain, so that they need no TLS (RFC 8252 section 8.3). */
export const isLoopback = (hostname: string): boolean => /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname)

/**
 * Whether a provider that is known by one host may have an endpoint at the other: whoever is asked in public has no business
 * naming this machine, its link or its network, where requests are answered that come from within (server-side request
 * forgery), or one where no provider is. What is itself known by such an address may name others of its kind, and this
 * machine whatever it likes.
 */
export const mayName = (hostname: string, other: string): boolean => {
  const reach = reachOf(other)
  return reach === undefined || isLoopback(hostname) || (reach !== "machine" && reach === reachOf(hostname))
}

const reaches = ["machine", "link", "network", "nobody"] as const
type Reach = (typeof reaches)[number]

/**
 * What is not reached from everywhere alike, by who is: the special-purpose registries of IANA (RFC 6890), and multicast.
 * Their few exceptions, anycast services within a block, are no exceptions here: none is a provider.
 */
const blocks = {
  machine: [
    "0.0.0.0/8", // this host: RFC 1122 section 3.2.1.3; as ::/96 has it, :: and ::1 (RFC 4291 sections 2.5.2 and 2.5.3)
    "127.0.0.0/8" // loopback: RFC 1122 section 3.2.1.3
  ],
  link: [
    "169.254.0.0/16", // RFC 3927: where clouds tell a machine its secrets
    "fe80::/10" // RFC 4291 section 2.5.6
  ],
  network: [
    "10.0.0.0/8", // private use: RFC 1918
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10", // a carrier's: RFC 6598
    "192.0.0.0/24", // protocol assignments: RFC 6890 section 2.1; a cloud's secrets too
    "198.18.0.0/15", // benchmarks: RFC 2544
    "64:ff9b:1::/48", // translation within a network: RFC 8215
    "5f00::/16", // segment routing: RFC 9602
    "fc00::/7", // unique local: RFC 4193
    "fec0::/10" // site local: RFC 3879
  ],
  nobody: [
    "192.0.2.0/24", // documentation: RFC 5737
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4", // multicast: RFC 5771
    "240.0.0.0/4", // reserved, and broadcast: RFC 1112 section 4, RFC 919 section 7
    "100::/64", // discarded: RFC 6666
    "100:0:0:1::/64", // a dummy: RFC 9780
    "2001::/23", // protocol assignments, Teredo among them: RFC 2928, RFC 4380
    "2001:db8::/32", // documentation: RFC 3849
    "3fff::/20", // documentation: RFC 9637
    "ff00::/8" // multicast: RFC 4291 section 2.7
  ]
} as const satisfies Record<Reach, ReadonlyArray<string>>

/** Behind these there is an address of version 4, which counts as well. A mapped one is how all are compared here. */
const carriers = [
  "::/96", // compatible: RFC 4291 section 2.5.5.1
  "::ffff:0:0:0/96", // translated: RFC 2765 section 2.1
  "64:ff9b::/96", // NAT64: RFC 6052 section 2.1
  "2002::/16" // 6to4: RFC 3056 section 2
]

const reachOf = (hostname: string): Reach | undefined => {
  if (/^(.*\.)?localhost\.?$/.test(hostname)) return "machine" // RFC 6761 section 6.3
  const bits = bitsOf(hostname.replace(/^\[|\]$/g, ""))
  if (bits === undefined) return undefined
  const carrier = carriers.map(prefixOf).find((prefix) => bits.startsWith(prefix))
  const carried = carrier === undefined ? bits : mapped + bits.slice(carrier.length, carrier.length + 32)
  const isWithin = (block: string) => [bits, carried].some((each) => each.startsWith(prefixOf(block)))
  return reaches.find((reach) => blocks[reach].some(isWithin))
}

const prefixOf = (block: string) => {
  const [address = "", size] = block.split("/")
  const bits = bitsOf(address) ?? ""
  return bits.slice(0, Number(size) + (address.includes(":") ? 0 : mapped.length))
}

/** The 128 bits of an address as the platform's URL parser spells it, whatever it was written as; a name has none. */
const bitsOf = (address: string): string | undefined => {
  if (/^\d+(\.\d+){3}$/.test(address)) return mapped + binary(address.split("."), 10, 8)
  if (!address.includes(":")) return undefined
  const [before = [], after = []] = address.split("::").map((half) => half.split(":").filter((group) => group !== ""))
  const left = Array.from({ length: 8 - before.length - after.length }, () => "0")
  return binary([...before, ...left, ...after], 16, 16)
}

const binary = (numbers: ReadonlyArray<string>, radix: number, width: number) =>
  numbers.map((number) => parseInt(number, radix).toString(2).padStart(width, "0")).join("")

/** RFC 4291 section 2.5.5.2 */
const mapped = "0".repeat(80) + "1".repeat(16)
