/**
 * From what went over the wire to what may be shown. Nothing is searched for: what is known to say nothing about anybody
 * is kept (`words.ts`), and a number takes the place of everything else, wherever it stands.
 */
import type { Json, JsonObject } from "effect/Schema"
import { type Known, knownIn } from "./Known.ts"
import {
  basicOf,
  formOf,
  isObject,
  jsonOf,
  jwtOf,
  longestBody,
  partsOf,
  type RawBody,
  type RawExchange,
  type Verdicts
} from "./Raw.ts"
import type { Body, Exchange, Jwt, Trace } from "./Trace.ts"
import * as words from "./words.ts"

export interface Options {
  /** Whether hosts and paths of the providers are numbers as well. Loopback addresses never are. Default: false. */
  readonly hideHosts?: boolean
}

/** Makes the trace. */
export const redact = (raw: ReadonlyArray<RawExchange>, verdicts: Verdicts, options: Options = {}): Trace => {
  const start = raw[0]?.at ?? 0
  const known = knownIn(raw, verdicts)
  const write = writer(start, known, verdicts, options)
  return {
    keyfobTrace: 1,
    exchanges: raw.map(({ at, body, headers, method, outcome, url }): Exchange => {
      const form = formOf({ body, headers })
      const grant = form?.find(([name]) => name === "grant_type")?.[1]
      const location = url.replace(/[?#].*$/s, "")
      const endpoint = known.endpoints.get(location)
      return {
        at: at - start,
        method: words.methods.has(method) ? method : write.number(method),
        endpoint: endpoint ?? (words.wellKnown.test(location) ? "discovery" : "other"),
        url: write.url(url) ?? write.number(url),
        ...(grant === undefined ? {} : { grant: String(write.value("grant_type", grant)) }),
        headers: write.headers(headers, endpoint !== undefined),
        body: form === undefined ? write.body(body) : { _tag: "Form", fields: form.map(write.field) },
        outcome:
          outcome._tag === "Answered"
            ? { ...outcome, headers: write.headers(outcome.headers, false), body: write.body(outcome.body) }
            : outcome
      }
    })
  }
}

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/

const writer = (start: number, known: Known, verdicts: Verdicts, options: Options) => {
  const numbers = new Map<string, number>()
  const count = (secret: string) => {
    const found = numbers.get(secret) ?? numbers.size + 1
    numbers.set(secret, found)
    return found
  }

  /** A number for a text. What no header could carry is still recognised as such, and nothing stays nothing. */
  const number = (secret: string): string =>
    secret === "" ? "" : /^[\u0020-\u007e]+$/.test(secret) ? `~${count(secret)}` : `~${count(secret)}\u00bf`

  const name = (text: string) => (words.names.has(text) ? text : number(text))

  const path = (text: string) =>
    text
      .split("/")
      .map((part) => (publicParts.has(part) ? part : number(part)))
      .join("/")

  /** A URL with its shape: where it leads is shown only where the provider's metadata, or what it granted, makes it public. */
  const url = (text: string): string | undefined => {
    const parts = partsOf(text)
    if (parts === undefined) return undefined
    const { authority, fragment, query, scheme, userInfo } = parts
    const open = options.hideHosts !== true
    const isPublic = open && (known.identifiers.has(text) || known.urls.has(`${scheme}${authority}${parts.path}`))
    const keepsHost = loopback.test(authority) || isPublic || (open && known.hosts.has(authority))
    const fields = query === undefined ? [] : [...new URLSearchParams(query)].map(field)
    return [
      scheme.toLowerCase(),
      userInfo === undefined ? "" : `${number(userInfo)}@`,
      keepsHost ? authority : `h${count(authority)}.test`,
      isPublic ? parts.path : path(parts.path),
      query === undefined ? "" : `?${fields.map(([name, value]) => `${name}=${plain(value)}`).join("&")}`,
      fragment === undefined ? "" : `#${number(fragment)}`
    ].join("")
  }

  /** A value that goes by a name. */
  const value = (name: string, text: string): Json => {
    if (words.values.has(text) && !words.hidden.has(name)) return text
    if (isScope(name) && options.hideHosts !== true && known.scopes.has(text)) return text
    if (words.durations.has(name) && /^\d{1,20}$/.test(text)) return text
    if (name === "error" && /^[a-z][a-z_]{0,39}$/.test(text)) return `other_${letters(count(text))}`
    if (name === "scope" && text.includes(" "))
      return text
        .split(" ")
        .map((one) => plain(value(name, one)))
        .join(" ")
    const read = jwt(text)
    if (read !== undefined) return read
    const isKnown = words.identifiers.has(name) && known.identifiers.has(text)
    // One that is written like a host or an address may tell whose it is.
    return url(text) ?? (isKnown && (options.hideHosts !== true || /^[\w-]+$/.test(text)) ? text : number(text))
  }

  const jwt = (text: string): Jwt | undefined => {
    const read = jwtOf(text)
    if (read === undefined) return undefined
    const { claims, header } = read
    const { at_hash, ...rest } = object(claims, 0)
    const hash = claims["at_hash"]
    const fits = typeof hash === "string" && verdicts.accessTokenHashes.has(hash)
    const signature = verdicts.signatures.get(text) ?? "unchecked"
    return {
      jwt: {
        token: number(text),
        header: object(header, 0),
        // Its own hash is of no use where the access token is a number: the replay makes one that fits, or does not.
        claims: at_hash === undefined ? rest : { ...rest, at_hash: fits ? "fits" : "differs" },
        signature
      }
    }
  }

  const object = (members: JsonObject, depth: number): JsonObject =>
    Object.fromEntries(Object.entries(members).map(([key, member]) => [name(key), json(key, member, depth + 1)]))

  const json = (name: string, member: Json, depth: number): Json => {
    if (depth > 20) return "…"
    if (member === null || typeof member === "boolean") return member
    if (typeof member === "string") return value(name, member)
    if (typeof member === "number") {
      if (words.durations.has(name)) return member
      if (words.instants.has(name)) return Math.round(member * 1000 - start) / 1000
      return number(String(member))
    }
    // Of a list, each under the list's name, `…_supported` by what it lists.
    return isObject(member) ? object(member, depth) : member.map((one: Json) => json(name, one, depth + 1))
  }

  const field = ([key, text]: readonly [string, string]): readonly [string, Json] => [name(key), value(key, text)]

  const body = (raw: RawBody): Body => {
    if (typeof raw !== "string") return { _tag: "Opaque", ...raw }
    if (raw === "") return { _tag: "Empty" }
    const parsed = raw.length > longestBody ? undefined : jsonOf(raw)
    return parsed === undefined ? { _tag: "Opaque", length: raw.length } : { _tag: "Json", value: json("", parsed, 0) }
  }

  const headers = (
    raw: Readonly<Record<string, string>>,
    isEndpoint: boolean
  ): Readonly<Record<string, string | number>> =>
    Object.fromEntries(
      Object.entries(raw).flatMap(([name, text]) => {
        const written = header(name.toLowerCase(), text, isEndpoint)
        return written === undefined ? [] : [[name.toLowerCase(), written] as const]
      })
    )

  /** Headers the protocols know; the others are left out. */
  const header = (name: string, text: string, isEndpoint: boolean): string | number | undefined => {
    switch (name) {
      case "accept":
      case "content-type":
        return words.mediaType(text)
      case "cache-control":
        return text.match(/\b(?:max-age=\d{1,9}|no-store|no-cache|public|private)\b/gi)?.join(", ")
      case "date":
        return secondsFromStart(text)
      case "retry-after":
        return /^\d{1,9}$/.test(text) ? text : secondsFromStart(text)
      case "location":
        return url(text) ?? number(text)
      case "www-authenticate":
        return challenge(text)
      case "authorization":
        return authorization(text, isEndpoint)
      case "cookie":
      case "set-cookie":
      case "dpop":
      case "dpop-nonce":
        return number(text)
      default:
        return undefined
    }
  }

  const secondsFromStart = (text: string) => {
    const millis = Date.parse(text)
    return Number.isNaN(millis) ? undefined : Math.round(millis - start) / 1000
  }

  const challenge = (text: string) => {
    const [, scheme = "", parameters = ""] = /^(\S+)\s*(.*)$/s.exec(text) ?? []
    const error = /\berror="([^"]*)"/.exec(parameters)?.[1]
    return `${words.values.has(scheme) ? scheme : number(scheme)}${error === undefined ? "" : ` error="${plain(value("error", error))}"`}`
  }

  const authorization = (text: string, isEndpoint: boolean) => {
    const [, scheme = "", rest = ""] = /^(\S+) +(.*)$/s.exec(text) ?? []
    if (!words.values.has(scheme)) return number(text)
    if (scheme.toLowerCase() !== "basic") return `${scheme} ${number(rest)}`
    const pair = basicOf(text)
    // Elsewhere than at a provider's endpoint the user name may be the secret (an API key).
    if (pair === undefined || !isEndpoint) return `${scheme} ${number(rest)}`
    return `${scheme} ${plain(value("client_id", pair.client))}:${number(pair.secret)}`
  }

  /** A value as a part of a text. */
  const plain = (written: Json): string =>
    isObject(written) ? plain(isObject(written["jwt"]) ? (written["jwt"]["token"] ?? "") : "") : String(written)

  return { body, field, headers, number, url, value }
}

const isScope = (name: string) => name === "scope" || name === "scopes_supported"

const publicParts = new Set(["", ".well-known", "openid-configuration", "oauth-authorization-server"])

const letters = (count: number): string =>
  count < 1 ? "" : letters(Math.floor((count - 1) / 26)) + String.fromCharCode(97 + ((count - 1) % 26))
