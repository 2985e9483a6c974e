/** What went over the wire, and how it is read. */
import * as Result from "effect/Result"
import * as Base64 from "effect/encoding/Base64"
import * as Base64Url from "effect/encoding/Base64Url"
import type { Json, JsonObject } from "effect/Schema"
import type { Jwt, Outcome } from "./Trace.ts"
import * as words from "./words.ts"

/** A request as it was sent and what came back, secrets and all. */
export interface RawExchange {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: RawBody
  readonly outcome: RawOutcome
}

/** A text, or what is not looked at. */
export type RawBody = string | { readonly length?: number }

export type RawOutcome =
  | {
      readonly _tag: "Answered"
      readonly after: number
      readonly status: number
      readonly headers: Readonly<Record<string, string>>
      readonly body: RawBody
    }
  | Exclude<Outcome, { readonly _tag: "Answered" }>

/** What was found out about the JWTs of a recording, which takes promises. */
export interface Verdicts {
  /** Whether each fits the keys that were published. */
  readonly signatures: ReadonlyMap<string, Jwt["jwt"]["signature"]>
  /** The hashes of all access tokens (OpenID Connect Core section 3.1.3.6). */
  readonly accessTokenHashes: ReadonlySet<string>
}

/** Beyond this many characters a body is only its length. */
export const longestBody = 2 ** 18

/** The fields of a form, `undefined` where the body is none. */
export const formOf = ({ body, headers }: Pick<RawExchange, "body" | "headers">) =>
  typeof body === "string" && words.mediaType(headers["content-type"] ?? "") === "application/x-www-form-urlencoded"
    ? [...new URLSearchParams(body)]
    : undefined

/** The JSON value of a text, `undefined` where it has none. */
export const jsonOf = (text: string): Json | undefined => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The pair of an `Authorization: Basic` header, decoded (RFC 6749 section 2.3.1). */
export const basicOf = (authorization: string) => {
  const encoded = /^basic +(.*)$/is.exec(authorization)?.[1] ?? ""
  const pair = Result.getOrUndefined(Base64.decodeString(encoded))
  const [, client, secret = ""] = /^([^:]+):(.+)$/s.exec(pair ?? "") ?? []
  return client === undefined ? undefined : { client: formDecoded(client), secret: formDecoded(secret) }
}

/** Of a client that did not encode it, `&` is itself. */
const formDecoded = (text: string) => new URLSearchParams(`v=${text.replaceAll("&", "%26")}`).get("v") ?? ""

/** Header and claims of a JWT, `undefined` where the text is none. */
export const jwtOf = (text: string) => {
  const [header, claims] = /^[\w-]+\.[\w-]+\.[\w-]*$/.test(text) ? text.split(".", 2).map(decoded) : []
  return header === undefined || claims === undefined ? undefined : { header, claims }
}

const decoded = (part: string): JsonObject | undefined => {
  const text = Result.getOrUndefined(Base64Url.decodeString(part))
  const json = text === undefined ? undefined : jsonOf(text)
  return isObject(json) ? json : undefined
}

/** Not `URL`, which mends what it reads: an issuer is compared character for character. */
export const partsOf = (text: string) => {
  const [, scheme, userInfo, authority, path = "", query, fragment] =
    /^(https?:\/\/)([^/?#]*@)?([^/?#@]+)([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/is.exec(text) ?? []
  return scheme === undefined || authority === undefined
    ? undefined
    : { scheme, userInfo, authority, path, query, fragment }
}
