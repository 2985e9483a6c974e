/** A valid token: the stored one while it is fresh, which talks to nobody, else a renewed one. */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type { AwsRole } from "@keyfob/aws"
import { type AccessToken, Credential, LoginRequired, noHeaderLine } from "keyfob"
import { UsageError } from "./failure.ts"
import * as level from "./level.ts"
import { note } from "./output.ts"
import { oauthOf, type Provider, withRemedy } from "./provider.ts"
import { kept, stored } from "./stored.ts"
import * as store from "./store.ts"
import type { Workspace } from "./workspace.ts"

/** The provider's credential with a valid token in it. */
export const credential = (opened: Workspace, provider: Provider, minValidity = Duration.zero) =>
  Effect.gen(function* () {
    const fresh = yield* stored(provider, minValidity)
    if (Option.isSome(fresh)) return fresh.value
    const online = yield* Effect.promise(() => import("./online.ts"))
    const token = yield* online.token(provider, opened.globals, minValidity)
    const { key } = provider
    const renewed = yield* kept(provider)
    // Nothing is kept: of an app's own secret nothing ever is; otherwise somebody has signed out in this moment.
    if (Option.isNone(renewed) && key.subject === "client") {
      return Credential.make({ key, generation: 1, token, issuedAt: yield* DateTime.now })
    }
    if (Option.isNone(renewed))
      return yield* new LoginRequired({ reason: "NoCredential", issuer: key.issuer, account: key.account })
    return Credential.make({ ...renewed.value, token })
  }).pipe(Effect.provide(store.layer(opened, provider)), withRemedy(opened, provider))

/** A token that is had for the provider's. */
export const derived = (opened: Workspace, provider: Provider, at: level.Level, minValidity = Duration.zero) =>
  Effect.promise(() => import("./online.ts")).pipe(
    Effect.flatMap((online) => online.derived(provider, opened.globals, at, minValidity)),
    Effect.provide(store.layer(opened, provider)),
    withRemedy(opened, provider)
  )

/** Credentials of a role at AWS that are had for the provider's token. */
export const awsCredentials = (opened: Workspace, provider: Provider, role: AwsRole.Role) =>
  Effect.promise(() => import("./online.ts")).pipe(
    Effect.flatMap((online) => online.awsCredentials(provider, opened.globals, role)),
    Effect.provide(store.layer(opened, provider)),
    withRemedy(opened, provider)
  )

/** `presents`: whether the token will be sent with the client's certificate, which it may be bound to. */
export interface Use {
  readonly presents?: boolean
}

/** The provider's token, or one that is had for it, for whoever takes a token and nothing else. */
export const bearer = Effect.fnUntraced(function* (
  opened: Workspace,
  provider: Provider,
  flags: level.Flags,
  { presents = false }: Use = {}
) {
  const at = yield* level.of(flags)
  const token = Option.isSome(at)
    ? yield* derived(opened, provider, at.value)
    : (yield* credential(opened, provider)).token
  if (token.dpopKey !== undefined) {
    return yield* new UsageError({
      message: noHeaderLine,
      remedy: "Use keyfob's library for such requests, or sign in without dpop"
    })
  }
  if (!presents && (yield* isOfCertificate(provider, token))) {
    yield* note(
      opened.globals,
      "the token is bound to the client's certificate: whoever sends it has to present that in TLS (RFC 8705)"
    )
  }
  return token
})

/** Whether it is bound to a certificate: as the client asked for it, or as it says itself, where it can be read. */
const isOfCertificate = Effect.fnUntraced(function* (provider: Provider, { value }: AccessToken) {
  if (provider.key.certificateBoundAccessTokens === true) return true
  if (oauthOf(provider)?.certFile === undefined) return false
  const { Jwt } = yield* Effect.promise(() => import("./online.ts"))
  const jwt = yield* Effect.option(Jwt.decode(Redacted.value(value)))
  return Option.exists(jwt, ({ claims }) => Predicate.hasProperty(claims["cnf"], "x5t#S256"))
})

/** What a request to the provider's API has to carry. */
export const headers = Effect.fnUntraced(function* (
  opened: Workspace,
  provider: Provider,
  flags: level.Flags,
  use?: Use
) {
  const token = yield* bearer(opened, provider, flags, use)
  // A token that is renewed or derived goes into `Authorization`. Only of other providers is it asked what their headers are, since
  // setting one to work may take secrets that are not at hand.
  if (provider.renewable || Option.isSome(yield* level.of(flags))) return { Authorization: token.authorization }
  const online = yield* Effect.promise(() => import("./online.ts"))
  return yield* online
    .headers(provider, opened.globals)
    .pipe(Effect.provide(store.layer(opened, provider)), withRemedy(opened, provider))
})
