/** A provider that answers what a test tells it to, by path; discovery is sound unless told otherwise. */
import { Effect } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

export interface Reply {
  readonly status?: number
  readonly type?: string
  readonly headers?: Readonly<Record<string, string>>
  /** A string is sent as it is, anything else as JSON. */
  readonly body: unknown
}

export const make = Effect.gen(function* () {
  const replies = new Map<string, Reply>()
  const asked: Array<string> = []
  const authorizations: Array<string | undefined> = []
  const server = createServer((request, response) => {
    const path = request.url ?? ""
    asked.push(path)
    authorizations.push(request.headers.authorization)
    request.resume()
    request.on("end", () => {
      const { body, headers, status = 200, type = "application/json" } = replies.get(path) ?? { status: 404, body: {} }
      response.writeHead(status, { "content-type": type, ...headers })
      response.end(typeof body === "string" ? body : JSON.stringify(body))
    })
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () =>
      Effect.promise(() => {
        server.closeAllConnections()
        return new Promise((resolve) => server.close(resolve))
      })
  )
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}` // TCP, so never a string or null
  const metadata = {
    issuer,
    token_endpoint: `${issuer}/token`,
    device_authorization_endpoint: `${issuer}/device`,
    userinfo_endpoint: `${issuer}/me`,
    jwks_uri: `${issuer}/jwks`
  }
  const set = (path: string, reply: Reply) => Effect.sync(() => void replies.set(path, reply))
  const discovery = "/.well-known/openid-configuration"
  yield* set(discovery, { body: metadata })
  return { issuer, metadata, discovery, set, asked, authorizations }
})
