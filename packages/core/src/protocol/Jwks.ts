import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { JSONWebKeySet } from "jose"
import type { AnswerRejected, ProviderUnavailable } from "../AuthError.ts"
import { malformed, objectOf, send } from "./HttpExchange.ts"
import type { ProviderClock } from "./ProviderClock.ts"

/** What a provider's tokens are verified with: its public keys (RFC 7517), kept for as long as their `Cache-Control` says, and its clock. */
export interface Jwks {
  /**
   * The keys; fetched when there are none or they are too old. While the provider is away, old keys go on serving. A set
   * is never changed: other keys are another object.
   */
  readonly keys: Effect.Effect<JSONWebKeySet, ProviderUnavailable | AnswerRejected>
  /** The keys after a token named one that is not among them: fetched again, at most once in half a minute. */
  readonly refetched: Effect.Effect<JSONWebKeySet, ProviderUnavailable | AnswerRejected>
  /** What time it is where the tokens are dated. */
  readonly clock: Pick<ProviderClock, "now">
}

// Symmetric keys are dropped: a public document cannot hold a secret, so an HMAC "verified" with it proves nothing.
const KeySet = Schema.Struct({
  keys: Schema.Array(Schema.Record(Schema.String, Schema.Unknown))
})

const minute = 60_000
const coolDown = minute / 2

export const make = (http: HttpClient.HttpClient, uri: string, clock: Jwks["clock"]): Effect.Effect<Jwks> =>
  Effect.sync(() => {
    const flight = Semaphore.makeUnsafe(1)
    const held = Ref.makeUnsafe(Option.none<{ keys: JSONWebKeySet; freshUntil: number }>())
    const lastTry = Ref.makeUnsafe(Number.NEGATIVE_INFINITY)

    const fetchKeys = Effect.fn("keyfob.jwks")(
      function* () {
        const now = yield* Clock.currentTimeMillis
        const answer = yield* send(http, "jwks", HttpClientRequest.get(uri), "idempotent")
        if (answer.status !== 200) return yield* malformed(answer, `status ${answer.status}`)
        const document = yield* objectOf(answer)
        const set = yield* Effect.mapError(Schema.decodeUnknownEffect(KeySet)(document), () =>
          malformed(answer, "not a JWK set")
        )
        const keys = set.keys.filter(
          (key) => typeof key["kty"] === "string" && key["kty"] !== "oct" && key["use"] !== "enc"
        )
        // Equal keys stay the same object, so that keys that were imported from them can be used on.
        const old = Option.filter(yield* Ref.get(held), (old) => Equal.equals(old.keys.keys, keys))
        const next = {
          // jose checks each key's members when it imports the one it needs
          keys: Option.match(old, { onNone: () => ({ keys }) as JSONWebKeySet, onSome: (old) => old.keys }),
          freshUntil: now + timeToLive(answer.headers["cache-control"])
        }
        yield* Ref.set(held, Option.some(next))
        return next.keys
      },
      // Counted from the end: an attempt may itself take longer than the cool-down.
      Effect.ensuring(Effect.flatMap(Clock.currentTimeMillis, (now) => Ref.set(lastTry, now)))
    )

    /** The old keys if there are any, when fetching fails. */
    const orOld = Effect.catch((error: ProviderUnavailable | AnswerRejected) =>
      Effect.flatMap(
        Ref.get(held),
        Option.match({
          onNone: () => Effect.fail(error),
          onSome: (old) =>
            Effect.as(Effect.logDebug("keyfob: keys could not be fetched again, the old ones serve on"), old.keys)
        })
      )
    )

    /** The keys that can be used without a request: any right after an attempt, else fresh ones, where `freshWillDo`. */
    const atHand = (freshWillDo: boolean) =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const resting = now < (yield* Ref.get(lastTry)) + coolDown
        return Option.filter(yield* Ref.get(held), ({ freshUntil }) => resting || (freshWillDo && now < freshUntil))
      })

    /** The keys at hand, else fetched ones. Looks twice, since others may have fetched while we waited for our turn. */
    const orFetched = (found: ReturnType<typeof atHand>) => {
      const orElse = <E>(otherwise: Effect.Effect<JSONWebKeySet, E>) =>
        Effect.flatMap(found, Option.match({ onNone: () => otherwise, onSome: ({ keys }) => Effect.succeed(keys) }))
      return orElse(flight.withPermit(orElse(orOld(fetchKeys()))))
    }

    return { keys: orFetched(atHand(true)), refetched: orFetched(atHand(false)), clock }
  })

/** Milliseconds to keep an answer (RFC 9111): its `max-age` within 1 minute to 1 day; 10 minutes where it says nothing. */
const timeToLive = (cacheControl: string | undefined) => {
  const maxAge = /(?:^|[\s,])max-age=(\d{1,9})/i.exec(cacheControl ?? "")?.[1]
  if (maxAge === undefined) return 10 * minute
  return Math.min(Math.max(Number(maxAge) * 1000, minute), 24 * 60 * minute)
}
