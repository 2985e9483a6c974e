import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Base64Url from "effect/encoding/Base64Url"
import { CompactSign, exportJWK, generateKeyPair, importJWK, type JWK } from "jose"
import * as SettledClock from "../SettledClock.ts"
import { accessTokenHash } from "./accessTokenHash.ts"
import { isObject } from "./Raw.ts"
import { standStill } from "./standStill.ts"
import { type Body, type Exchange, Jwt, outline, type Outcome, type Trace } from "./Trace.ts"
import * as words from "./words.ts"

/** A trace that is being replayed. */
export class Replay extends Context.Service<
  Replay,
  {
    /** The outline of what the client has not asked for, yet or any more. */
    readonly left: Effect.Effect<ReadonlyArray<string>>
    /**
     * Opens an authorization URL, as the person's browser did, of which a trace has seen nothing: where it comes back to,
     * with the code that was spent then, or with `access_denied` if none was. ID tokens for that code have the nonce it asked
     * for, where the trace does not know of another.
     */
    readonly visit: (url: string) => Effect.Effect<URL>
  }
>()("@keyfob/testing/Replay") {}

/**
 * Answers a client's requests from a trace: for each endpoint and grant in the recorded order, after the recorded time. The
 * numbers that stand for tokens serve as tokens. JWTs are signed anew where they had fitted, with keys that take the
 * place of the published ones; times in them count from the replay's first request. What the trace has no answer to is a
 * defect that says so.
 *
 * Time is the `Clock`; a test clock is replaced by one that also waits for promises (`SettledClock.ts`).
 */
export const replay = (trace: Trace): Layer.Layer<HttpClient.HttpClient | Replay> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const time = yield* SettledClock.make
      const keys = yield* Effect.promise(() => makeKeys(trace))
      const used = new Set<Exchange>()
      const once = Semaphore.makeUnsafe(1)
      // Nonces of the trace, and what this client has drawn in their place.
      const nonces = new Map<string, string>()
      // What the client pushed (RFC 9126), by the reference that its browser has.
      const pushed = new Map<string, URLSearchParams>()
      const visits = new Map<string, Visit>()
      let start: number | undefined

      /** At the first request, since times in signed tokens count from there. */
      const begin = Effect.suspend(() =>
        start === undefined ? Effect.map(Clock.currentTimeMillis, (now) => (start = now)) : Effect.succeed(start)
      )

      const write = writer(keys, nonces)

      const client = HttpClient.make((request, url) =>
        Effect.gen(function* () {
          const start = yield* begin
          const exchange = find(trace, used, request, url)
          if (exchange === undefined) return yield* Effect.die(noAnswer(trace, used, request, url))
          used.add(exchange)
          if (exchange.endpoint === "pushed_authorization_request") pushed.set(referenceIn(exchange), formOf(request))
          for (const [recorded, drawn] of nonceOf(exchange, request)) nonces.set(recorded, drawn)
          const code = formOf(request).get("code") ?? undefined
          const visit = [...visits.values()].find((visit) => code !== undefined && visit.code === code)
          if (visit !== undefined && visit.nonce !== null) {
            for (const recorded of browsed(trace, exchange)) nonces.set(recorded, visit.nonce)
          }
          const { outcome } = exchange
          if (outcome._tag === "Unanswered") return yield* Effect.never
          yield* Effect.sleep(outcome.after)
          if (outcome._tag === "Broken") return yield* broken(request, outcome.code)
          // One after the other: what is signed twice would not be the same.
          const body = yield* once.withPermit(standStill(() => write(outcome.body, exchange.endpoint, start)))
          return HttpClientResponse.fromWeb(request, answer(outcome, body, start))
        })
      )
      const left = Effect.sync(() =>
        outline({ ...trace, exchanges: trace.exchanges.filter((exchange) => !used.has(exchange)) })
      )
      const visit = (url: string) =>
        Effect.suspend(() => {
          const address = new URL(url)
          const asked = pushed.get(address.searchParams.get("request_uri") ?? "") ?? address.searchParams
          const to = asked.get("redirect_uri")
          if (to === null) {
            return Effect.die(
              new Error("the authorization request has no redirect_uri: there is nowhere to come back to")
            )
          }
          // Whoever opens a page again finds what was there.
          const visit = visits.get(url) ?? { code: nextCode(trace, used, visits), nonce: asked.get("nonce") }
          visits.set(url, visit)
          return Effect.succeed(comeBack(trace, visit, address, asked.get("state"), new URL(to)))
        })
      return Context.make(HttpClient.HttpClient, client).pipe(Context.add(Replay, { left, visit }), Context.merge(time))
    })
  )

