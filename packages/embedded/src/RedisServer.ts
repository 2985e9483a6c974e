/** A real `redis-server`, for as long as a scope lasts. */
import { Effect } from "effect"
import { directory, freePort, serve } from "./server.ts"

/** `args` come after its own: `--maxmemory 2mb`, `--tls-port 0`, … */
export const start = Effect.fnUntraced(function* (args: ReadonlyArray<string> = [], host = "127.0.0.1") {
  const dir = yield* directory("keyfob-redis-")
  const port = yield* freePort
  const own = ["--port", String(port), "--bind", host, "--dir", dir, "--save", "", "--protected-mode", "no"]
  const child = yield* serve("redis-server", [...own, ...args], { ready: /Ready to accept/, stop: "SIGKILL" })
  return { port, dir, process: child, url: `redis://${host}:${port}` }
})
