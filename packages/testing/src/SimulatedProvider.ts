import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Semaphore from "effect/Semaphore"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpServer from "effect/http/HttpServer"
import type { AccessToken } from "keyfob"
import { deliverer } from "./Delivery.ts"
import * as Fault from "./Fault.ts"
import * as Journal from "./Journal.ts"
import type { Request, Response } from "./model/Http.ts"
import * as Device from "./model/Device.ts"
import * as Keys from "./model/Keys.ts"
import * as Machine from "./model/Machine.ts"
import type { Script } from "./model/Person.ts"
import { type ProviderOptions, settle } from "./model/Settings.ts"
import { endFamily, type Family, initial, isRefreshable, isValid, lookup, type State } from "./model/State.ts"
import { begin } from "./model/Turn.ts"
import * as RecordedRequest from "./RecordedRequest.ts"
import * as SettledClock from "./SettledClock.ts"
import { familiesOf, type Snapshot, snapshotOf } from "./Snapshot.ts"
import * as Transport from "./Transport.ts"
import { arm, clockOf, judge, type Trouble } from "./Trouble.ts"

/** How a person acts. */
export interface ActOptions {
  /** How long they take. Default: no time. */
  readonly after?: Duration.Input
  /** How many polls of a device code they let go by, at least. Default: none. */
  readonly afterPolls?: number
  /** How often they mistype their password first; each time takes `after` again. Default: never. */
  readonly wrongPasswords?: number
  /** What they consent to, of what is asked. Default: all. */
  readonly scopes?: ReadonlyArray<string>
}

/** A whole authorization server: nothing in it is real but its answers. */
export class SimulatedProvider extends Context.Service<
  SimulatedProvider,
  {
    readonly issuer: string
    /** A protected API of the provider's: says who calls. Behind it, `/needs/SCOPE` wants a scope. */
    readonly apiUrl: string
    /** Reaches this provider without a socket, and nothing else. */
    readonly client: HttpClient.HttpClient

    /** From now on, this person approves whatever the provider asks: what is open, and what will come. */
    readonly approve: (person: string, options?: ActOptions) => Effect.Effect<void>
    /** From now on, the person says no. */
    readonly deny: (person?: string, options?: ActOptions) => Effect.Effect<void>
    /** From now on, nobody answers (as it is at first). */
    readonly ignore: Effect.Effect<void>
    /** A person types a device's code and decides, for this device alone. */
    readonly enterCode: (userCode: string, person: string, decision: "approve" | "deny") => Effect.Effect<void>

    /** Puts the provider into trouble. Durations count from now. */
    readonly faults: (...faults: ReadonlyArray<Fault.Fault>) => Effect.Effect<void>
    /** Nobody gets through: `Fault.outage`. */
    readonly outage: (options: Parameters<typeof Fault.outage>[0]) => Effect.Effect<void>
    /**
     * A random fault plan (`Fault.random`). Its seed is logged when the layer's scope ends with a failure: give each test
     * a layer of its own, since one that tests share does not learn how they end.
     */
    readonly chaos: (seed: string, options: Parameters<typeof Fault.random>[1]) => Effect.Effect<void>
    /** Takes all trouble away. */
    readonly recover: Effect.Effect<void>
    /** New signing keys now; the old ones stay published for as long as the options say. */
    readonly rotateKeys: Effect.Effect<void>
    /** Ends every sign-in, as an administrator would. */
    readonly revokeAll: Effect.Effect<void>

    /** Whether this token is good now, for the API it is for: neither expired nor ended. */
    readonly accepts: (token: AccessToken | Redacted.Redacted | string) => Effect.Effect<boolean>
    /** The number of refresh tokens that would be taken now. */
    readonly liveRefreshTokens: Effect.Effect<number>
    readonly liveAccessTokens: Effect.Effect<number>
    /** Every sign-in there was, oldest first, with why it ended if it did. */
    readonly families: Effect.Effect<ReadonlyArray<Family>>

    /** Every request there was, oldest first. */
    readonly requests: Effect.Effect<ReadonlyArray<RecordedRequest.RecordedRequest>>
    readonly clearRequests: Effect.Effect<void>
    /** The requests so far, or since they were cleared, are exactly these. */
    readonly expectRequests: (
      expected: ReadonlyArray<RecordedRequest.Expected>,
      among?: RecordedRequest.Expected
    ) => Effect.Effect<void, RecordedRequest.UnexpectedRequests>

    /** What the provider holds, as data that reads well: secrets are fingerprints. */
    readonly snapshot: Effect.Effect<Snapshot>
  }
