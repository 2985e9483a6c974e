/** Where requests may go. */
import * as Effect from "effect/Effect"
import { ConfigurationInvalid, isSecure, printable } from "keyfob"

/**
 * An address that is configured: https, or http on a loopback address, of a host and a path.
 *
 * @param kind `service`: an origin, with nothing behind the host
 */
export const addressOf = (
  setting: string,
  text: string,
  kind: "service" | "page"
): Effect.Effect<string, ConfigurationInvalid> => {
  const url = URL.parse(text)
  if (url === null || url.href !== url.origin + url.pathname || (kind === "service" && url.pathname !== "/")) {
    const detail = `${setting}: ${kind === "service" ? "an origin such as https://api.example.com" : "a URL of a host and a path, nothing else"}`
    return Effect.fail(new ConfigurationInvalid({ reason: "InvalidValue", detail }))
  }
  if (isSecure(url)) return Effect.succeed(kind === "service" ? url.origin : url.href)
  return Effect.fail(
    new ConfigurationInvalid({ reason: "InsecureUrl", detail: `${setting} at ${printable(url.host)}` })
  )
}