const formOf = ({ body }: HttpClientRequest.HttpClientRequest) =>
  new URLSearchParams(body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : "")

/** An authorization URL that was opened: the code it led to, if it did, and what the client drew. */
interface Visit {
  readonly code: string | undefined
  readonly nonce: string | null
}

const referenceIn = ({ outcome }: Exchange): string => {
  const value = outcome._tag === "Answered" && outcome.body._tag === "Json" ? outcome.body.value : null
  return isObject(value) ? String(value["request_uri"]) : ""
}

/** What the client drew where the trace has the number of a nonce: in a pushed request (RFC 9126), else no client says it. */
const nonceOf = ({ body }: Exchange, request: HttpClientRequest.HttpClientRequest) => {
  const recorded = fieldOf(body, "nonce")
  const drawn = formOf(request).get("nonce")
  return typeof recorded === "string" && drawn !== null ? [[recorded, drawn] as const] : []
}

/** The nonces of an answer that no recorded request has: a browser carried them. */
const browsed = (trace: Trace, { outcome }: Exchange): ReadonlyArray<string> => {
  if (outcome._tag !== "Answered" || outcome.body._tag !== "Json") return []
  const known = new Set(trace.exchanges.map(({ body }) => fieldOf(body, "nonce")))
  return jwtsIn(outcome.body.value)
    .map(({ claims }) => claims["nonce"])
    .filter((nonce) => typeof nonce === "string")
    .filter((nonce) => !known.has(nonce))
}

const fieldOf = (body: Body, name: string) =>
  body._tag === "Form" ? body.fields.find(([field]) => field === name)?.[1] : undefined

/** The code that is spent next, of those that nobody came back with. */
const nextCode = (trace: Trace, used: ReadonlySet<Exchange>, visits: ReadonlyMap<string, Visit>) =>
  trace.exchanges
    .filter((exchange) => exchange.grant === "authorization_code" && !used.has(exchange))
    .map(({ body }) => fieldOf(body, "code"))
    .filter((code) => typeof code === "string")
    .find((one) => ![...visits.values()].some(({ code }) => code === one))

/** Back to the client, with the code, or a no where there is none, and the name of who is asked (RFC 9207). */
const comeBack = (trace: Trace, { code }: Visit, address: URL, state: string | null, back: URL): URL => {
  const issuer = trace.exchanges
    .map(({ outcome }) => (outcome._tag === "Answered" && outcome.body._tag === "Json" ? outcome.body.value : null))
    .filter(isObject)
    .find((metadata) => metadata["authorization_endpoint"] === address.origin + address.pathname)?.["issuer"]
  const answer = code === undefined ? { error: "access_denied" } : { code }
  for (const [name, value] of Object.entries({ ...answer, state, iss: issuer })) {
    if (typeof value === "string") back.searchParams.set(name, value)
  }
  return back
}

