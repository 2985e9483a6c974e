/**
 * What a caller sees of each trouble, and what is left when it is over: the table of docs/reliability.md, made by running
 * all of it on the simulated provider and a virtual clock.
 *
 *     node packages/bench/src/reliability/outcomes.ts        after a build; writes the table into the page
 */
import { Fault, patiently, SimulatedPerson, SimulatedProvider } from "@keyfob/testing/Provider"
import { Effect, Equal, Layer, Result } from "effect"
import { HttpClient, HttpClientError } from "effect/http"
import { TestClock } from "effect/testing"
import { CredentialStore, DeviceCode, Login, StoreFailed, TokenSource } from "keyfob"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const page = join(import.meta.dirname, "../../../../docs/reliability.md")
const flow = DeviceCode.make({
  issuer: "https://id.simulated.test",
  clientId: "keyfob-cli",
  scopes: ["openid", "offline_access"]
})

/** What goes wrong with the next refresh: at the provider, on the way, or in the store. */
interface Trouble {
  readonly faults?: ReadonlyArray<Fault.Misbehaviour>
  /** No address is found for the provider's name. */
  readonly nameless?: boolean
  /** Why the store fails: at all that is asked of it, or at the writes after this many. */
  readonly store?: { readonly reason: StoreFailed["reason"]; readonly fails: "all" | { readonly writesAfter: number } }
}

const answer = (status: number, headers = {}): Trouble => ({
  faults: Array.from({ length: 9 }, () => Fault.answer({ status, headers }))
})
const once = (fault: Fault.Misbehaviour): Trouble => ({ faults: [fault] })
const store = (reason: StoreFailed["reason"], writesAfter?: number): Trouble => ({
  store: { reason, fails: writesAfter === undefined ? "all" : { writesAfter } }
})

const rows: ReadonlyArray<readonly [what: string, trouble: Trouble]> = [
  ["503 for a while", answer(503)],
  ["503 once", once(Fault.answer({ status: 503 }))],
  ["429, Retry-After 10 s, once", once(Fault.answer({ status: 429, headers: { "retry-after": "10" } }))],
  ["429, Retry-After 10 min", answer(429, { "retry-after": "600" })],
  ["500", once(Fault.answer({ status: 500 }))],
  ["connection reset before the request arrives", once(Fault.resetBefore)],
  ["connection reset after it arrived", once(Fault.resetAfter)],
  ["half an answer", once(Fault.half)],
  ["answer after 10 s", once(Fault.delay("10 seconds"))],
  ["no answer, the request never arrived", once(Fault.hang)],
  ["no answer, the request was processed", once(Fault.hangAfter)],
  ["the provider's name is not found (DNS)", { nameless: true }],
  ["disk full before the refresh", store("Full", 0)],
  ["disk full after the refresh", store("Full", 1)],
  ["read-only file system", store("ReadOnly", 0)],
  ["store down", store("Unavailable")],
  ["store down after the refresh", store("Unavailable", 1)]
]

/** A store in memory that fails on demand. */
const failing = Effect.map(CredentialStore, (place) => {
  let trouble: Trouble["store"]
  let writes = 0
  const fail = (reason: StoreFailed["reason"]) => new StoreFailed({ reason, store: "memory", location: "memory" })
  const unless = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.suspend((): Effect.Effect<A, E | StoreFailed, R> =>
      trouble?.fails === "all" ? fail(trouble.reason) : effect
    )
  const writing = (effect: Effect.Effect<void, StoreFailed>) =>
    Effect.suspend(() =>
      trouble !== undefined && (trouble.fails === "all" || writes++ >= trouble.fails.writesAfter)
        ? fail(trouble.reason)
        : effect
    )
  return {
    begin: (next: Trouble["store"]) => {
      writes = 0
      trouble = next
    },
    store: CredentialStore.make({
      ...place,
      get: (key) => unless(place.get(key)),
      modify: (key, use) =>
        unless(
          place.modify(key, (slot) =>
            use({ ...slot, read: unless(slot.read), write: (credential) => writing(slot.write(credential)) })
          )
        )
    })
  }
})

