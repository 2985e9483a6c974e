/** Where a browser on this machine brings the provider's answer to: a port of its own, for one login (RFC 8252 section 7.3). */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { type ExpectedRedirect, LoginFailed, RedirectReceiver } from "keyfob"
import * as Http from "node:http"
import type { Socket } from "node:net"
import * as LandingPage from "./LandingPage.ts"
import * as LoopbackPort from "./LoopbackPort.ts"

/**
 * `http://127.0.0.1:PORT/callback`, on the IPv6 loopback address as well where there is one.
 *
 * It takes one thing, the answer that is waited for. All else is refused and changes nothing: other paths and hosts, other
 * states, what a script on some page sends, what is too large. Whoever is slow holds up nobody. The browser is told how
 * the login ended, and then the port is closed.
 *
 * @param options.ports the ports to try, in order, where the provider has to know them. Default: any that is free
 */
export const layer = (options: { readonly ports?: ReadonlyArray<number> } = {}): Layer.Layer<RedirectReceiver> =>
  Layer.succeed(RedirectReceiver, {
    open: Effect.fnUntraced(function* (expected) {
      const answer = yield* Deferred.make<Redacted.Redacted>()
      const held: Array<Http.ServerResponse> = []
      let authorities: ReadonlyArray<string> = []
      const sockets = new Set<Socket>()

      const receive = (request: Http.IncomingMessage, response: Http.ServerResponse) => {
        const refusal = refusalOf(request, expected, authorities)
        if (refusal !== undefined) return refuse(response, refusal)
        if (request.method === "GET") return judge(request.url ?? "", response)
        return readForm(request, (form) => (form === undefined ? refuse(response, 413) : judge(form, response)))
      }

      const judge = (text: string, response: Http.ServerResponse) => {
        if (!expected.recognizes(text)) return refuse(response, 403)
        // The first one counts. A browser that asks again is told the same end.
        held.push(response)
        if (response.socket !== null) sockets.delete(response.socket)
        Deferred.doneUnsafe(answer, Effect.succeed(Redacted.make(text)))
      }

      const makeServer = () =>
        Http.createServer({ headersTimeout: 5000, requestTimeout: 10_000, connectionsCheckingInterval: 1000 }, receive)
          .on("clientError", (_, socket) => socket.destroy())
          .on("connection", (socket) => {
            sockets.add(socket)
            socket.once("close", () => sockets.delete(socket))
            // The oldest connection goes, and not the new one, which may be the browser's.
            const [oldest] = sockets
            if (sockets.size > mostSockets) oldest?.destroy()
          })

      const found = yield* LoopbackPort.bind(makeServer, options.ports ?? [0])
      if (found === undefined) {
        return yield* new LoginFailed({ reason: "NoRedirect", issuer: expected.issuer })
      }
      authorities = found.hosts.map((host) => `${host}:${found.port}`)
      yield* Effect.addFinalizer((exit) => Effect.forEach(held, tell(LandingPage.of(exit)), { discard: true }))
      return { redirectUri: `http://${authorities[0]}${callback}`, answer: Deferred.await(answer) }
    })
  })

const callback = "/callback"
const mostSockets = 64
const longestForm = 64 * 1024

/** Why a request cannot be the answer, whatever it says. */
const refusalOf = (
  { headers, method, url = "" }: Http.IncomingMessage,
  { responseMode }: ExpectedRedirect,
  authorities: ReadonlyArray<string>
): number | undefined => {
  // Another host name that leads here is another site's, made to do so (DNS rebinding).
  if (!authorities.includes(headers.host ?? "")) return 421
  if (url.replace(/\?.*$/s, "") !== callback) return 404
  const isForm = method === "POST" && responseMode === "form_post"
  if (method !== "GET" && !isForm) return 405
  // Browsers say what a request is for. Only a page that a person goes to will do: no script's request, no image.
  if ((headers["sec-fetch-dest"] ?? "document") !== "document") return 403
  if (isForm && !/^application\/x-www-form-urlencoded\s*(;|$)/i.test(headers["content-type"] ?? "")) return 415
  return undefined
}

const refuse = (response: Http.ServerResponse, status: number) => {
  response.writeHead(status, { ...LandingPage.headers, "content-type": "text/plain", connection: "close" })
  response.end("There is nothing here.\n")
}

const readForm = (request: Http.IncomingMessage, use: (form: string | undefined) => void) => {
  const chunks: Array<Buffer> = []
  let length = 0
  request.on("data", (chunk: Buffer) => {
    length += chunk.length
    if (length <= longestForm) chunks.push(chunk)
    else if (length - chunk.length <= longestForm) use(undefined)
  })
  request.on("end", () => {
    if (length <= longestForm) use(Buffer.concat(chunks).toString())
  })
}

/** Shows a page, and waits until it has left. A browser that is gone, or does not read, is not waited for long. */
const tell =
  ({ html, status }: LandingPage.LandingPage) =>
  (response: Http.ServerResponse) =>
    Effect.callback<void>((resume) => {
      response.once("close", () => resume(Effect.void))
      if (response.destroyed) return resume(Effect.void)
      response.writeHead(status, { ...LandingPage.headers, connection: "close" })
      response.end(html)
    }).pipe(Effect.timeoutOption("1 second"), Effect.asVoid)
