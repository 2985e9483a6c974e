import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { hostname, tmpdir, userInfo } from "node:os"
import { join } from "node:path"
import * as Browser from "../src/Browser.ts"

const url = "https://id.example/authorize?client_id=app&scope=a%20b&x='q'&%s=1"

const desktop: Browser.Machine = {
  platform: "linux",
  isWsl: false,
  isContainer: false,
  isRemote: false,
  hasDisplay: true,
  systemRoot: "C:\\Windows",
  named: []
}

/** The program PowerShell was given, as it will read it. */
const decoded = (encoded = "") => Buffer.from(encoded, "base64").toString("utf16le")

describe("Browser: whether one is at hand", () => {
  for (const [where, machine, atHand] of [
    ["a Linux desktop", {}, true],
    ["Linux without a display", { hasDisplay: false }, false],
    ["macOS", { platform: "darwin", hasDisplay: false }, true],
    ["Windows", { platform: "win32", hasDisplay: false }, true],
    ["WSL", { isWsl: true, hasDisplay: false }, true],
    ["a container", { isContainer: true }, false],
    ["SSH", { isRemote: true }, false],
    ["SSH to macOS", { platform: "darwin", isRemote: true }, false],
    ["SSH where somebody named one", { isRemote: true, hasDisplay: false, named: ["code --open-url"] }, true]
  ] as ReadonlyArray<readonly [string, Partial<Browser.Machine>, boolean]>) {
    it(`${where}: ${atHand ? "yes" : "no"}`, () =>
      assert.strictEqual(Browser.isAtHand({ ...desktop, ...machine }), atHand))
  }

  it.effect("a command that is given is one", () =>
    Effect.gen(function* () {
      assert.isTrue(yield* Browser.make({ command: "firefox" }).isAtHand)
      assert.isTrue(yield* Browser.make().isAtHand)
    }).pipe(
      Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ BROWSER: "firefox", SSH_TTY: "/dev/pts/1" })))
    )
  )
})

describe("Browser: what opens a page", () => {
  it("Linux and macOS: one program, the address one argument", () => {
    assert.deepStrictEqual(Browser.openers(desktop, url), [["xdg-open", url]])
    assert.deepStrictEqual(Browser.openers({ ...desktop, platform: "darwin" }, url), [["open", url]])
  })

  it("Windows: no shell that would read & or %", () => {
    const [first, second] = Browser.openers({ ...desktop, platform: "win32" }, url)
    assert.deepStrictEqual(first, ["C:\\Windows\\System32\\rundll32.exe", "url.dll,FileProtocolHandler", url])
    assert.match(second?.[0] ?? "", /powershell\.exe$/)
    assert.strictEqual(decoded(second?.at(-1)), `Start-Process '${url.replaceAll("'", "''")}'`)
  })

  it("WSL: wslview, then PowerShell, then xdg-open; & and = are whole", () => {
    const commands = Browser.openers({ ...desktop, isWsl: true }, url)
    assert.deepStrictEqual(
      commands.map(([program]) => program),
      ["wslview", "powershell.exe", "xdg-open"]
    )
    assert.deepStrictEqual(commands[0], ["wslview", url])
    assert.strictEqual(decoded(commands[1]?.at(-1)), `Start-Process '${url.replaceAll("'", "''")}'`)
  })

  it("BROWSER before all: in its order, words in quotes, the address where %s is or at the end", () => {
    const named = ["firefox --new-window %s", '"/Applications/My Browser/run" -x', "a'b c'd=%s"]
    assert.deepStrictEqual(Browser.openers({ ...desktop, named }, url), [
      ["firefox", "--new-window", url],
      ["/Applications/My Browser/run", "-x", url],
      ["ab cd=%s", url],
      ["xdg-open", url]
    ])
  })
})

// On a test's clock: however slow a program is, it does not count as one that hangs.
describe("Browser: opening", () => {
  /** A folder for programs, which goes away with the test. */
  const folder = Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "keyfob-browser-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  const program = (path: string, name: string, script: string) => {
    const file = join(path, name)
    writeFileSync(file, `#!/bin/sh\n${script}\n`)
    chmodSync(file, 0o700)
    return file
  }
  const named = (...commands: ReadonlyArray<string>) =>
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ BROWSER: commands.join(":") })))

  it.effect("hands the address over as it is, and none of our secrets", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const file = program(path, "browser", `printf '%s|%s' "$1" "$KEYFOB_CLIENT_SECRET" > '${path}/seen'`)
      process.env["KEYFOB_CLIENT_SECRET"] = "canary"
      yield* Effect.addFinalizer(() => Effect.sync(() => delete process.env["KEYFOB_CLIENT_SECRET"]))
      assert.isTrue(yield* Browser.make({ command: file }).open(url))
      assert.strictEqual(readFileSync(`${path}/seen`, "utf8"), `${url}|`)
    }).pipe(Effect.scoped)
  )

  it.effect("no shell reads a command or an address", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const hostile = `https://id.example/?$(touch ${path}/pwned);touch%20${path}/pwned|x`
      const file = program(path, "browser", "exit 0")
      assert.isTrue(yield* Browser.make({ command: `${file} ; touch ${path}/pwned` }).open(hostile))
      assert.isFalse(existsSync(`${path}/pwned`))
    }).pipe(Effect.scoped)
  )

  it.effect("what is missing or fails leaves it to the next; false where nothing works", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const fails = program(path, "fails", "exit 3")
      const works = program(path, "works", `: > '${path}/seen'`)
      assert.isTrue(
        yield* Browser.make()
          .open(url)
          .pipe(named(`${path}/missing`, fails, works))
      )
      assert.isTrue(existsSync(`${path}/seen`))
      assert.isFalse(yield* Browser.make({ command: `${path}/missing` }).open(url))
      assert.isFalse(yield* Browser.make({ command: fails }).open(url))
    }).pipe(Effect.scoped)
  )

  it.effect("a program that hangs is not waited for", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const file = program(path, "hangs", `echo $$ > '${path}/new' && mv '${path}/new' '${path}/pid'; exec sleep 60`)
      yield* Effect.addFinalizer(() => Effect.sync(() => process.kill(Number(readFileSync(`${path}/pid`, "utf8")))))
      const opening = yield* Effect.forkChild(Browser.make({ command: file }).open(url))
      yield* Effect.promise(async () => {
        while (!existsSync(`${path}/pid`)) await new Promise((done) => setTimeout(done, 10))
      })
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(opening.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.isTrue(yield* Fiber.join(opening))
    }).pipe(Effect.scoped)
  )
})

describe("Browser: the way back over SSH", () => {
  const tunnel = (SSH_CONNECTION: string) =>
    Browser.make()
      .tunnel(40459)
      .pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ SSH_CONNECTION }))))
  const user = userInfo().username

  it.effect("is the exact line for the port", () =>
    Effect.gen(function* () {
      const line = yield* tunnel("203.0.113.7 51515 198.51.100.4 22")
      assert.strictEqual(line, `ssh -N -L 40459:127.0.0.1:40459 ${user}@198.51.100.4`)
      const other = yield* tunnel("203.0.113.7 51515 198.51.100.4 2222")
      assert.strictEqual(other, `ssh -N -L 40459:127.0.0.1:40459 -p 2222 ${user}@198.51.100.4`)
      assert.strictEqual(yield* tunnel(""), `ssh -N -L 40459:127.0.0.1:40459 ${user}@${hostname()}`)
    })
  )
})
