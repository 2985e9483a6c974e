/** The flags that say what a provider is: `login` and `context add` have them. */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import type * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { OAuthSettings, type ProviderEntry, stores } from "@keyfob/node/ProviderSettings"
import * as Precedence from "@keyfob/node/Precedence"
import { resolve } from "node:path"
import { OAuthSettings as OAuth, printable, ProviderType } from "keyfob"
import { UsageError } from "./failure.ts"
import { oauthOf } from "./provider.ts"
import { oauth } from "./types.ts"

const text = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description), Flag.optional)

export const flags = {
  issuer: text("issuer", "URL", "The provider's issuer URL"),
  clientId: text("client-id", "ID", "The client id the provider gave"),
  flow: Flag.Literals("flow", OAuth.flows).pipe(Flag.withDescription("How to sign in"), Flag.optional),
  scope: Flag.String("scope").pipe(
    Flag.withMetavar('"A B"'),
    Flag.withDescription("The scopes to ask for"),
    Flag.atLeast(0)
  ),
  audience: text("audience", "A", "The API the token is for, where the provider wants it so"),
  resource: Flag.String("resource").pipe(
    Flag.withMetavar("URI"),
    Flag.withDescription("The API the token is for (RFC 8707); may be repeated"),
    Flag.atLeast(0)
  ),
  clientAuth: Flag.Literals("client-auth", OAuth.clientAuths).pipe(
    Flag.withDescription("How the client proves who it is"),
    Flag.optional
  ),
  assertionFile: text(
    "assertion-file",
    "FILE",
    "The JWT that the jwt_bearer flow signs in with; read for each request"
  ),
  privateKeyFile: text("private-key-file", "FILE", "The key the client signs with, PEM or JWK [or KEYFOB_PRIVATE_KEY]"),
  privateKeyPassphraseFile: text(
    "private-key-passphrase-file",
    "FILE",
    "What opens an encrypted private key [or KEYFOB_PRIVATE_KEY_PASSPHRASE]"
  ),
  certFile: text("cert-file", "FILE", "The client's certificate, PEM (RFC 8705); alone it is the private key's"),
  keyFile: text("key-file", "FILE", "The key of the client's certificate, PEM"),
  redirectPort: Flag.Int("redirect-port").pipe(
    Flag.withMetavar("PORT"),
    Flag.withDescription("The port of the redirect URI; 0 is any free one"),
    Flag.filter(
      (port) => port >= 0 && port <= 65_535,
      () => "a port from 0 to 65535"
    ),
    Flag.optional
  ),
  param: Flag.KeyValuePair("param").pipe(
    Flag.withDescription("A further request parameter, NAME=VALUE; may be repeated"),
    Flag.optional
  ),
  endpoint: Flag.KeyValuePair("endpoint").pipe(
    Flag.withDescription("An endpoint, NAME=URL, for a server without a discovery document; may be repeated"),
    Flag.optional
  ),
  profile: Flag.Literals("profile", ["generic", "auth0"]).pipe(
    Flag.withDescription("What the provider does otherwise than others; default: by the issuer's address"),
    Flag.optional
  ),
  bearer: Flag.Literals("bearer", OAuth.bearers).pipe(
    Flag.withDescription("Which of its tokens goes on requests"),
    Flag.optional
  ),
  dpop: Flag.Boolean("dpop").pipe(Flag.withDescription("Bind the tokens to a key (RFC 9449)"), Flag.optional),
  certificateBoundAccessTokens: Flag.Boolean("certificate-bound-access-tokens").pipe(
    Flag.withDescription("Refuse tokens that are not bound to the client's certificate (RFC 8705)"),
    Flag.optional
  ),
  store: Flag.Literals("store", stores).pipe(Flag.withDescription("Where to keep the credential"), Flag.optional)
}

export type Given = Command.Command.Config.Infer<typeof flags>

/** Made absolute, since the configuration is read from other directories than the one the flag was given in. */
const pathOf = (path: Option.Option<string>) =>
  Option.getOrUndefined(Option.map(path, (path) => (path.startsWith("~") ? path : resolve(path))))