/** The first answer that nobody had yet, among those to the same question. */
const find = (
  { exchanges }: Trace,
  used: ReadonlySet<Exchange>,
  request: HttpClientRequest.HttpClientRequest,
  url: URL
): Exchange | undefined => {
  const location = `${url.origin}${url.pathname}`
  const pathOf = (exchange: Exchange) => exchange.url.replace(/[?#].*$/s, "")
  const isKnown = exchanges.some((exchange) => exchange.endpoint !== "other" && pathOf(exchange) === location)
  const form = formOf(request)
  const grant = form.get("grant_type") ?? undefined
  const fitting = exchanges.filter(
    (exchange) =>
      !used.has(exchange) &&
      exchange.method === request.method &&
      // An URL that no metadata names is a number in the trace: it is found by that.
      (isKnown ? pathOf(exchange) === location && exchange.grant === grant : exchange.endpoint === "other")
  )
  const code = form.get("code")
  return (code === null ? undefined : fitting.find(({ body }) => fieldOf(body, "code") === code)) ?? fitting[0]
}

const noAnswer = (
  trace: Trace,
  used: ReadonlySet<Exchange>,
  request: HttpClientRequest.HttpClientRequest,
  url: URL
) => {
  const grant = formOf(request).get("grant_type")
  const asked = [request.method, `${url.origin}${url.pathname}`, grant].filter((part) => part !== null).join(" ")
  const left = outline({ ...trace, exchanges: trace.exchanges.filter((exchange) => !used.has(exchange)) })
  return new Error(
    `the trace has no answer (left) to ${asked}; ${left.length === 0 ? "all were given" : `left are:\n${left.join("\n")}`}`
  )
}

/** As undici reports it: the system's code is in the cause of the cause. */
const broken = (request: HttpClientRequest.HttpClientRequest, code: string | undefined) =>
  new HttpClientError.HttpClientError({
    reason: new HttpClientError.TransportError({
      request,
      cause: new TypeError("fetch failed", { cause: Object.assign(new Error(code), { code }) })
    })
  })

const answer = (
  { headers, status }: Extract<Outcome, { readonly _tag: "Answered" }>,
  body: string,
  start: number
): Response => {
  const written = Object.entries(headers).map(([name, value]): [string, string] => [
    name,
    // A number is an instant.
    typeof value === "number" ? new Date(start + value * 1000).toUTCString() : String(value)
  ])
  return new Response([204, 205, 304].includes(status) ? null : body, { status, headers: written })
}

interface Key {
  readonly private: JWK
  readonly public: JWK
}

/** The algorithm a key of the trace is for; its own word, or what its kind is used for. */
const algorithmOf = (key: Schema.JsonObject): string => {
  const { alg, crv, kty } = key
  if (typeof alg === "string" && words.values.has(alg)) return alg
  if (kty === "RSA") return "RS256"
  return kty === "OKP" ? "EdDSA" : (curves[String(crv)] ?? "ES256")
}

const curves: Readonly<Record<string, string>> = { "P-256": "ES256", "P-384": "ES384", "P-521": "ES512" }

/** Ed25519 hashes with SHA-512, under both of its names. */
const hashOf = (algorithm: string) => `SHA-${/[PRE]S(256|384|512)$/.exec(algorithm)?.[1] ?? "512"}`

const isSigned = (algorithm: string) => /^(?:[RPE]S\d{3}|EdDSA|Ed25519)$/.test(algorithm)

const keyName = (algorithm: string, kid: unknown) => JSON.stringify([algorithm, kid ?? null])

/** A key for each that was published, and one that never was for each algorithm a JWT names. */
const makeKeys = async (trace: Trace): Promise<ReadonlyMap<string, Key>> => {
  const keys = new Map<string, Key>()
  const make = async (algorithm: string, kid: unknown) => {
    if (keys.has(keyName(algorithm, kid)) || !isSigned(algorithm)) return
    const pair = await generateKeyPair(algorithm, { extractable: true })
    keys.set(keyName(algorithm, kid), {
      private: await exportJWK(pair.privateKey),
      public: await exportJWK(pair.publicKey)
    })
  }
  for (const { endpoint, outcome } of trace.exchanges) {
    if (outcome._tag !== "Answered" || outcome.body._tag !== "Json") continue
    if (endpoint === "jwks") {
      for (const key of keysIn(outcome.body.value)) await make(algorithmOf(key), key["kid"])
    }
    for (const { header } of jwtsIn(outcome.body.value)) {
      if (typeof header["alg"] === "string") await make(header["alg"], header["kid"])
    }
  }
  return keys
}

const keysIn = (value: Schema.Json): ReadonlyArray<Schema.JsonObject> => {
  const keys = isObject(value) ? value["keys"] : undefined
  return Array.isArray(keys) ? keys.filter(isObject) : []
}

const isJwt = Schema.is(Jwt)

const jwtsIn = (value: Schema.Json): ReadonlyArray<Jwt["jwt"]> => {
  if (isJwt(value)) return [value.jwt]
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(jwtsIn) : []
}

/** Writes the bodies of answers as they go over the wire. */
const writer = (keys: ReadonlyMap<string, Key>, nonces: ReadonlyMap<string, string>) => {
  const signed = new Map<string, string>()
  let start = 0

  const sign = async ({ claims, header, signature, token }: Jwt["jwt"], accessToken: string | undefined) => {
    const before = signed.get(token)
    if (before !== undefined) return before
    const algorithm = String(header["alg"])
    const payload: Record<string, Schema.Json> = {}
    for (const [name, value] of Object.entries(claims)) payload[name] = await json(name, value)
    if (claims["at_hash"] === "fits" && accessToken !== undefined) {
      payload["at_hash"] = await accessTokenHash(accessToken, hashOf(algorithm))
    }
    const bytes = new TextEncoder().encode(JSON.stringify(payload))
    const key = keys.get(keyName(algorithm, header["kid"]))
    const jwt =
      key === undefined
        ? `${Base64Url.encode(JSON.stringify(header))}.${Base64Url.encode(bytes)}.${algorithm === "none" ? "" : "eA"}`
        : await new CompactSign(bytes)
            .setProtectedHeader({ ...header, alg: algorithm })
            .sign(await importJWK(key.private, algorithm))
    const whole = signature === "bad" ? jwt.replace(/[^.]*$/, (end) => [...end].reverse().join("")) : jwt
    signed.set(token, whole)
    return whole
  }

  const json = async (name: string, value: Schema.Json, accessToken?: string): Promise<Schema.Json> => {
    if (typeof value === "number" && words.instants.has(name)) return start / 1000 + value
    if (typeof value === "string" && name === "nonce") return nonces.get(value) ?? value
    if (typeof value !== "object" || value === null) return value
    if (isJwt(value)) return sign(value.jwt, accessToken)
    if (!isObject(value)) return Promise.all(value.map((one: Schema.Json) => json(name, one)))
    const beside = value["access_token"] === undefined ? undefined : await json("", value["access_token"])
    const members: Array<[string, Schema.Json]> = []
    for (const [key, member] of Object.entries(value)) {
      members.push([key, await json(key, member, typeof beside === "string" ? beside : undefined)])
    }
    return Object.fromEntries(members)
  }

  const published = (value: Schema.Json): Schema.Json => {
    if (!isObject(value) || !Array.isArray(value["keys"])) return value
    const all = value["keys"].map((key: Schema.Json) => {
      const made = isObject(key) ? keys.get(keyName(algorithmOf(key), key["kid"])) : undefined
      return made === undefined || !isObject(key) ? key : { ...key, ...made.public }
    })
    return { ...value, keys: all }
  }

  return async (body: Body, endpoint: string, begun: number): Promise<string> => {
    start = begun
    if (body._tag === "Opaque") return "x".repeat(body.length ?? 1)
    if (body._tag !== "Json") return ""
    return JSON.stringify(endpoint === "jwks" ? published(body.value) : await json("", body.value))
  }
}
