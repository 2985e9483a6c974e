/** From what is configured for a provider to what the library needs to know: where its credential is kept, and how it is obtained. */
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { OAuthSettings } from "@keyfob/node/ProviderSettings"
import {
  type AuthError,
  adviceOf,
  ConfigurationInvalid,
  type CredentialKey,
  type FlowOptions,
  grantTypes,
  type OAuthClient,
  partsOf,
  printable
} from "keyfob"
import { Failure } from "./failure.ts"
import { commandFor, type Configured, type Workspace } from "./workspace.ts"

/** A provider of a type this command serves, ready for use. */
export interface Provider {
  readonly context: string
  readonly name: string
  readonly settings: OAuthSettings
  /** The client secret, if there is one: defaults < file < environment < flags. */
  readonly secret: Redacted.Redacted | undefined
  /** The client's private key, PEM or JWK, where it is no file that the settings name. */
  readonly privateKey: Redacted.Redacted | undefined
  /** What opens the private key, where it is encrypted. */
  readonly passphrase: Redacted.Redacted | undefined
  /** What the credential is kept under. */
  readonly key: CredentialKey
}

/** Secrets from the environment or a flag, and whether the provider is the only one this call is about. */
export interface Outside {
  readonly secret?: Redacted.Redacted | undefined
  readonly privateKey?: Redacted.Redacted | undefined
  /** Of whichever key: it is for this machine alone. */
  readonly passphrase?: Redacted.Redacted | undefined
  readonly named: boolean
}

/**
 * The provider with the secrets that are meant for it. A secret from outside the file goes to the provider that was named;
 * of several, to those that have none of their own and whose settings call for one. It must not reach the endpoint of
 * another provider.
 */
export const resolve = Effect.fnUntraced(function* (
  { context, name, settings }: Configured,
  outside: Outside
): Effect.fn.Return<Provider, ConfigurationInvalid> {
  if (settings.type !== "oauth") {
    return yield* notSupported(`provider ${printable(name)} is of type ${settings.typeName}; this keyfob knows oauth`)
  }
  return {
    context,
    name,
    settings,
    secret: secretOf(settings, outside),
    privateKey: privateKeyOf(settings, outside),
    passphrase: outside.passphrase,
    key: keyOf({ context, name, settings })
  }
})

const secretOf = (settings: OAuthSettings, outside: Outside) => {
  if (settings.clientAuth === "none") return undefined
  if (outside.named) return outside.secret ?? settings.clientSecret
  return settings.clientSecret ?? (callsForSecret(settings) ? outside.secret : undefined)
}

const privateKeyOf = (settings: OAuthSettings, { named, privateKey }: Outside) => {
  const own = settings.privateKey
  if (settings.clientAuth !== undefined && settings.clientAuth !== "private_key_jwt") return undefined
  if (named) return privateKey ?? own
  const callsForKey = settings.clientAuth === "private_key_jwt" && settings.privateKeyFile === undefined
  return own ?? (callsForKey ? privateKey : undefined)
}

const callsForSecret = ({ clientAuth, flow }: OAuthSettings) =>
  flow === "client_credentials" || clientAuth?.startsWith("client_secret_") === true

/** Which server it is. */
export const serverOf = ({ endpoints, issuer }: OAuthSettings): OAuthClient.ServerOptions => ({
  issuer,
  ...(endpoints === undefined ? {} : { endpoints })
})

/** What a flow is made from, without the client's authentication. */
export const flowOptions = ({
  context,
  name,
  settings
}: Pick<Provider, "context" | "name" | "settings">): FlowOptions => {
  const { audience, clientId, dpop, params, resource, scopes } = settings
  return {
    ...serverOf(settings),
    clientId,
    account: accountOf(context, name),
    ...(scopes === undefined ? {} : { scopes }),
    ...(audience === undefined ? {} : { audience }),
    ...(resource === undefined ? {} : { resource }),
    ...(params === undefined ? {} : { params }),
    ...(dpop === undefined ? {} : { dpop })
  }
}

/** Names may have slashes in them: `a/b` and `c` are somebody else than `a` and `b/c`. */
const accountOf = (...names: ReadonlyArray<string>) =>
  names.map((name) => name.replaceAll(/[%/]/g, encodeURIComponent)).join("/")

const keyOf = (provider: Pick<Provider, "context" | "name" | "settings">) => {
  const { flow } = provider.settings
  if (flow === "jwt_bearer") return partsOf("client", flowOptions(provider), { grant_type: grantTypes.jwtBearer }).key
  return partsOf(flow === "client_credentials" ? "client" : "user", flowOptions(provider)).key
}

/** Whether its flow needs nobody. */
export const isMachine = ({ flow }: OAuthSettings) => flow === "client_credentials" || flow === "jwt_bearer"

export const notSupported = (detail: string) => new ConfigurationInvalid({ reason: "NotSupported", detail })

/** Remedies that name the command to run, for this provider. */
export const withRemedy =
  (workspace: Workspace, provider: Pick<Configured, "context" | "name">) =>
  <A, E extends AuthError | Failure, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, Failure, R> =>
    Effect.mapError(effect, (error: AuthError | Failure) =>
      error._tag === "Failure"
        ? error
        : new Failure({
            error,
            remedy: adviceOf(error).remedy.replace(/keyfob (login|refresh)/g, (_, command: string) =>
              commandFor(workspace, command, provider)
            )
          })
    )
