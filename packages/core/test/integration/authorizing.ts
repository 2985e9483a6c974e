/** Logins by browser at the embedded provider, whose pages are walked by HTTP. */
import { clients, EmbeddedProvider, Person } from "@keyfob/embedded"
import { Effect, Redacted } from "effect"
import { AuthorizationCode, type Begun, Login } from "keyfob"
import { named } from "../scripted.ts"

/** No one listens there: the answers are brought by hand. */
export const redirectUri = "http://127.0.0.1:49152/callback"

export const flowWith = (options: Partial<AuthorizationCode.AuthorizationCodeOptions> = {}) =>
  EmbeddedProvider.use(({ issuer }) =>
    Effect.succeed(
      AuthorizationCode.make({ issuer, clientId: clients.cli.id, scopes: ["openid", "offline_access"], ...options })
    )
  )

/** Where the provider sends the person's browser in the end. */
export const answerTo = ({ url }: Begun, options: Person.ApproveOptions = {}) =>
  Effect.map(Person.approve(Redacted.value(url), { followRedirect: false, ...options }), ({ url }) => url)

/** A request whose address somebody has changed before the browser went there; undefined takes a parameter out. */
export const changed = (begun: Begun, parameters: Readonly<Record<string, string | undefined>>): Begun => {
  const url = new URL(Redacted.value(begun.url))
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined) url.searchParams.delete(name)
    else url.searchParams.set(name, value)
  }
  return { ...begun, url: Redacted.make(url.href) }
}

/** What a login comes to whose person goes where `sends` leads them. */
export const endOf = Effect.fnUntraced(function* (
  flow: AuthorizationCode.AuthorizationCodeFlow,
  sends: (begun: Begun) => Effect.Effect<string, Person.PersonError> = (begun) => answerTo(begun)
) {
  const begun = yield* Login.begin(flow, { redirectUri })
  const result = yield* Effect.result(Login.complete(flow, begun.pending, yield* sends(begun)))
  return result._tag === "Success" ? "signed in" : named(result.failure)
})
