/** A real Secret Service of the test's own: a bus and a GNOME keyring, in a temporary home, unlocked. */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { chmodSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"

const started = (program: string, args: ReadonlyArray<string>, env: NodeJS.ProcessEnv) =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(program, args, { env, stdio: ["pipe", "pipe", "ignore"] })),
    (child) =>
      Effect.promise(async () => {
        if (child.exitCode !== null || child.signalCode !== null) return
        const ended = once(child, "exit")
        child.kill("SIGKILL")
        await ended
      })
  )

const firstLine = (child: ChildProcess) =>
  Effect.promise(async () => {
    if (child.stdout === null) throw new Error("no stdout")
    const [line] = await once(createInterface(child.stdout), "line")
    return String(line)
  })

export const make = Effect.gen(function* () {
  const home = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "keyfob-secrets-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  chmodSync(home, 0o700)
  const env = { PATH: process.env["PATH"], HOME: home, XDG_RUNTIME_DIR: home, XDG_DATA_HOME: join(home, "data") }
  const bus = yield* started("dbus-daemon", ["--session", "--nofork", "--print-address=1"], env)
  const address = yield* firstLine(bus)
  const inside = { ...env, DBUS_SESSION_BUS_ADDRESS: address }
  const call = (destination: string, path: string, ...words: ReadonlyArray<string>) =>
    execFileSync("dbus-send", ["--session", "--print-reply", `--dest=${destination}`, path, ...words], {
      env: inside,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"]
    })
  const isThere = Effect.sync(() =>
    call(
      "org.freedesktop.DBus",
      "/org/freedesktop/DBus",
      "org.freedesktop.DBus.NameHasOwner",
      "string:org.freedesktop.secrets"
    ).includes("true")
  )
  const until = (wanted: boolean) =>
    Effect.repeat(isThere, {
      until: (there) => (there === wanted ? true : Effect.as(Effect.sleep("20 millis"), false))
    })
  const scope = yield* Effect.scope
  const start = Effect.gen(function* () {
    const args = ["--foreground", "--unlock", "--components=secrets"]
    const child = yield* Scope.provide(started("gnome-keyring-daemon", args, inside), scope)
    child.stdin?.end("password")
    yield* until(true)
    return child
  })
  let daemon = yield* start

  return {
    /** For `DBUS_SESSION_BUS_ADDRESS`. */
    address,
    /** What the processes of a person with this keyring have in their environment. */
    env: inside,
    /** Nobody is there to answer its prompt. */
    lock: Effect.sync(() => {
      const login = "/org/freedesktop/secrets/collection/login"
      call(
        "org.freedesktop.secrets",
        "/org/freedesktop/secrets",
        "org.freedesktop.Secret.Service.Lock",
        `array:objpath:${login}`
      )
    }),
    /** Another daemon over the same keyring, which is told the password. */
    unlock: Effect.gen(function* () {
      daemon.kill("SIGKILL")
      yield* until(false)
      daemon = yield* start
    }),
    /** It owns its name on the bus, and answers nobody. */
    hang: Effect.sync(() => daemon.kill("SIGSTOP")),
    wake: Effect.sync(() => daemon.kill("SIGCONT"))
  }
})
