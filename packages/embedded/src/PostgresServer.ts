/** A real PostgreSQL server with an empty database, for as long as a scope lasts. */
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { chownSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { directory, freePort, serve } from "./server.ts"

/** PostgreSQL refuses to run as root: it runs as its package's user then. */
const user = () => {
  if (process.getuid?.() !== 0) return {}
  const id = (flag: string) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }))
  return { uid: id("-u"), gid: id("-g") }
}

const binaries = () => {
  const [newest] = globSync("/usr/lib/postgresql/*/bin").toSorted().reverse()
  if (newest === undefined) throw new Error("there is no /usr/lib/postgresql: install postgresql, as .ci/run does")
  return newest
}

export const password = "canary-postgres-password"

/** `settings` as on its command line: `max_connections=200`. With a certificate and its key, as files, it speaks TLS too. */
export const start = Effect.fnUntraced(function* (
  settings: ReadonlyArray<string> = [],
  tls?: { readonly cert: string; readonly key: string }
) {
  const dir = yield* directory("keyfob-postgres-")
  const port = yield* freePort
  const bin = yield* Effect.sync(binaries)
  const as = yield* Effect.sync(user)
  const data = join(dir, "data")
  yield* Effect.sync(() => {
    const secret = join(dir, "password")
    writeFileSync(secret, password, { mode: 0o600 })
    mkdirSync(data, { mode: 0o700 })
    if (as.uid !== undefined) for (const path of [dir, secret, data]) chownSync(path, as.uid, as.gid)
    const options = ["--username=keyfob", "--auth=scram-sha-256", `--pwfile=${secret}`, "--no-sync", "--locale=C"]
    execFileSync(join(bin, "initdb"), ["-D", data, "--encoding=UTF8", ...options], { ...as, cwd: dir, stdio: "ignore" })
    writeFileSync(join(data, "pg_hba.conf"), "host all all all scram-sha-256\n")
  })
  // Its own copies: it wants to be who owns the key.
  const secured = yield* Effect.sync(() => {
    if (tls === undefined) return []
    const copied = [join(dir, "cert.pem"), join(dir, "key.pem")] as const
    for (const [from, to] of [
      [tls.cert, copied[0]],
      [tls.key, copied[1]]
    ] as const) {
      writeFileSync(to, readFileSync(from), { mode: 0o600 })
      if (as.uid !== undefined) chownSync(to, as.uid, as.gid)
    }
    return ["ssl=on", `ssl_cert_file=${copied[0]}`, `ssl_key_file=${copied[1]}`]
  })
  const own = [...secured, "fsync=off", "listen_addresses=127.0.0.1", `unix_socket_directories=${dir}`, `port=${port}`]
  const child = yield* serve(
    join(bin, "postgres"),
    ["-D", data, ...[...own, ...settings].flatMap((setting) => ["-c", setting])],
    { ...as, cwd: dir, ready: /ready to accept connections/, stop: "SIGINT" }
  )
  return { port, process: child, url: `postgres://keyfob:${password}@127.0.0.1:${port}/postgres` }
})
