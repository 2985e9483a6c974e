/** What a recording itself shows to be public: what its providers publish, and whom they granted something. */
import type { Json } from "effect/Schema"
import { basicOf, formOf, isObject, jsonOf, jwtOf, partsOf, type RawExchange, type Verdicts } from "./Raw.ts"
import * as words from "./words.ts"

export interface Known {
  /** Origin and path → what the metadata calls it. */
  readonly endpoints: ReadonlyMap<string, string>
  /** Texts of URLs without query that are public: issuers, endpoints, metadata documents. */
  readonly urls: ReadonlySet<string>
  readonly hosts: ReadonlySet<string>
  readonly scopes: ReadonlySet<string>
  /** Clients, audiences and who signed. One that no provider knows may be a secret that was put in the wrong place. */
  readonly identifiers: ReadonlySet<string>
}

/** What the providers' own metadata names is public. */
export const knownIn = (raw: ReadonlyArray<RawExchange>, verdicts: Verdicts): Known => {
  const endpoints = new Map<string, string>()
  const urls = new Set<string>()
  const scopes = new Set<string>()
  for (const { method, outcome, url } of raw) {
    if (method !== "GET" || outcome._tag !== "Answered" || typeof outcome.body !== "string") continue
    const document = jsonOf(outcome.body)
    const location = url.replace(/[?#].*$/s, "")
    if (!words.wellKnown.test(location) || !isObject(document) || typeof document["issuer"] !== "string") continue
    const issuer = location.replace(words.wellKnown, "")
    for (const one of [
      location,
      document["issuer"],
      issuer,
      issuer.replace(/\/$/, ""),
      `${issuer.replace(/\/$/, "")}/`
    ])
      urls.add(one)
    for (const scope of listed(document["scopes_supported"])) scopes.add(scope)
    for (const [name, text] of Object.entries(document)) {
      const endpoint = Object.hasOwn(words.endpoints, name) ? words.endpoints[name] : undefined
      if (endpoint === undefined || typeof text !== "string") continue
      const named = text.replace(/[?#].*$/s, "")
      urls.add(named)
      endpoints.set(named, endpoint)
    }
  }
  const hosts = new Set([...urls].map((url) => partsOf(url)?.authority ?? ""))
  return { endpoints, urls, hosts, scopes, identifiers: identifiersIn(raw, endpoints, verdicts) }
}

const listed = (value: Json | undefined): ReadonlyArray<string> =>
  Array.isArray(value) ? value.filter((one: Json) => typeof one === "string") : []

/** Who a provider granted something, and what it put its name under: those it knows by that name. */
const identifiersIn = (
  raw: ReadonlyArray<RawExchange>,
  endpoints: Known["endpoints"],
  verdicts: Verdicts
): ReadonlySet<string> => {
  const found = new Set<string>()
  const secrets = new Set<string>()
  for (const exchange of raw) {
    const { headers, url } = exchange
    const form = formOf(exchange) ?? []
    const basic = basicOf(headers["authorization"] ?? "")
    for (const [name, value] of form) if (words.hidden.has(name)) secrets.add(value)
    if (basic !== undefined) secrets.add(basic.secret)
    if (!endpoints.has(url.replace(/[?#].*$/s, "")) || !isGranted(exchange)) continue
    const clients = basic === undefined ? ["client_id"] : []
    const names = [...clients, "audience", "resource"]
    if (basic !== undefined) found.add(basic.client)
    for (const [name, value] of form) if (names.includes(name)) found.add(value)
  }
  for (const [text, verdict] of verdicts.signatures) {
    const {
      aud = null,
      azp = null,
      client_id = null,
      iss = null
    } = (verdict === "good" ? jwtOf(text)?.claims : undefined) ?? {}
    for (const one of [aud, azp, client_id, iss].flat()) if (typeof one === "string") found.add(one)
  }
  return new Set([...found].filter((text) => !secrets.has(text) && /^[\u0021-\u007e]{1,200}$/.test(text)))
}

/** Whether an answer brought what one must be known for. */
const isGranted = ({ outcome }: RawExchange) => {
  if (outcome._tag !== "Answered" || outcome.status < 200 || outcome.status > 299) return false
  const answer = typeof outcome.body === "string" ? jsonOf(outcome.body) : undefined
  return (
    isObject(answer) && ["access_token", "device_code", "request_uri"].some((name) => typeof answer[name] === "string")
  )
}