/** A client that finds no address while it is told so. */
const resolving = Effect.map(HttpClient.HttpClient, (http) => {
  let nameless = false
  return {
    begin: (now: boolean) => (nameless = now),
    client: HttpClient.transform(http, (exchange, request) => {
      const cause = Object.assign(new Error("getaddrinfo ENOTFOUND"), { code: "ENOTFOUND" })
      const notFound = new HttpClientError.HttpClientError({
        reason: new HttpClientError.TransportError({ request, cause })
      })
      return Effect.suspend(() => (nameless ? notFound : exchange))
    })
  }
})

interface Run {
  readonly saw: string
  readonly refreshes: number
  readonly afterwards: string
}

/** One trouble: what a caller sees whose token has ended or still serves, and what another sees when it is over. */
const run = ({ faults = [], nameless = false, store: storeTrouble }: Trouble, ended: boolean, grace: boolean) =>
  Effect.gen(function* () {
    const idp = yield* SimulatedProvider
    const place = yield* failing
    const network = yield* resolving
    yield* idp.approve("alice")
    return yield* Effect.gen(function* () {
      const source = yield* TokenSource.make(flow)
      yield* patiently(Login.login(flow))
      const first = yield* source.token
      yield* TestClock.adjust(ended ? "61 minutes" : "59 minutes")
      yield* idp.clearRequests
      yield* idp.faults(
        ...faults.map((fault, index) => Fault.onRequest({ grant: "refresh_token", nth: index + 1 }, fault))
      )
      network.begin(nameless)
      place.begin(storeTrouble)
      const seen = yield* patiently(Effect.result(source.token))
      const refreshes = (yield* idp.requests).filter(({ grant }) => grant === "refresh_token").length
      yield* idp.recover
      network.begin(false)
      place.begin(undefined)
      yield* TestClock.adjust("11 minutes")
      const later = yield* patiently(Effect.result(source.token))
      const works = Result.isSuccess(later) && (yield* idp.accepts(later.success))
      return {
        saw: Result.isFailure(seen)
          ? nameOf(seen.failure)
          : Equal.equals(seen.success.value, first.value)
            ? "the old token"
            : "the new token",
        refreshes,
        afterwards: works ? "goes on" : Result.isFailure(later) ? nameOf(later.failure) : "a token nobody takes"
      } satisfies Run
    }).pipe(
      Effect.provideService(CredentialStore, place.store),
      Effect.provideService(HttpClient.HttpClient, network.client)
    )
  }).pipe(
    Effect.scoped,
    Effect.provide(SimulatedPerson.layer()),
    Effect.provide(
      Layer.mergeAll(
        CredentialStore.layerMemory,
        SimulatedProvider.layer({ graceInterval: grace ? "1 hour" : 0 })
      ).pipe(Layer.provideMerge(TestClock.layer())),
      { local: true }
    )
  )

const nameOf = ({ _tag, reason }: TokenSource.TokenError) => `\`${_tag}\` \`${reason}\``

const cells = Effect.fnUntraced(function* ([what, trouble]: (typeof rows)[number]) {
  const [lenient, strict, serving] = [
    yield* run(trouble, true, true),
    yield* run(trouble, true, false),
    yield* run(trouble, false, true)
  ]
  const same = lenient.saw === strict.saw && lenient.refreshes === strict.refreshes
  if (!same) return yield* Effect.die(new Error(`${what}: ${lenient.saw}, but ${strict.saw} from a strict provider`))
  return [what, lenient.saw, serving.saw, lenient.refreshes, lenient.afterwards, strict.afterwards]
})

/** The rows, made by running them. */
export const table = Effect.map(Effect.forEach(rows, cells), (lines) =>
  [
    ["trouble", "token has ended", "token still serves", "refreshes sent", "afterwards", "afterwards, strict provider"],
    ["---", "---", "---", "---", "---", "---"],
    ...lines
  ]
    .map((line) => `| ${line.join(" | ")} |`)
    .join("\n")
)

const place = /(?<=<!-- outcomes -->\n\n).*?(?=\n\n<!-- \/outcomes -->)/s

/** The table as it stands in the page. */
export const inPage = () => place.exec(readFileSync(page, "utf8"))?.[0]

if (import.meta.main) {
  const text = await Effect.runPromise(table)
  writeFileSync(
    page,
    readFileSync(page, "utf8").replace(place, () => text)
  )
  console.log(`${rows.length} kinds of trouble, written into docs/reliability.md`)
}
