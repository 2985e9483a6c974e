/** Where requests may go. */
import * as Effect from "effect/Effect"
import { ConfigurationInvalid, HttpExchange, isSecure, printable } from "keyfob"

/** A service: https, or http on a loopback address, and nothing behind the host. */
export const originOf = (setting: string, url: string): Effect.Effect<string, ConfigurationInvalid> => {
  const parsed = URL.parse(url)
  const detail = `${setting}: an origin such as https://api.example.com`
  if (parsed === null || url.replace(/\/$/, "").toLowerCase() !== parsed.origin) {
    return Effect.fail(new ConfigurationInvalid({ reason: "InvalidValue", detail }))
  }
  if (isSecure(parsed)) return Effect.succeed(parsed.origin)
  const where = printable(HttpExchange.hostOf(url))
  return Effect.fail(new ConfigurationInvalid({ reason: "InsecureUrl", detail: `${setting} at ${where}` }))
}

/** The same for an address in full, which may have a path. */
export const addressOf = (setting: string, url: string): Effect.Effect<string, ConfigurationInvalid> => {
  const parsed = URL.parse(url)
  if (parsed === null || [parsed.username, parsed.password, parsed.search, parsed.hash].some((part) => part !== "")) {
    const detail = `${setting}: a URL of a host and a path, nothing else`
    return Effect.fail(new ConfigurationInvalid({ reason: "InvalidValue", detail }))
  }
  if (isSecure(parsed)) return Effect.succeed(parsed.href)
  return Effect.fail(new ConfigurationInvalid({ reason: "InsecureUrl", detail: `${setting} at ${parsed.host}` }))
}
