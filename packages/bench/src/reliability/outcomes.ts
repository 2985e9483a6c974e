/**
 * What a caller sees of each trouble, and what is left when it is over: the table of docs/reliability.md, made by running
 * all of it on the simulated provider and a virtual clock. What is wrong with a disk, a store's server or a name is really
 * wrong with one.
 *
 *     sudo node packages/bench/src/reliability/outcomes.ts        after a build; writes the table into the page
 */
import { NodeHttpClient, NodeServices } from "@effect/platform-node"
import { Fault, patiently, SimulatedPerson, SimulatedProvider, withStillFiles } from "@keyfob/testing/Provider"
import { Context, Effect, Equal, Layer, Result } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { TestClock } from "effect/testing"
import { CredentialStore, DeviceCode, Login, Promised, TokenSource } from "keyfob"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type TroubledPlace, type TroubledPlaceName, troubledPlaces } from "./troubledPlaces.ts"

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
  /** The place that is in trouble: all the while, or from when the refresh has been sent. */
  readonly place?: { readonly name: TroubledPlaceName; readonly since: "start" | "refresh" }
}

const answer = (status: number, headers = {}): Trouble => ({
  faults: Array.from({ length: 9 }, () => Fault.answer({ status, headers }))
})
const once = (fault: Fault.Misbehaviour): Trouble => ({ faults: [fault] })
const place = (name: TroubledPlaceName, since: "start" | "refresh" = "start"): Trouble => ({ place: { name, since } })

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
  ["disk full before the refresh", place("fullDisk")],
  ["disk full after the refresh", place("fullDisk", "refresh")],
  ["read-only file system", place("readOnlyDisk")],
  ["store down", place("server")],
  ["store down after the refresh", place("server", "refresh")]
]

const untroubled: TroubledPlace = { store: CredentialStore.layerMemory, begin: Effect.void, end: Effect.void }

/** Nobody has it, and no server of names is asked: a label has 63 characters at most. Where none answers, that takes long. */
const nobody = `https://${"nobody".repeat(11)}.invalid`

/** The client, which asks for a name that nobody has while it is told so, and says when a refresh is on its way. */
const network = Effect.gen(function* () {
  const simulated = yield* HttpClient.HttpClient
  const real = Context.get(yield* Layer.build(NodeHttpClient.layerUndici), HttpClient.HttpClient)
  const state: { nameless: boolean; onRefresh: Effect.Effect<unknown> } = { nameless: false, onRefresh: Effect.void }
  const client = HttpClient.transform(simulated, (exchange, request) =>
    Effect.suspend(() =>
      state.nameless
        ? Promised.run(real.execute(HttpClientRequest.setUrl(request, nobody)))
        : Effect.andThen(request.method === "POST" ? state.onRefresh : Effect.void, exchange)
    )
  )
  return { client, state }
})

interface Run {
  readonly saw: string
  readonly refreshes: number
  readonly afterwards: string
}

/** One trouble: what a caller sees whose token has ended or still serves, and what another sees when it is over. */
const run = ({ faults = [], nameless = false, place: troubled }: Trouble, ended: boolean, grace: boolean) =>
  Effect.gen(function* () {
    const idp = yield* SimulatedProvider
    const place = troubled === undefined ? untroubled : yield* troubledPlaces[troubled.name]
    const { client, state } = yield* network
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
      state.nameless = nameless
      if (troubled?.since === "start") yield* place.begin
      else state.onRefresh = place.begin
      const seen = yield* patiently(Effect.result(source.token))
      const refreshes = (yield* idp.requests).filter(({ grant }) => grant === "refresh_token").length
      yield* idp.recover
      state.nameless = false
      state.onRefresh = Effect.void
      yield* place.end
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
    }).pipe(Effect.provide(place.store), withStillFiles, Effect.provideService(HttpClient.HttpClient, client))
  }).pipe(
    Effect.scoped,
    Effect.provide(SimulatedPerson.layer()),
    Effect.provide(
      SimulatedProvider.layer({ graceInterval: grace ? "1 hour" : 0 }).pipe(Layer.provideMerge(TestClock.layer())),
      { local: true }
    ),
    Effect.provide(NodeServices.layer)
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

const between = /(?<=<!-- outcomes -->\n\n).*?(?=\n\n<!-- \/outcomes -->)/s

/** The table as it stands in the page. */
export const inPage = () => between.exec(readFileSync(page, "utf8"))?.[0]

if (import.meta.main) {
  const text = await Effect.runPromise(table)
  writeFileSync(
    page,
    readFileSync(page, "utf8").replace(between, () => text)
  )
  console.log(`${rows.length} kinds of trouble, written into docs/reliability.md`)
}