>()("@keyfob/testing/SimulatedProvider") {
  /**
   * In memory: the `HttpClient` it gives reaches this provider and nothing else, and its time is the `Clock`, so that
   * `TestClock` drives everything. A test clock is replaced by one that also waits for promises (`SettledClock.ts`).
   */
  static readonly layer = (options: ProviderOptions = {}): Layer.Layer<SimulatedProvider | HttpClient.HttpClient> =>
    Layer.provideMerge(
      SimulatedProvider.layerClient,
      Layer.effect(
        SimulatedProvider,
        Effect.map(make(options), ({ provider }) => provider)
      )
    )

  /** The same behind an HTTP server, for programs in any language. Without an `issuer` it is the server's address. */
  static readonly layerServer = (
    options: ProviderOptions = {}
  ): Layer.Layer<SimulatedProvider, never, HttpServer.HttpServer> =>
    Layer.effect(
      SimulatedProvider,
      Effect.gen(function* () {
        const server = yield* HttpServer.HttpServer
        // Who listens on every address is asked for by none of them.
        const issuer = HttpServer.formatAddress(server.address)
          .replace("//0.0.0.0:", "//127.0.0.1:")
          .replace("//[::]:", "//[::1]:")
        const { deliver, provider } = yield* make({ issuer, ...options })
        yield* server.serve(Transport.overSocket(deliver))
        return provider
      })
    )

  /**
   * The in-memory way to a provider that is there already. Over `layerServer`, it and the socket lead to one and the same:
   *
   * ```ts
   * SimulatedProvider.layerClient.pipe(Layer.provideMerge(SimulatedProvider.layerServer()))
   * ```
   */
  static readonly layerClient: Layer.Layer<HttpClient.HttpClient, never, SimulatedProvider> = Layer.effectContext(
    Effect.gen(function* () {
      const { client } = yield* SimulatedProvider
      return Context.merge(yield* SettledClock.make, Context.make(HttpClient.HttpClient, client))
    })
  )
}

/** What a provider is made of: for pages that show it and change it in ways that tests have no need of. */
export interface Inside {
  readonly state: Effect.Effect<State>
  /** Between two requests, at the provider's time. */
  readonly change: (to: (state: State, now: number) => State) => Effect.Effect<void>
  /** What the provider takes for now. */
  readonly now: Effect.Effect<number>
  readonly trouble: Effect.Effect<Trouble>
  readonly changeTrouble: (to: (trouble: Trouble) => Trouble) => Effect.Effect<void>
}

