/**
 * QLAM and its tenant on a loopback port, made from the documented shapes: the simulated provider under the tenant's paths,
 * and an API for whoever brings a token that it takes.
 */
import { NodeFileSystem, NodeHttpClient, NodePath } from "@effect/platform-node"
import { FileCredentialStore } from "@keyfob/node"
import { type ClientMetadata, SimulatedPerson, SimulatedProvider } from "@keyfob/testing/Provider"
import { Context, Effect, Layer } from "effect"
import { HttpClientRequest } from "effect/http"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

export const userId = "0b7c6a3e-54d5-4f0e-9f38-1d0b7e3f1a11"
export const machine = { client_id: "batch", client_secret: "canary-secret" }

const paths: Readonly<Record<string, string>> = {
  "/oauth/token": "/token",
  "/oauth/device/code": "/device_authorization",
  "/oauth/revoke": "/revoke",
  "/.well-known/jwks.json": "/jwks"
}

/** The tenant's own names in its documents. */
const renamed = (text: string, url: string) =>
  Object.entries(paths).reduce((body, [theirs, ours]) => body.replaceAll(`"${url}${ours}"`, `"${url}${theirs}"`), text)

export class FakeQlam extends Context.Service<
  FakeQlam,
  {
    readonly url: string
    readonly idp: SimulatedProvider["Service"]
    /** What came to a path, oldest first: the form, or the query. */
    readonly forms: (path: string) => ReadonlyArray<Readonly<Record<string, string>>>
  }
>()("test/FakeQlam") {
  static readonly layer = (clients: ReadonlyArray<ClientMetadata> = []) =>
    Layer.effectContext(make(clients)).pipe(Layer.provideMerge(NodeHttpClient.layerUndici))
}

const listening = Effect.acquireRelease(
  Effect.promise(
    () =>
      new Promise<ReturnType<typeof createServer>>((resolve) => {
        const server = createServer()
        server.listen(0, "127.0.0.1", () => resolve(server))
      })
  ),
  (server) =>
    Effect.sync(() => {
      server.close()
      server.closeAllConnections()
    })
)

const make = Effect.fnUntraced(function* (clients: ReadonlyArray<ClientMetadata>) {
  const server = yield* listening
  const { port } = server.address() as AddressInfo // a socket that listens has one
  const url = `http://127.0.0.1:${port}`
  const context = yield* Layer.build(
    SimulatedProvider.layer({
      issuer: `${url}/`, // as the tenant writes it, whatever its clients do
      accessTokens: "jwt",
      accessTokenClaims: {
        alice: { "https://v2/dev/other_user_id": "canary", "https://v1/user_id": 7, "https://v2/dev/user_id": userId }
      },
      accessTokenLifetime: "24 hours",
      refreshTokenIdle: "15 days",
      deviceInterval: 0,
      clients: [
        {
          client_id: "shell",
          token_endpoint_auth_method: "none",
          application_type: "native",
          grant_types: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
          response_types: ["code"],
          redirect_uris: ["http://127.0.0.1/callback"]
        },
        { ...machine, token_endpoint_auth_method: "client_secret_post", grant_types: ["client_credentials"] },
        ...clients
      ]
    })
  )
  const idp = Context.get(context, SimulatedProvider)
  const seen: Array<{ readonly path: string; readonly form: Readonly<Record<string, string>> }> = []

  const api = (path: string, token: string) =>
    Effect.map(idp.accepts(token), (isTaken) => ({
      status: isTaken ? (path.endsWith("/forbidden") ? 403 : 200) : 401,
      headers: {},
      text: "[]"
    }))

  const tenant = (request: IncomingMessage, path: string, body: string) => {
    const { host: _, connection: __, "content-length": ___, ...headers } = request.headers
    const inner = HttpClientRequest.make(request.method === "POST" ? "POST" : "GET")(`${url}${path}`).pipe(
      HttpClientRequest.setHeaders(
        Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
      ),
      (it) => (body === "" ? it : HttpClientRequest.bodyText(it, body, headers["content-type"] ?? ""))
    )
    return Effect.flatMap(idp.client.execute(inner), (answer) =>
      Effect.map(answer.text, (text) => {
        const { "content-length": _, ...headers } = answer.headers
        // The tenant refuses a grant with 403.
        const status = answer.status === 400 && text.includes('"invalid_grant"') ? 403 : answer.status
        return { status, headers, text: renamed(text, url) }
      })
    )
  }

  server.on("request", (request, response) => {
    const answering = Effect.gen(function* () {
      const body = yield* Effect.promise(() => bodyOf(request))
      const { pathname, search } = new URL(request.url ?? "/", url)
      seen.push({ path: pathname, form: Object.fromEntries(new URLSearchParams(body === "" ? search : body)) })
      const { headers, status, text } = yield* pathname.startsWith("/v2/")
        ? api(pathname, (request.headers.authorization ?? "").replace("Bearer ", ""))
        : tenant(request, `${paths[pathname] ?? pathname}${search}`, body)
      response.writeHead(status, headers).end(text)
    })
    Effect.runFork(Effect.catchCause(answering, () => Effect.sync(() => response.writeHead(500).end())))
  })

  const forms = (path: string) => seen.filter((one) => one.path === path).map(({ form }) => form)
  return Context.make(FakeQlam, { url, idp, forms }).pipe(Context.add(SimulatedProvider, idp))
})

const bodyOf = async (request: IncomingMessage) => {
  let body = ""
  for await (const chunk of request) body += String(chunk)
  return body
}

/** A directory with a `config.json`, as qsh writes it. */
export const qshDirectory = (file: object) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const directory = mkdtempSync(join(tmpdir(), "keyfob-qsh-"))
      writeFileSync(join(directory, "config.json"), JSON.stringify(file), { mode: 0o600 })
      return directory
    }),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )

/** A node of the cluster: files in a home that it shares with others, and a person who does as the tenant was told. */
export const nodeWith = (home: string) =>
  Layer.mergeAll(FileCredentialStore.layer({ directory: join(home, "credentials") }), SimulatedPerson.layer()).pipe(
    Layer.provideMerge(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer))
  )
