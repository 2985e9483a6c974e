/** Where credentials may go. */
import * as Effect from "effect/Effect"
import { ConfigurationInvalid, printable } from "../AuthError.ts"
import { isLoopback } from "./Reach.ts"

/** Whether a URL may carry credentials: https, or http on a loopback address; no user info, no fragment. */
export const isSecure = (url: URL) =>
  (url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname))) &&
  url.username === "" &&
  url.password === "" &&
  url.hash === ""

/**
 * A URL of a host and a path, as it is written. What a parser would mend (blanks, backslashes, slashes that are missing or too
 * many, an encoded host) is none: who reads it another way would find another host there.
 */
export const plainUrl = (text: string): URL | null =>
  /^[a-z]+:\/\/[^/\s\p{C}\\?#%]+(\/[^\s\p{C}\\?#]*)?$/iu.test(text) ? URL.parse(text) : null

/**
 * A secure URL of a host and a path, as somebody configured it. What is none is not repeated: it may hold a password.
 *
 * @param setting what it is called where it is configured
 */
export const configuredUrl = (setting: string, text: string): Effect.Effect<URL, ConfigurationInvalid> => {
  const url = plainUrl(text)
  if (url === null || url.hostname === "" || url.username !== "" || url.password !== "") {
    const detail = `${setting}: a URL of a host and a path, such as https://api.example.com`
    return Effect.fail(new ConfigurationInvalid({ reason: "InvalidValue", detail }))
  }
  return isSecure(url)
    ? Effect.succeed(url)
    : Effect.fail(new ConfigurationInvalid({ reason: "InsecureUrl", detail: `${setting} ${printable(url.href)}` }))
}
