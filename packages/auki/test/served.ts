/** Auki's services on a free loopback port: what is set for the fake is what a socket answers. */
import { type FakeAukiOptions, make } from "@keyfob/auki/testing"
import { Effect } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

export const served = Effect.fnUntraced(function* (options: FakeAukiOptions) {
  const fake = make(options)
  const listening = yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const http = createServer((request, response) => {
        let body = ""
        request.on("data", (chunk) => (body += String(chunk)))
        request.on("end", () => {
          const headers = Object.fromEntries(
            Object.entries(request.headers).map(([name, value]) => [name, String(value)])
          )
          const seen = { method: request.method ?? "", path: request.url ?? "", headers, body }
          const { body: answer, headers: more = {}, status } = Effect.runSync(fake.handle(seen))
          const isText = typeof answer === "string"
          response.writeHead(status, { "content-type": isText ? "text/html" : "application/json", ...more })
          response.end(isText || answer === undefined ? answer : JSON.stringify(answer))
        })
      })
      http.listen(0, "127.0.0.1", () => resume(Effect.succeed(http)))
    }),
    (http) =>
      Effect.callback<void>((resume) => {
        http.closeAllConnections()
        http.close(() => resume(Effect.void))
      })
  )
  const { port } = listening.address() as AddressInfo // TCP, so never a string or null
  return { ...fake, url: `http://127.0.0.1:${port}` }
})
