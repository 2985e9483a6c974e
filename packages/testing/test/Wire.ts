/** What went over the wire, to search for afterwards: every secret in it, in every spelling. */
import { assert } from "@effect/vitest"
import { Effect, Layer, Result, Stream } from "effect"
import { Base64, Base64Url, Hex } from "effect/encoding"
import { HttpClient, HttpClientResponse } from "effect/http"

export const makeWire = () => {
  const texts: Array<string> = []
  /** Goes below what is being tested. */
  const layer = Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, (client) =>
      HttpClient.transform(client, (sent, request) =>
        Effect.gen(function* () {
          texts.push(JSON.stringify({ ...request.headers }))
          if (request.body._tag === "Uint8Array") texts.push(new TextDecoder().decode(request.body.body))
          const response = yield* sent
          const text = yield* response.stream.pipe(
            Stream.decodeText,
            Stream.mkString,
            Effect.orElseSucceed(() => "")
          )
          texts.push(text, JSON.stringify({ ...response.headers }))
          const { headers, status } = response
          return HttpClientResponse.fromWeb(request, new Response(text, { status, headers }))
        })
      )
    )
  )
  /** A machine's subject is its client id, which is public. */
  const secrets = () => [...secretsIn(texts)].filter((text) => text.length >= 3 && text !== "billing")
  return { layer, secrets }
}

const telling =
  /^(?:access_token|refresh_token|id_token|device_code|user_code|verification_uri_complete|client_secret|sub|name|preferred_username|email|error_description|jti|sid|nonce|cookie|set-cookie|token|n|x|y|kid)$/

const secretsIn = (texts: ReadonlyArray<string>): ReadonlySet<string> => {
  const found = new Set<string>()
  const add = (name: string, value: unknown): void => {
    if (typeof value === "string") {
      const [, token] = name === "authorization" ? (/^\S+ (.+)$/.exec(value) ?? []) : []
      if (token !== undefined) found.add(token)
      if (name === "authorization" && value.startsWith("Basic ")) {
        const [, secret] = atob(value.slice(6)).split(":")
        found.add(secret ?? "").add(new URLSearchParams(`v=${secret}`).get("v") ?? "")
      }
      const [header, claims, signature] = value.split(".")
      if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(value) && header && claims && signature) {
        found.add(signature).add(claims).add(value)
        add("", JSON.parse(Result.getOrThrow(Base64Url.decodeString(claims))))
      }
      if (telling.test(name)) found.add(value)
    } else if (typeof value === "object" && value !== null) {
      for (const [key, member] of Object.entries(value)) add(key, member)
    }
  }
  for (const text of texts) {
    if (/^[[{]/.test(text)) add("", JSON.parse(text))
    else for (const [name, value] of new URLSearchParams(text)) add(name, value)
  }
  return found
}

/** A text in the forms it may travel in. */
export const spellings = (text: string): ReadonlyArray<string> => {
  const bytes = new TextEncoder().encode(text)
  const rims = [0, 1, 2]
    .map((offset) => {
      // In the middle of something else, base64 shifts; what the neighbours share is left out.
      const whole = Base64.encode(new Uint8Array([...new Uint8Array(offset), ...bytes]))
      return whole.slice(offset === 0 ? 0 : 4, whole.length - (whole.endsWith("=") ? 4 : 0))
    })
    // What is left of a few bytes is in some word: "z{~" is "ent-", as in content-type.
    .filter((rim) => rim.length >= 8)
  return [
    text,
    JSON.stringify(text).slice(1, -1),
    encodeURIComponent(text),
    new URLSearchParams({ v: text }).toString().slice(2),
    Hex.encode(bytes),
    Hex.encode(bytes).toUpperCase(),
    ...rims,
    ...rims.map((rim) => rim.replaceAll("+", "-").replaceAll("/", "_"))
  ].filter((one) => one.length >= 3)
}

export const assertNone = (secrets: Iterable<string>, text: string) => {
  for (const secret of secrets) {
    for (const spelling of spellings(secret)) {
      const place = text.indexOf(spelling)
      assert.strictEqual(place, -1, `${secret} as ${spelling} in …${text.slice(Math.max(0, place - 100), place + 100)}`)
    }
  }
}
