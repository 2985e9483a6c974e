import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { LoginRequired } from "../AuthError.ts"
import type { Credential, CredentialKey } from "../Credential.ts"
import * as RefreshPolicy from "./RefreshPolicy.ts"
import type { TokenError } from "./Renewal.ts"

/** Something that happened to a credential, to be shown, logged or counted. Holds no secret. */
export type TokenEvent =
  /** There is a next token: by an exchange of ours, or found where somebody else made it. */
  | {
      readonly _tag: "Renewed" | "Adopted"
      readonly key: CredentialKey
      readonly generation: number
      readonly expiresAt: DateTime.Utc | undefined
    }
  /** A renewal failed and took nothing away. `adviceOf(error)` says whether it passes, and who has to act. */
  | { readonly _tag: "Transient"; readonly key: CredentialKey; readonly error: Exclude<TokenError, LoginRequired> }
  /** Only a person can go on. Told once, however many callers hear it. */
  | { readonly _tag: "LoginRequired"; readonly key: CredentialKey; readonly error: LoginRequired }
  /** The refresh token ends at `endsAt`, and no renewal has moved that so far. Told once for each such end. */
  | { readonly _tag: "RefreshTokenEndsSoon"; readonly key: CredentialKey; readonly endsAt: DateTime.Utc }

/** Those who observe, and the ways to be one. */
export const observable = () => {
  const observers = new Set<(event: TokenEvent) => void>()
  const observe = (observer: (event: TokenEvent) => void): Effect.Effect<void, never, Scope.Scope> =>
    Effect.acquireRelease(
      Effect.sync(() => observers.add(observer)),
      () => Effect.sync(() => observers.delete(observer))
    )
  return {
    /** Tells all of them. What one throws is thrown when all have heard. */
    tell: (event: TokenEvent) => {
      const trouble: Array<unknown> = []
      for (const observer of observers) {
        try {
          observer(event)
        } catch (thrown) {
          trouble.push(thrown)
        }
      }
      if (trouble.length > 0) throw trouble[0]
    },
    observe,
    events: Stream.callback<TokenEvent>((queue) => observe((event) => Queue.offerUnsafe(queue, event)), {
      bufferSize: 64,
      strategy: "sliding"
    })
  }
}

/** Tells of one credential: to the metric `keyfob_token_events` (attribute `event`) and to whoever observes it. */
export const observed = (key: CredentialKey) => {
  const { events, observe, tell } = observable()
  const publish = (event: TokenEvent) =>
    Effect.andThen(
      // What an observer throws is its own trouble: no renewal fails over it. What it says might hold anything.
      Effect.catchDefect(
        Effect.sync(() => tell(event)),
        () => Effect.logError("an observer of token events threw")
      ),
      Metric.update(Metric.withAttributes(counter, { event: event._tag }), 1)
    )
  let reason: LoginRequired["reason"] | undefined
  let warnedOf: number | undefined
  return {
    observe,
    events,
    gained: (outcome: "renewed" | "adopted", { generation, token }: Credential) => {
      reason = undefined
      const _tag = outcome === "renewed" ? "Renewed" : "Adopted"
      return publish({ _tag, key, generation, expiresAt: token.expiresAt })
    },
    lost: (error: TokenError) => {
      if (error._tag !== "LoginRequired") return publish({ _tag: "Transient", key, error })
      if (reason === error.reason) return Effect.void
      reason = error.reason
      return publish({ _tag: "LoginRequired", key, error })
    },
    /** If it is time for that. */
    warn: Effect.fnUntraced(function* (credential: Credential) {
      const { refreshExpiresAt: endsAt } = credential
      const point = RefreshPolicy.warningPoint(credential)
      if (endsAt === undefined || point === undefined || warnedOf === DateTime.toEpochMillis(endsAt)) return
      if ((yield* Clock.currentTimeMillis) < DateTime.toEpochMillis(point)) return
      warnedOf = DateTime.toEpochMillis(endsAt)
      yield* publish({ _tag: "RefreshTokenEndsSoon", key, endsAt })
    })
  }
}

const counter = Metric.counter("keyfob_token_events", {
  description: "What happened to credentials, by event",
  incremental: true
})
