/** A real `redis-server`, for as long as a scope lasts. */
import { Effect } from "effect"
import { directory, freePort, serve } from "./server.ts"

/** `args` come after its own: `--maxmemory 2mb`, …. With a certificate and its key, as files, it speaks TLS alone. */
export const start = Effect.fnUntraced(function* (
  args: ReadonlyArray<string> = [],
  tls?: { readonly cert: string; readonly key: string }
) {
  const dir = yield* directory("keyfob-redis-")
  const port = yield* freePort
  const secured =
    tls === undefined
      ? ["--port", String(port)]
      : // oxfmt-ignore
        ["--port", "0", "--tls-port", String(port), "--tls-cert-file", tls.cert, "--tls-key-file", tls.key, "--tls-auth-clients", "no"]
  const own = [...secured, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--protected-mode", "no"]
  const child = yield* serve("redis-server", [...own, ...args], { ready: /Ready to accept/, stop: "SIGKILL" })
  return { port, process: child, url: `${tls === undefined ? "redis" : "rediss"}://127.0.0.1:${port}` }
})
