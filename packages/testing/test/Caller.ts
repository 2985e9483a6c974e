/** A client without a library: speaks plain HTTP to whatever provider is in context, and sees what it answers. */
import { Effect, Predicate } from "effect"
import { Base64 } from "effect/encoding"
import { HttpClient, HttpClientRequest } from "effect/http"

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** The JSON object of the body; empty where there is none. */
  readonly json: Readonly<Record<string, unknown>>
}

const send = Effect.fnUntraced(function* (request: HttpClientRequest.HttpClientRequest) {
  const client = yield* HttpClient.HttpClient
  const response = yield* client.execute(request)
  const text = yield* response.text
  const isJson = /json/.test(response.headers["content-type"] ?? "")
  const json: unknown = isJson ? JSON.parse(text) : {}
  return {
    status: response.status,
    headers: { ...response.headers },
    json: Predicate.isReadonlyObject(json) ? { ...json } : {}
  } satisfies Reply
})

export type Form = Readonly<Record<string, string>>

export const get = (url: string, headers: Readonly<Record<string, string>> = {}) =>
  send(HttpClientRequest.get(url).pipe(HttpClientRequest.setHeaders(headers)))

/** A list of pairs can name a parameter twice. */
export const post = (
  url: string,
  form: Form | ReadonlyArray<readonly [string, string]>,
  headers: Readonly<Record<string, string>> = {}
) =>
  send(HttpClientRequest.post(url).pipe(HttpClientRequest.setHeaders(headers), HttpClientRequest.bodyUrlParams(form)))

export const postJson = (url: string, body: object) =>
  send(HttpClientRequest.post(url).pipe(HttpClientRequest.bodyJsonUnsafe(body)))

/** The provider's metadata; every member that is asked for is a text. */
export const discover = Effect.fnUntraced(function* (issuer: string) {
  const { json } = yield* get(`${issuer}/.well-known/openid-configuration`)
  return (name: string) => String(json[name])
})

export const bearer = (token: unknown) => ({ authorization: `Bearer ${String(token)}` })

const formEncode = (text: string) => new URLSearchParams({ v: text }).toString().slice(2)
export const basic = (client: { readonly client_id: string; readonly client_secret: string }) => ({
  authorization: `Basic ${Base64.encode(`${formEncode(client.client_id)}:${formEncode(client.client_secret)}`)}`
})
