/** A process of the model: its own memory, clock and scope, over the store and the network it shares with others. */
import {
  Clock,
  Context,
  DateTime,
  Duration,
  Effect,
  Exit,
  type Fiber,
  Layer,
  Random,
  Redacted,
  Scheduler,
  Scope
} from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import {
  AccessToken,
  AuthorizedHttpClient,
  type AuthError,
  ClientAuthentication,
  ClientCredentials,
  CredentialStore,
  DeviceCode,
  KeepWarm,
  Login,
  Logout,
  ProviderRefused,
  ProviderUnavailable,
  TokenChain,
  TokenSource,
  UserPrompt
} from "keyfob"
import { clients } from "../../src/provider.ts"
import { type Ask, CurrentAsk, type End, endOf } from "./Ask.ts"
import type { Dice } from "./Dice.ts"
import { clientOf, type Network } from "./Network.ts"
import type { Asked, How, Whose } from "./Program.ts"
import { overheard } from "./Overheard.ts"
import type { SharedStore } from "./SharedStore.ts"
import { readsOtherwise } from "./Witness.ts"
import { type Owner, ownerOf } from "./World.ts"

const issuer = "https://id.simulated.test"

// No `openid`: an ID token is signed and verified by promises, whose order is the machine's and not the program's.
export const flows = {
  person: DeviceCode.make({ issuer, clientId: clients.cli.client_id, scopes: ["offline_access", "api:read"] }),
  machine: ClientCredentials.make({
    issuer,
    clientId: clients.billing.client_id,
    scopes: ["api:read"],
    authentication: ClientAuthentication.secretBasic(Redacted.make(clients.billing.client_secret))
  })
} as const

export interface Shared {
  readonly store: SharedStore
  readonly network: Network
  readonly dice: Dice
  readonly accessLifetime: number
  readonly keepsWarm: boolean
}

interface Running {
  readonly ask: Ask
  readonly fiber: Fiber.Fiber<unknown, unknown>
  end?: End
}

interface Member {
  readonly source: TokenSource.TokenSource
  readonly api: HttpClient.HttpClient.With<HttpClientFailure>
}
type HttpClientFailure =
  | Effect.Error<ReturnType<HttpClient.HttpClient["execute"]>>
  | AuthorizedHttpClient.AuthorizationError

/** Who shows the person's token to the API is given one of their own for it. */
const linkOf = ({ accessLifetime, dice, network }: Shared, by: Owner): TokenChain.Link => ({
  name: "derived",
  exchange: Effect.fnUntraced(function* ({ authorization, value }) {
    const issuedAt = yield* DateTime.now
    const { status } = yield* HttpClientRequest.get(network.provider.apiUrl).pipe(
      HttpClientRequest.setHeader("authorization", Redacted.value(authorization)),
      clientOf(network, by).execute,
      Effect.catch(() => Effect.fail(new ProviderUnavailable({ reason: "Unreachable", ...api })))
    )
    if (status === 401) return yield* new ProviderRefused({ reason: "InvalidToken", status, ...api })
    if (status !== 200) return yield* new ProviderUnavailable({ reason: "ServerError", status, ...api })
    const token = AccessToken.make({
      value: Redacted.make(`${Redacted.value(value)}.${dice.below(2 ** 32)}`),
      type: "Bearer",
      expiresAt: DateTime.add(issuedAt, { seconds: accessLifetime }),
      scopes: []
    })
    return { token, issuedAt }
  })
})
const api = { endpoint: "token", host: new URL(issuer).host } as const

export class Process {
  readonly owner: Owner
  /** Asks, logins and logouts that have not ended. */
  readonly running = new Set<Running>()
  private readonly shared: Shared
  private readonly scope = Scope.makeUnsafe()
  private readonly context: Context.Context<HttpClient.HttpClient | CredentialStore | UserPrompt | Scope.Scope>
  private readonly members: Readonly<Record<Asked, Member>>

  constructor(name: string, offset: number, shared: Shared) {
    this.owner = ownerOf(name, offset)
    this.shared = shared
    const { dice, network, store } = shared
    this.context = overheard(network.witness).pipe(
      Context.add(HttpClient.HttpClient, clientOf(network, this.owner)),
      Context.add(CredentialStore, store.of(this.owner)),
      Context.add(UserPrompt, {
        deviceCode: () => Effect.void,
        browser: () => Effect.die("nobody asks for a browser here")
      }),
      Context.add(Scope.Scope, this.scope),
      Context.add(Clock.Clock, network.world.clockOf(this.owner)),
      Context.add(Scheduler.Scheduler, network.world.scheduler),
      Context.add(Random.Random, {
        nextIntUnsafe: () => dice.below(2 ** 32),
        nextDoubleUnsafe: () => dice.below(2 ** 32) / 2 ** 32
      })
    )
    const member = (flow: (typeof flows)[Whose]): Member => {
      const source = this.now(TokenSource.make(flow))
      return { source, api: this.now(AuthorizedHttpClient.make(Effect.succeed(source), { origins: [issuer] })) }
    }
    const person = member(flows.person)
    const machine = member(flows.machine)
    const derived = { ...person, source: this.now(TokenChain.make(person.source, linkOf(shared, this.owner))) }
    this.members = { person, machine, derived }
    if (!shared.keepsWarm) return
    const sources = [person, machine, derived].map(({ source }) => Effect.succeed(source))
    this.now(Layer.build(KeepWarm.layer(sources)))
  }

  private run<A, E>(
    effect: Effect.Effect<A, E, HttpClient.HttpClient | CredentialStore | UserPrompt | Scope.Scope>
  ): Fiber.Fiber<A, E> {
    const fiber = Effect.runForkWith(this.context)(effect)
    this.shared.network.world.settle()
    return fiber
  }

