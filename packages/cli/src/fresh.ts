/** A valid token: the stored one while it is fresh, which talks to nobody, else a renewed one. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import { Credential, CredentialStore, LoginRequired, RefreshPolicy } from "keyfob"
import type { CommandError } from "./failure.ts"
import { type Provider, withRemedy } from "./provider.ts"
import type * as secret from "./secret.ts"
import * as store from "./store.ts"
import * as target from "./target.ts"
import * as workspace from "./workspace.ts"

interface Flags extends secret.Flags {
  readonly provider: Option.Option<string>
  readonly minValidity?: Duration.Duration
}

export interface Valid {
  readonly opened: workspace.Workspace
  readonly provider: Provider
  readonly credential: Credential
}

/** The provider, and its credential with a valid token in it. */
export const credentialOf = Effect.fnUntraced(function* (
  flags: Flags
): Effect.fn.Return<Valid, CommandError, workspace.Services | FileSystem.FileSystem | Path.Path> {
  const opened = yield* workspace.open
  const provider = yield* target.one(opened, flags.provider, flags)
  const minValidity = flags.minValidity ?? Duration.zero

  const valid = Effect.gen(function* () {
    const { get } = yield* CredentialStore
    const stored = yield* get(provider.key)
    const now = yield* Clock.currentTimeMillis
    if (Option.isSome(stored) && RefreshPolicy.isFresh(stored.value, now, minValidity)) return stored.value
    const { withTokens } = yield* Effect.promise(() => import("./online.ts"))
    const token = yield* withTokens(provider, opened.globals, (source) => source.tokenValidFor(minValidity))
    const renewed = yield* get(provider.key)
    if (Option.isNone(renewed)) {
      return yield* new LoginRequired({
        reason: "NoCredential",
        issuer: provider.key.issuer,
        account: provider.key.account
      })
    }
    return Credential.make({ ...renewed.value, token })
  })
  const credential = yield* valid.pipe(Effect.provide(store.layer(opened, provider)), withRemedy(opened, provider))
  return { opened, provider, credential }
})

/** The token alone. */
export const tokenOf = (flags: Flags) => Effect.map(credentialOf(flags), ({ credential }) => credential.token)
