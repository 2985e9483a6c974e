/**
 * A provider that answers by script: an `HttpClient` without a network, for tests under TestClock.
 *
 *     const { layer, requests } = scripted({ ...provider, [metadata.token_endpoint]: [status(503), json({ … })] })
 */
import { Clock, Effect, Fiber, Layer } from "effect"
import { HttpClient, HttpClientError, type HttpClientRequest, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { type AuthError, Promised } from "keyfob"

export const issuer = "https://id.example"

/** A discovery document with every endpoint Keyfob knows. */
export const metadata = {
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  device_authorization_endpoint: `${issuer}/device`,
  userinfo_endpoint: `${issuer}/userinfo`,
  introspection_endpoint: `${issuer}/introspect`,
  revocation_endpoint: `${issuer}/revoke`,
  end_session_endpoint: `${issuer}/logout`,
  jwks_uri: `${issuer}/jwks`
} as const

export const openIdLocation = `${issuer}/.well-known/openid-configuration`

/** What one request is answered with. Made anew for each, since a body can be read once. */
export type Reply = (
  request: HttpClientRequest.HttpClientRequest
) => Effect.Effect<Response, HttpClientError.HttpClientError>

/** Any answer: a body as it is, and headers as they are. */
export const answer =
  (body: BodyInit | null, init?: ResponseInit): Reply =>
  () =>
    Effect.sync(() => new Response(body, init))

/** A JSON answer, 200 unless told otherwise. */
export const json =
  (body: unknown, init?: ResponseInit): Reply =>
  () =>
    Effect.sync(() => Response.json(body, init))

/** A status with an empty body. */
export const status = (code: number, headers: Readonly<Record<string, string>> = {}): Reply =>
  answer(null, { status: code, headers })

/** An OAuth error answer (RFC 6749 section 5.2). */
export const refused = (error: string, code = 400): Reply =>
  json({ error, error_description: `described: ${error}` }, { status: code })

/** The connection fails; `code` is the system's word for it (`ECONNREFUSED`, `ECONNRESET`, …), wrapped as clients do. */
export const broken =
  (code: string, message = code): Reply =>
  (request) =>
    new HttpClientError.HttpClientError({
      reason: new HttpClientError.TransportError({
        request,
        cause: new TypeError("fetch failed", { cause: Object.assign(new Error(message), { code }) })
      })
    })

/** Never answers. */
export const hanging: Reply = () => Effect.never

/** The entries of a script for a provider that can be discovered. */
export const provider: Readonly<Record<string, Reply>> = { [openIdLocation]: json(metadata) }

/** What was asked, in order. */
export interface Recorded {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** The body as it was sent; empty where there was none. */
  readonly body: string
  /** The body's form fields; of a repeated one the last. */
  readonly form: Readonly<Record<string, string>>
  /** When, in milliseconds of the test's clock. */
  readonly at: number
}

/**
 * Replies by URL: a list in order, its end is a defect (the code under test asked once too often); a single reply
 * stands for all requests to its URL. An URL that is not in the script is answered 404.
 */
export const scripted = (script: Readonly<Record<string, Reply | ReadonlyArray<Reply>>>) => {
  const requests: Array<Recorded> = []
  const countTo = (url: string) => requests.filter((request) => request.url === url).length
  const client = HttpClient.make((request, { href: url }) =>
    Effect.gen(function* () {
      const body = request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""
      requests.push({
        method: request.method,
        url,
        headers: { ...request.headers },
        body,
        form: Object.fromEntries(new URLSearchParams(body)),
        at: yield* Clock.currentTimeMillis
      })
      const replies = script[url] ?? status(404)
      const reply = typeof replies === "function" ? replies : replies[countTo(url) - 1]
      if (reply === undefined) return yield* Effect.die(new Error(`no reply is left for ${request.method} ${url}`))
      return HttpClientResponse.fromWeb(request, yield* reply(request))
    })
  )
  return {
    layer: Layer.succeed(HttpClient.HttpClient, client),
    requests,
    /** The requests to one URL. */
    to: (url: string): ReadonlyArray<Recorded> => requests.filter((request) => request.url === url)
  }
}

/** What an error is, in one word: `ProviderUnavailable.TimedOut`. */
export const named = (error: AuthError) => `${error._tag}.${error.reason}`

// Bodies are read in microtasks: a moment of real time lets them come in.
const moment = Effect.promise(() => new Promise<void>((resolve) => setTimeout(resolve, 1)))

/** Runs an effect to its end while the test's clock moves on by itself, in steps of a tenth of a second; not around jose. */
export const inTime = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E, R>) {
  let held = 0
  const hold = <B, F, S>(work: Effect.Effect<B, F, S>) =>
    Effect.suspend(() => {
      held++
      return Effect.ensuring(
        work,
        Effect.sync(() => held--)
      )
    })
  const fiber = yield* Effect.forkChild(Effect.provideService(effect, Promised.Around, hold))
  for (;;) {
    yield* moment
    if (fiber.pollUnsafe() !== undefined) return yield* Fiber.join(fiber)
    if (held === 0) yield* TestClock.adjust("100 millis")
  }
})