  /** Something that waits for nobody. */
  private now<A, E>(
    effect: Effect.Effect<A, E, HttpClient.HttpClient | CredentialStore | UserPrompt | Scope.Scope>
  ): A {
    const exit = this.run(effect).pollUnsafe()
    if (exit === undefined || Exit.isFailure(exit)) throw new Error(`a source could not be made: ${String(exit)}`)
    return exit.value
  }

  private start<A, E>(
    whose: Asked,
    how: How | "login" | "logout",
    effect: Effect.Effect<A, E, HttpClient.HttpClient | CredentialStore | UserPrompt | Scope.Scope>,
    judge: (ask: Ask, end: End) => void
  ): Running {
    const { network, store } = this.shared
    const ask: Ask = {
      whose,
      how: how === "login" || how === "logout" ? "token" : how,
      isLogin: how === "login",
      at: network.world.now,
      // Who waits while another attempt fails shares its failure: what counts is when that one began.
      tick: Math.min(store.time(), ...[...this.running].map(({ ask }) => ask.tick)),
      faults: network.witness.readFaults,
      clockSets: this.owner.clockSets
    }
    const running: Running = { ask, fiber: this.run(Effect.provideService(effect, CurrentAsk, ask)) }
    this.running.add(running)
    running.fiber.addObserver((exit: Exit.Exit<unknown, unknown>) => {
      if (this.owner.dead) return
      this.running.delete(running)
      running.end = endOf(ask.how, exit)
      if (exit._tag === "Failure") network.witness.hear(exit.cause)
      judge(ask, running.end)
    })
    return running
  }

  ask(whose: Asked, how: How): Running {
    const { network } = this.shared
    const { api, source } = this.members[whose]
    network.witness.counts.asks++
    const minValidity = Duration.seconds(this.shared.accessLifetime / 2)
    const program: Effect.Effect<unknown, AuthError | HttpClientFailure> = {
      token: source.token,
      long: source.tokenValidFor(minValidity),
      renew: Effect.map(source.renew, ({ credential }) => credential.token),
      call: Effect.map(api.get(network.provider.apiUrl), ({ status }) => status)
    }[how]
    return this.start(whose, how, program, (ask, end) => this.judge(ask, end))
  }

  login(whose: Whose): Running {
    // What a login can fail with is not about token life; what it writes is, and the store sees that. Somebody asked for
    // it: a program's own is not repeated once nobody answered three times (seed head/124).
    return this.start(whose, "login", Login.login(flows[whose], { personAsked: true }), () => {})
  }

  logout(whose: Whose, revoke: boolean): Running {
    const place = this.shared.store.placeOf(flows[whose].key)
    return this.start(whose, "logout", Logout.logout(flows[whose], { revoke }), ({ tick }, { _tag }) => {
      if (_tag !== "Answered" || place.emptiedAt >= tick) return
      this.shared.network.witness.broken(
        "a logout forgets",
        `${this.owner.name} signed a ${whose} out, who is still there`
      )
    })
  }

  giveUp() {
    const last = [...this.running].at(-1)
    last?.fiber.interruptUnsafe()
    this.shared.network.world.settle()
  }

  /** Asks that nobody answers are none of a dead process's; what it was doing goes on until it is done. */
  shutdown(): Fiber.Fiber<void> {
    for (const { fiber } of this.running) fiber.interruptUnsafe()
    return this.run(Scope.close(this.scope, Exit.void))
  }

  crash() {
    this.shared.network.world.kill(this.owner)
  }

  private judge(ask: Ask, end: End) {
    const { network, store } = this.shared
    const { witness, world } = network
    const { owner } = this
    const by = `${owner.name}, ${ask.how} for a ${ask.whose}`
    const place = store.placeOf(flows[ask.whose === "derived" ? "person" : ask.whose].key)
    switch (end._tag) {
      case "GaveUp":
      case "ApiFailed":
        return
      case "Strange":
        return witness.broken("one of the four outcomes", `${by}: ${end.what}`)
      case "Answered":
        witness.counts.gained++
        if (end.value instanceof AccessToken) witness.used(owner, Redacted.value(end.value.value), "an answer", ask)
        return
      case "Dead": {
        witness.counts.dead++
        const { reason } = end.error
        const isTrue =
          ask.whose !== "machine" &&
          (reason === "NoCredential"
            ? place.credential === undefined || Math.max(place.emptiedAt, place.filledAt) >= ask.tick
            : // Who was refused while somebody signed out has nothing left to mark.
              place.credential?.refused === true || Math.max(place.refusedAt, place.emptiedAt) >= ask.tick)
        if (!isTrue) witness.broken("a transient failure never logs out", `${by}: ${reason}`)
        return
      }
      case "Transient": {
        witness.counts.transient++
        if (ask.how === "renew" || ask.how === "call" || ask.whose === "derived") return
        // A store that cannot be read cannot be asked for the old token.
        if (witness.readFaults > ask.faults || owner.clockSets !== ask.clockSets) return
        const now = world.now + owner.offset
        const minValidity = ask.how === "long" ? this.shared.accessLifetime * 500 : 0
        const stored = place.credential
        const serves =
          stored?.token.expiresAt !== undefined &&
          stored.refused !== true &&
          !readsOtherwise(owner, stored.token) &&
          now + minValidity < DateTime.toEpochMillis(stored.token.expiresAt)
        // One that came meanwhile may have come after it was looked for.
        const wasThere = stored !== undefined && witness.wasDurableBefore(Redacted.value(stored.token.value), ask.at)
        if (serves && wasThere) {
          witness.broken("the old token serves while it is valid", `${by}: ${end.error._tag} ${end.error.reason}`)
        }
      }
    }
  }
}
