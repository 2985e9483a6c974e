/** Runs a program, step by step, until its end or the first broken law. */
import { Clock, Context, DateTime, Duration, Effect, Exit, type Fiber, Layer, Redacted, Scheduler, Scope } from "effect"
import { HttpClient } from "effect/http"
import { RefreshPolicy } from "keyfob"
import { Fault, SimulatedProvider } from "../../src/provider.ts"
import type { End } from "./Ask.ts"
import * as Dice from "./Dice.ts"
import type { Network } from "./Network.ts"
import { overheard } from "./Overheard.ts"
import { flows, Process } from "./Process.ts"
import type { Asked, How, Program, Step, Trouble } from "./Program.ts"
import { SharedStore } from "./SharedStore.ts"
import { readsOtherwise, type Violation, Witness } from "./Witness.ts"
import { EndlessLoop, ownerOf, World } from "./World.ts"

export interface Result {
  readonly violation: (Violation & { readonly step: number }) | undefined
  readonly steps: number
  /** Operations and timers are finer than steps. */
  readonly operations: number
  readonly counts: Witness["counts"]
}

const misbehaviourOf = (trouble: Trouble, retryAfter: number): Fault.Misbehaviour => {
  switch (trouble) {
    case "429":
      return Fault.answer({ status: 429, headers: { "retry-after": String(retryAfter) } })
    case "500":
    case "502":
    case "503":
      return Fault.answer({ status: Number(trouble) })
    case "page":
      return Fault.answer({
        status: 200,
        headers: { "content-type": "text/html" },
        body: "<p>Please pay for this network"
      })
    case "redirect":
      return Fault.answer({ status: 302, headers: { location: "https://portal.simulated.test/" } })
    case "slow":
      return Fault.delay("4 seconds")
    case "hang":
      return Fault.hang
    case "lostHang":
      return Fault.hangAfter
    case "reset":
      return Fault.resetBefore
    case "lostReset":
      return Fault.resetAfter
    case "half":
      return Fault.half
  }
}

/** Who asks once all trouble is over. A derived token is none for the API. */
const everybody: ReadonlyArray<readonly [Asked, ReadonlyArray<How>]> = [
  ["person", ["call", "token"]],
  ["machine", ["call"]],
  ["derived", ["token"]]
]

/** Whether the API refused the token, which may be the one that is shown for a derived one. */
const wasRefused = (end: End | undefined) =>
  (end?._tag === "Answered" && end.value === 401) || (end?._tag === "Transient" && end.error.reason === "InvalidToken")

