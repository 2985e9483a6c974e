import { assert, describe, it } from "@effect/vitest"
import { make } from "@keyfob/auki/testing"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { mkdirSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"
import * as Keyfob from "./Keyfob.ts"

const example = fileURLToPath(new URL("../../../docs/sans_io.py", import.meta.url))

/** Auki's services on a free loopback port. */
const services = Effect.gen(function* () {
  const fake = make({ users: { "alice@example.com": "canary-password" }, domains: ["hall"] })
  const server = yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const http = createServer((request, response) => {
        let body = ""
        request.on("data", (chunk) => (body += String(chunk)))
        request.on("end", () => {
          const headers = Object.fromEntries(
            Object.entries(request.headers).map(([name, value]) => [name, String(value)])
          )
          const seen = { method: request.method ?? "", path: request.url ?? "", headers, body }
          const answer = Effect.runSync(fake.handle(seen))
          response.writeHead(answer.status, { "content-type": "application/json", ...answer.headers })
          response.end(JSON.stringify(answer.body))
        })
      }).listen(0, "127.0.0.1", () => resume(Effect.succeed(http)))
    }),
    (http) =>
      Effect.sync(() => {
        http.closeAllConnections()
        http.close()
      })
  )
  const { port } = server.address() as AddressInfo // TCP, so never a string or null
  return { fake, url: `http://127.0.0.1:${port}` }
})

/** The program in Python, for a domain of the services at this address. */
const python = Effect.fnUntraced(function* (url: string) {
  const keyfob = yield* Keyfob.make
  mkdirSync(keyfob.base, { recursive: true, mode: 0o700 })
  yield* keyfob.write(
    "config.toml",
    `[contexts.lab.providers.spaces]\ntype = "auki"\napi_url = "${url}"\ndds_url = "${url}"\nclient_id = "laptop"\nemail = "alice@example.com"\n`
  )
  const args = [example, process.execPath, Keyfob.bundle, "sans-io", "spaces", "--domain", "hall"]
  const env = { PATH: process.env["PATH"] ?? "", KEYFOB_HOME: keyfob.base, KEYFOB_PASSWORD: "canary-password" }
  return yield* Effect.callback<{
    readonly code: unknown
    readonly stderr: string
    readonly stdout: string
  }>((resume) => {
    execFile("python3", args, { env }, (error, stdout, stderr) =>
      resume(Effect.succeed({ code: error?.code ?? 0, stderr, stdout }))
    )
  })
})

describe("sans-io", () => {
  it.live(
    "B.6 a program in Python sends what keyfob hands out, and has a domain's token",
    () =>
      Effect.gen(function* () {
        const { fake, url } = yield* services
        const { code, stderr, stdout } = yield* python(url)
        assert.strictEqual(code, 0, stderr)
        assert.strictEqual(JSON.parse(atob(stdout.trim().split(".")[1] ?? "")).domain_id, "hall")
        assert.deepStrictEqual(
          fake.seen.map(({ path }) => path),
          ["/user/login", "/service/domains-access-token", "/api/v1/domains/hall/auth"]
        )
        assert.isTrue(fake.seen.every(({ headers }) => headers["user-agent"]?.startsWith("Python-urllib")))
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "X-14 it follows no redirect: what a request carries is for its own host",
    () =>
      Effect.gen(function* () {
        const { fake, url } = yield* services
        const elsewhere = yield* services
        fake.next("/service/domains-access-token", { status: 302, headers: { location: `${elsewhere.url}/` } })
        const { stdout } = yield* python(url)
        assert.strictEqual(stdout.trim(), "no token")
        assert.deepStrictEqual(elsewhere.fake.seen, [])
      }).pipe(Effect.scoped),
    60_000
  )
})
