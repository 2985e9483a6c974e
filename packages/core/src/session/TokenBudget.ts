/**
 * How many token requests of a client its provider still takes. Counted before each is sent, also
 * the second try of one, over all processes on the same store, whatever scopes or audiences they ask for; a logout takes
 * nothing back. It warns, and never stops anybody.
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as HttpClient from "effect/http/HttpClient"
import { type ConfigurationInvalid, printable, type StoreFailed } from "../AuthError.ts"
import type { Flow, TokenBudget, UnattendedFlow } from "../flow/Flow.ts"
import * as OAuthClient from "../protocol/OAuthClient.ts"
import { CredentialStore } from "../store/CredentialStore.ts"
import * as StoreNote from "../store/StoreNote.ts"

/** What is spent of a budget in the period that runs. */
export interface Spent {
  readonly used: number
  readonly limit: number
  /** When the period began: with the first request after the last one was over. */
  readonly since: DateTime.Utc
  readonly until: DateTime.Utc
  /** Whether it is time to do something about it: four fifths are spent. */
  readonly isLow: boolean
}

/** From when on to warn, as a share of the limit. */
const lowFrom = 0.8

const Requests = Schema.Struct({ since: Schema.Finite, used: Schema.Int })
const note = StoreNote.make("token_requests", Requests, { since: 0, used: 0 })

const keyOf = ({ clientId, issuer }: UnattendedFlow["key"]) =>
  note.keyOf({ issuer, clientId, account: "token-requests" })

const standing = (requests: typeof Requests.Type, { limit, per }: TokenBudget, now: number): Spent => {
  const period = Duration.toMillis(Duration.fromInputUnsafe(per))
  const { since, used } = requests
  // A clock that was set back, or another host's that is behind, makes no period longer than it is, and takes no request back.
  const [began, spent] = used > 0 && now < since + period ? [Math.min(since, now), used] : [now, 0]
  return {
    used: spent,
    limit,
    since: DateTime.makeUnsafe(began),
    until: DateTime.makeUnsafe(began + period),
    isLow: spent >= limit * lowFrom
  }
}

/** What is spent, from what is stored alone. */
export const spent = Effect.fnUntraced(function* (
  key: UnattendedFlow["key"],
  budget: TokenBudget
): Effect.fn.Return<Spent, StoreFailed, CredentialStore> {
  const { get } = yield* CredentialStore
  const stored = yield* StoreNote.undamaged(get(keyOf(key)))
  return standing(note.in(stored), budget, yield* Clock.currentTimeMillis)
})

/** The flow's client. Where there is a budget, it counts each token request, and nothing else that is posted on the way. */
export const clientOf = Effect.fnUntraced(function* (
  flow: Flow<unknown>
): Effect.fn.Return<OAuthClient.OAuthClient, ConfigurationInvalid, HttpClient.HttpClient | CredentialStore> {
  if (flow.attended || flow.budget === undefined) return yield* OAuthClient.make(flow.client)
  const counting = count(flow.key, flow.budget, yield* CredentialStore)
  const http = HttpClient.tapRequest(yield* HttpClient.HttpClient, ({ method, url }) =>
    method === "POST"
      ? Effect.ignore(Effect.flatMap(client.endpoint("token"), (token) => (url === token ? counting : Effect.void)))
      : Effect.void
  )
  const client: OAuthClient.OAuthClient = yield* Effect.provideService(
    OAuthClient.make(flow.client),
    HttpClient.HttpClient,
    http
  )
  return client
})

/** Counts the request that is about to be sent. A count that fails, or hangs, is no reason to be without a token. */
const count = (
  key: UnattendedFlow["key"],
  budget: TokenBudget,
  { modify }: CredentialStore["Service"]
): Effect.Effect<void> =>
  modify(
    keyOf(key),
    Effect.fnUntraced(function* (slot) {
      const stored = yield* StoreNote.undamaged(slot.read)
      const { since, used } = standing(note.in(stored), budget, yield* Clock.currentTimeMillis)
      const requests = { since: since.epochMilliseconds, used: used + 1 }
      yield* note.write(slot, keyOf(key), stored, requests)
      return standing(requests, budget, requests.since)
    })
  ).pipe(
    Effect.flatMap((spent) => (spent.isLow ? Effect.logWarning(sentenceOf(key.clientId, spent)) : Effect.void)),
    Effect.interruptible,
    Effect.timeout("5 seconds"),
    Effect.ignore
  )

/** What helps where it runs low. */
export const remedy =
  "Let its programs share one store, where they find each other's tokens, or ask the provider for more"

const sentenceOf = (clientId: string, { limit, until, used }: Spent): string =>
  `${used} of ${limit} token requests of client ${printable(clientId)} are spent until ${DateTime.formatIso(until)}. ${remedy}`