export const run = async (program: Program): Promise<Result> => {
  const { settings, steps } = program
  const world = new World()
  const witness = new Witness(world)
  const store = new SharedStore(world, witness)
  const nobody = ownerOf("network")
  const base = overheard(witness).pipe(Context.add(Clock.Clock, world.clockOf(nobody)))
  const scope = Scope.makeUnsafe()
  const layer = SimulatedProvider.layer({
    accessTokenLifetime: `${settings.accessLifetime} seconds`,
    refreshTokenIdle: `${settings.idle} seconds`,
    refreshTokenLifetime: `${settings.absolute} seconds`,
    graceInterval: `${settings.grace} seconds`,
    rotation: settings.rotation
  })
  // Its keys are made at the first request, which takes a promise. From then on nothing waits for the machine.
  const services = await Effect.runPromiseWith(base)(
    Effect.tap(Layer.buildWithScope(layer, scope), (built) =>
      Context.get(built, HttpClient.HttpClient).get("https://id.simulated.test/jwks")
    )
  )
  const provider = Context.get(services, SimulatedProvider)
  const outside = Context.add(base, Scheduler.Scheduler, world.scheduler)
  const fork = <A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E> => {
    const fiber = Effect.runForkWith(outside)(effect)
    world.settle()
    return fiber
  }
  const network: Network = {
    world,
    witness,
    provider,
    direct: Context.get(services, HttpClient.HttpClient),
    owner: nobody,
    run: fork,
    rotates: settings.rotation,
    checkNeed: (by, whose, ask) => {
      // A login, a renewal on demand and a 401 are needs of their own; who lost its lease does not see the store as it is.
      if (ask === undefined || ask.isLogin || ask.how === "renew" || ask.how === "call" || ask.whose === "derived")
        return
      if (by.lostLease || by.clockSets !== ask.clockSets) return
      const stored = store.placeOf(flows[whose].key).credential
      const minValidity = Duration.seconds(ask.how === "long" ? settings.accessLifetime / 2 : 0)
      const now = world.now + by.offset
      if (
        stored !== undefined &&
        !readsOtherwise(by, stored.token) &&
        RefreshPolicy.isFresh(stored, now, minValidity) &&
        !RefreshPolicy.isDue(stored, now)
      ) {
        witness.broken("one exchange for each expiry", `${by.name}, ${ask.how} for a ${whose}: a token was there`)
      }
    },
    checkMark: (by, spent) => {
      const stored = store.placeOf(flows.person.key).credential
      if (by.lostLease || stored?.refreshToken === undefined || Redacted.value(stored.refreshToken) !== spent) return
      if (stored.spending !== stored.generation) {
        witness.broken("marked before it is spent", `${by.name} spends generation ${stored.generation}`)
      }
    },
    leaseOf: (by) => {
      const { lease } = store.placeOf(flows.person.key)
      return lease?.by === by ? lease : undefined
    }
  }
  const { accessLifetime, keepsWarm = false } = settings
  const shared = { store, network, dice: Dice.seeded("jitter"), accessLifetime, keepsWarm }
  let born = 0
  const birth = (offset = 0) => new Process(`process ${born++}`, offset, shared)
  const processes = Array.from({ length: settings.processes }, () => birth())
  const leaving: Array<Process> = []
  const at = (index: number) => {
    const process = processes[index]
    if (process === undefined) throw new Error(`there is no process ${index}`)
    return process
  }
  const stop = (process: Process) => {
    process.owner.paused = false
    leaving.push(process)
    process.shutdown()
  }
  fork(provider.approve("alice"))
  /** What is so as long as the provider stands: without rotation no refresh token comes (RFC 6749 section 6). */
  const isSilent = Fault.onRequest(
    { grant: "refresh_token", times: Infinity },
    Fault.altered({ refresh_token: undefined })
  )
  const standing = settings.rotation ? Effect.void : provider.faults(isSilent)
  fork(standing)

  /** Trouble ends, and everybody gets a token within one retry period. */
  const recover = (seed: number) => {
    const dice = Dice.seeded(`recover ${seed}`)
    fork(Effect.andThen(provider.recover, standing))
    store.heal()
    for (const { owner } of [...processes, ...leaving]) owner.paused = false
    // What is under way gets to its end: a lease that nobody holds any more, a Retry-After (an hour at most counts).
    world.pass(120_000 + Math.min(settings.retryAfter, 3600) * 1000, dice)
    for (const process of [...processes, ...leaving]) {
      const stuck = [...process.running].find(({ ask }) => world.now - ask.at > 100_000)
      if (stuck !== undefined) {
        const { how, whose } = stuck.ask
        return witness.broken(
          "liveness",
          `${process.owner.name}, ${how} for a ${whose} never ends: ${world.pending().join(", ")}`
        )
      }
    }
    const everybodyAsks = (mayBeDead: boolean) => {
      let isDead = false
      for (const process of processes) {
        for (const [whose, hows] of everybody) {
          for (const how of hows) {
            const askOnce = () => {
              const asked = process.ask(whose, how)
              world.pass(mayBeDead ? 60_000 : 1000, dice)
              return asked.end
            }
            let end = askOnce()
            // A request, or an exchange, is repeated once. The token that a sibling had meanwhile may have been revoked as well,
            // or be over for all but a clock that is behind: each call learns of one.
            for (let tries = 0; tries < 2 && wasRefused(end); tries++) end = askOnce()
            const name = `${process.owner.name}, ${how} for a ${whose}`
            if (end === undefined) return witness.broken("liveness", `${name}: no end; ${world.pending().join(", ")}`)
            if (end._tag === "ApiFailed") return witness.broken("liveness", `${name}: the API is out of reach`)
            if (end._tag === "Transient") return witness.broken("liveness", `${name}: ${end.error.message}`)
            if (end._tag === "Dead") {
              isDead = true
              if (!mayBeDead) return witness.broken("liveness", `${name}: ${end.error.message} after a login`)
            }
            if (end._tag === "Answered" && how === "call" && end.value !== 200) {
              return witness.broken("liveness", `${name}: status ${String(end.value)}`)
            }
          }
        }
      }
      return isDead
    }
    if (everybodyAsks(true) !== true) return
    processes[0]?.login("person")
    world.pass(10_000, dice)
    everybodyAsks(false)
  }

  const perform = (step: Step): void => {
    switch (step.do) {
      case "ask":
        at(step.process).ask(step.whose, step.how)
        return
      case "giveUp":
        return at(step.process).giveUp()
      case "login":
        at(step.process).login(step.whose)
        return
      case "logout":
        at(step.process).logout(step.whose, step.revoke)
        return
      case "go": {
        const dice = Dice.seeded(`go ${step.seed}`)
        for (let count = 0; count < step.operations; count++) world.moveOne(dice)
        return
      }
      case "flow":
        return world.pass(step.millis, Dice.seeded(`flow ${step.seed}`))
      case "edge": {
        const ends = store.placeOf(flows.person.key).credential?.token.expiresAt
        const until = ends === undefined ? 0 : DateTime.toEpochMillis(ends) + step.millis - world.now
        return until > 0 && until <= 2 * 86_400_000 ? world.pass(until, Dice.seeded(`edge ${step.seed}`)) : undefined
      }
      case "stall":
        return world.pass(step.millis)
      case "jump": {
        const { owner } = at(step.process)
        owner.offset += step.millis
        owner.clockSets++
        return
      }
      case "crash": {
        const process = at(step.process)
        process.crash()
        processes[step.process] = birth(process.owner.offset)
        return
      }
      case "shutdown": {
        const process = at(step.process)
        stop(process)
        processes[step.process] = birth(process.owner.offset)
        return
      }
      case "pause":
        return world.pause(at(step.process).owner)
      case "resume":
        at(step.process).owner.paused = false
        return
      case "trouble": {
        const does = misbehaviourOf(step.what, settings.retryAfter)
        fork(provider.faults(Fault.onRequest({ endpoint: "token", times: step.times }, does)))
        return
      }
      case "outage":
        fork(provider.outage({ for: step.millis, as: step.as }))
        return
      case "store":
        return store.fail(step.operation, step.times, step.late)
      case "revokeAll":
        fork(provider.revokeAll)
        return
      case "recover":
        recover(step.seed)
    }
  }

  let done = 0
  for (const step of steps) {
    try {
      perform(step)
    } catch (error) {
      if (!(error instanceof EndlessLoop)) throw error
      witness.broken("liveness", `it runs in circles: ${error.message}`)
    }
    if (witness.violation !== undefined) break
    done++
  }
  if (witness.violation === undefined) witness.checkTexts()
  const violation = witness.violation === undefined ? undefined : { ...witness.violation, step: done }
  await Effect.runPromise(Scope.close(scope, Exit.void))
  return { violation, steps: done, operations: world.moved, counts: witness.counts }
}