/** What the flags say; silence is `undefined`. */
const spoken = (given: Given): Precedence.Partially<OAuthSettings> => ({
  issuer: Option.getOrUndefined(given.issuer),
  clientId: Option.getOrUndefined(given.clientId),
  flow: Option.getOrUndefined(given.flow),
  scopes:
    given.scope.length === 0
      ? undefined
      : given.scope.flatMap((list) => list.split(/\s+/).filter((scope) => scope !== "")),
  audience: Option.getOrUndefined(given.audience),
  resource: given.resource.length === 0 ? undefined : given.resource,
  clientAuth: Option.getOrUndefined(given.clientAuth),
  assertionFile: pathOf(given.assertionFile),
  privateKeyFile: pathOf(given.privateKeyFile),
  privateKeyPassphraseFile: pathOf(given.privateKeyPassphraseFile),
  certFile: pathOf(given.certFile),
  keyFile: pathOf(given.keyFile),
  redirectPort: Option.getOrUndefined(given.redirectPort),
  params: Option.getOrUndefined(given.param),
  endpoints: Option.getOrUndefined(given.endpoint),
  profile: Option.getOrUndefined(given.profile),
  bearer: Option.getOrUndefined(given.bearer),
  dpop: Option.getOrUndefined(given.dpop),
  certificateBoundAccessTokens: Option.getOrUndefined(given.certificateBoundAccessTokens),
  store: Option.getOrUndefined(given.store)
})

/** Whether the flags say anything at all. */
export const areGiven = (given: Given) => Object.values(spoken(given)).some((value) => value !== undefined)

/** The settings that hold: what is configured, changed only where a flag says so. Without both, a usage error. */
const settings = Effect.fnUntraced(function* (
  given: Given,
  configured: OAuthSettings | undefined
): Effect.fn.Return<OAuthSettings, UsageError> {
  const said = spoken(given)
  const issuer = said.issuer ?? configured?.issuer
  const clientId = said.clientId ?? configured?.clientId
  if (!issuer || !clientId) {
    return yield* new UsageError({
      message: "a provider that is not configured yet needs --issuer and --client-id",
      remedy: "Give both, or add the provider to config.toml"
    })
  }
  return Precedence.resolve<OAuthSettings>({ type: "oauth", issuer, clientId }, configured ?? {}, said)
})

const type = ProviderType.known(oauth)

/** A provider as if the file had it, and which of its settings to write there for that. */
export const described = Effect.fnUntraced(function* (
  place: ProviderType.Place,
  given: Given,
  before: ProviderEntry | undefined
) {
  if (before?.invalid !== undefined) return yield* before.invalid
  if (before !== undefined && before.type !== type.name) return yield* moved(place, given, before)
  const said = yield* settings(given, before && oauthOf(before))
  const table = yield* Effect.mapError(Schema.encodeEffect(OAuthSettings)(said), ProviderType.invalidOf)
  const known = yield* Effect.mapError(type.configure(table, place), ProviderType.invalidOf)
  const entry: ProviderEntry = {
    type: type.name,
    table: Redacted.make({ ...table }),
    known,
    ...(said.store === undefined ? {} : { store: said.store }),
    ...(said.storeUrl === undefined ? {} : { storeUrl: said.storeUrl })
  }
  return { ...place, settings: entry, said: saidOf(before, table) }
})

/** Only what the flags change. The rest comes from the file, which may have changed by the time it is written, or the environment. */
const saidOf = (before: ProviderEntry | undefined, table: Readonly<Record<string, unknown>>) => {
  const known = before === undefined ? {} : Redacted.value(before.table)
  return Object.fromEntries(Object.entries(table).filter(([key, value]) => !Equal.equals(value, known[key])))
}

/** Of a provider of another type, the flags may say where its credential is kept. */
const moved = Effect.fnUntraced(function* (place: ProviderType.Place, given: Given, before: ProviderEntry) {
  const { store, ...rest } = spoken(given)
  if (store === undefined || Object.values(rest).some((value) => value !== undefined)) {
    return yield* new UsageError({
      message: `provider ${printable(place.name)} is of type ${printable(before.type)}, of which flags say --store alone`,
      remedy: "Set the rest in config.toml: keyfob provider list shows what there is"
    })
  }
  const table = Redacted.make({ ...Redacted.value(before.table), store })
  return { ...place, settings: { ...before, store, table }, said: { store } }
})