/** The provider, its way in for transports, and for the playground a way to what it is inside. */
export const make = Effect.fnUntraced(function* (options: ProviderOptions) {
  const settings = settle(options)
  let state: State = initial(settings)
  let trouble: Trouble = []
  const journal = Journal.make()
  const seeds: Array<string> = []
  // A signature takes a promise: no two requests may start from the same state.
  const turn = Semaphore.makeUnsafe(1)

  // To the real console: nobody would see it on the test's own, which goes with the test. A test that took too long is
  // interrupted.
  yield* Effect.addFinalizer((exit) =>
    exit._tag === "Failure" && seeds.length > 0
      ? Effect.logWarning(`simulated provider: the fault plan's seed was ${seeds.join(", ")}`).pipe(
          Effect.provideService(Console.Console, globalThis.console)
        )
      : Effect.void
  )

  const now = Effect.map(Clock.currentTimeMillis, (millis) => clockOf(trouble, millis))

  const step = Effect.fnUntraced(function* (request: Request, done: () => void): Effect.fn.Return<Response> {
    for (;;) {
      const response = yield* Effect.uninterruptible(
        Effect.tap(once(request), ({ again }) => Effect.sync(() => (again === undefined ? done() : undefined)))
      )
      if (response.again === undefined) return response
      yield* Effect.sleep(response.again)
    }
  })

  const once = (request: Request) =>
    turn.withPermit(
      Effect.gen(function* () {
        const clock = yield* SettledClock.current
        const millis = yield* Clock.currentTimeMillis
        const time = clockOf(trouble, millis)
        const { rotations } = state
        const due = rotations.filter((at) => at <= millis).map((at) => Math.min(clockOf(trouble, at), time))
        const work = Machine.step({ ...state, rotations: due }, request, time)
        const [next, response] = yield* clock === undefined ? work : clock.hold(work)
        state = { ...next, rotations: rotations.filter((at) => at > millis) }
        return { ...response, headers: { date: new Date(time).toUTCString(), ...response.headers } }
      })
    )

  /** In its turn: a request that is being answered writes the state back when it is done. */
  const change = (to: (state: State, time: number) => State) =>
    turn.withPermit(
      Effect.map(now, (time) => {
        state = to(state, time)
      })
    )

  const deliver = deliverer({
    issuer: settings.issuer,
    journal,
    judge: (facts, arrived) => {
      const [after, verdict] = judge(trouble, facts, arrived)
      trouble = after
      return verdict
    },
    step
  })

  /** A name that is mistyped in a test should not sign in. */
  const known = (person: string) => {
    const names = Object.keys(settings.people)
    return names.includes(person)
      ? Effect.void
      : Effect.die(new Error(`nobody is called ${person} at the simulated provider; there are ${names.join(", ")}`))
  }

  const act = (decision: Script["decision"], person: string, options: ActOptions = {}) =>
    change((state, since) => {
      const script: Script = {
        decision,
        person,
        since,
        after: Duration.toMillis(options.after ?? 0),
        polls: options.afterPolls ?? 0,
        wrongPasswords: options.wrongPasswords ?? 0,
        ...(options.scopes === undefined ? {} : { scopes: options.scopes })
      }
      return { ...state, script }
    })

  const faults = Effect.fnUntraced(function* (...given: ReadonlyArray<Fault.Fault>) {
    const millis = yield* Clock.currentTimeMillis
    trouble = arm(trouble, given, millis)
    const rotations = given.flatMap((fault) =>
      fault._tag === "KeyRotation" ? [millis + Duration.toMillis(fault.after)] : []
    )
    yield* change((state) => ({ ...state, rotations: [...state.rotations, ...rotations].sort((a, b) => a - b) }))
  })

  const provider = SimulatedProvider.of({
    issuer: settings.issuer,
    apiUrl: `${settings.issuer.replace(/\/$/, "")}/api/me`,
    client: Transport.inMemory(new URL(settings.issuer).origin, deliver),
    approve: (person, options) => Effect.andThen(known(person), act("approve", person, options)),
    deny: (person = "alice", options) => act("deny", person, options),
    ignore: act("ignore", "nobody"),
    enterCode: (userCode, person, decision) =>
      Effect.andThen(
        known(person),
        change((state, since) => {
          const script: Script = { decision, person, since, after: 0, polls: 0, wrongPasswords: 0 }
          return Device.decide(state, userCode, script)
        })
      ),
    faults,
    outage: (options) => faults(Fault.outage(options)),
    chaos: (seed, options) => {
      seeds.push(seed)
      return faults(...Fault.random(seed, options))
    },
    recover: change((state) => {
      trouble = []
      return { ...state, rotations: [] }
    }),
    rotateKeys: turn.withPermit(
      Effect.gen(function* () {
        const time = yield* now
        const own = begin(state, { method: "", url: "/", headers: {}, body: "" }, time)
        yield* Keys.rotate(own, time)
        state = own.state
      })
    ),
    revokeAll: change((before, time) => {
      let state = before
      for (const id of HashMap.keys(before.families)) state = endFamily(state, id, "revoked", time)
      return { ...state, accessTokens: HashMap.map(state.accessTokens, (token) => ({ ...token, revoked: true })) }
    }),
    accepts: (token) =>
      Effect.map(now, (time) => {
        const value =
          typeof token === "string" ? token : Redacted.value(Redacted.isRedacted(token) ? token : token.value)
        const known = lookup(state.accessTokens, value)
        return known !== undefined && isValid(state, known, time)
      }),
    liveRefreshTokens: Effect.map(now, (time) =>
      count(state.refreshTokens, (token) => isRefreshable(state, token, time))
    ),
    liveAccessTokens: Effect.map(now, (time) => count(state.accessTokens, (token) => isValid(state, token, time))),
    families: Effect.sync(() => familiesOf(state)),
    requests: journal.records,
    clearRequests: journal.clear,
    expectRequests: (expected, among = {}) =>
      Effect.flatMap(journal.records, (records) => RecordedRequest.expect(records, expected, among)),
    snapshot: Effect.map(now, (time) => snapshotOf(state, time))
  })

  const inside: Inside = {
    state: Effect.sync(() => state),
    change,
    now,
    trouble: Effect.sync(() => trouble),
    changeTrouble: (to) =>
      Effect.sync(() => {
        trouble = to(trouble)
      })
  }
  return { provider, deliver, inside }
})

const count = <V>(map: HashMap.HashMap<string, V>, fits: (value: V) => boolean) =>
  HashMap.reduce(map, 0, (sum, value) => (fits(value) ? sum + 1 : sum))
