/** A token as a name and a password, for tools that know nothing else. */
import * as Flag from "effect/cli/Flag"
import * as Redacted from "effect/Redacted"
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import type { AccessToken } from "keyfob"

/** Who is told, under which name, and whose token. */
export const flags = {
  host: Flag.String("host").pipe(
    Flag.withMetavar("HOST"),
    Flag.withDescription("The host the token is for, with its port if it has one; no other is told it")
  ),
  username: Flag.String("username").pipe(
    Flag.withDescription("What the host wants for a name beside a token"),
    Flag.withDefault("oauth2")
  ),
  provider: Flag.String("provider").pipe(Flag.withDescription("A provider of the context"), Flag.optional)
}

/** A provider of type `basic` has a name and a password; any token takes the place of one. */
export const of = ({ type, value }: AccessToken, username: string): readonly [name: string, password: string] => {
  const text = type === "Basic" ? Result.getOrElse(Base64.decodeString(Redacted.value(value)), () => "") : ""
  const at = text.indexOf(":")
  return at < 0 ? [username, Redacted.value(value)] : [text.slice(0, at), text.slice(at + 1)]
}
