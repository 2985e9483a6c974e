import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as PubSub from "effect/PubSub"
import * as Random from "effect/Random"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { moment } from "../Moment.ts"
import type { Credential } from "../Credential.ts"
import * as DueQueue from "./DueQueue.ts"
import * as RefreshPolicy from "./RefreshPolicy.ts"
import type { TokenEvent } from "./TokenEvent.ts"
import type { Fresh, Renewed, TokenError, TokenSource } from "./TokenSource.ts"

/**
 * Renews chosen credentials at their soft points, be they asked for or not, so that no caller ever waits: for a process
 * that stays. All of them share one timer. Trouble is met with growing pauses and leaves a provider that is down alone;
 * nothing here fails, whatever happens is told in `events`.
 */
export class KeepWarm extends Context.Service<
  KeepWarm,
  {
    /** Keeps the source's credential warm until the scope closes. */
    readonly add: (source: TokenSource) => Effect.Effect<void, never, Scope.Scope>
    /** What happens from now on to all that are kept warm, whoever caused it. Slow readers miss the oldest. */
    readonly events: Stream.Stream<TokenEvent>
  }
>()("keyfob/KeepWarm") {
  /** Keeps these sources warm for as long as the layer lives: `KeepWarm.layer([Api, Files])`. */
  static readonly layer = <const Sources extends ReadonlyArray<Effect.Effect<TokenSource, unknown, unknown>>>(
    sources: Sources
  ): Layer.Layer<KeepWarm, Effect.Error<Sources[number]>, Exclude<Effect.Services<Sources[number]>, Scope.Scope>> =>
    Layer.effect(
      KeepWarm,
      Effect.gen(function* () {
        const kept = yield* make
        for (const source of sources) {
          // A union of effects is one effect of unions.
          yield* kept.add(
            yield* source as Effect.Effect<TokenSource, Effect.Error<Sources[number]>, Effect.Services<Sources[number]>>
          )
        }
        return kept
      })
    )

  /** The events of the service in context. */
  static readonly events: Stream.Stream<TokenEvent, never, KeepWarm> = Stream.unwrap(
    KeepWarm.useSync(({ events }) => events)
  )
}

interface Kept {
  readonly source: TokenSource
  readonly issuer: Issuer
  /** Failures one after the other. */
  failures: number
  /** The soft point (wall clock) that it waits for; nothing while it waits for something else, such as a retry. */
  awaited: number | undefined
  /** When it is due by its entry in the queue; nothing while it is served. Older entries of its in the queue do not count. */
  due: number | undefined
  isGone: boolean
}

/** Each provider has a queue of its own, so that one that is down does not hold up the others. */
interface Issuer {
  readonly queue: DueQueue.DueQueue<Kept>
  /** How many fibers are renewing at it right now. */
  working: number
  /** Credentials whose renewal failed since the last one that succeeded. From `tripsAt` of them on, one renewal runs at a time. */
  readonly failing: Set<Kept>
  restUntil: number
}

const make = Effect.gen(function* () {
  const scope = yield* Effect.scope
  const hub = yield* PubSub.sliding<TokenEvent>(256)
  yield* Effect.addFinalizer(() => PubSub.shutdown(hub))
  const issuers = new Map<string, Issuer>()
  const wake = Latch.makeUnsafe(false)
  let count = 0

  // Milliseconds since the start, by whichever clock has moved further between two looks: the wall clock can be set back,
  // and the steady one stands still while a machine sleeps.
  let seen = yield* moment
  let passed = 0
  const elapsed = Effect.map(moment, (now) => {
    passed += Math.max(now.wall - seen.wall, now.steady - seen.steady, 0)
    seen = now
    return passed
  })

  const pauseAfter = (failures: number) =>
    Effect.map(Random.next, (chance) => Math.min(firstPause * 2 ** (failures - 1), longestPause) * (0.5 + 0.5 * chance))

  const attempt = Effect.fnUntraced(function* (kept: Kept): Effect.fn.Return<Renewed | Fresh, TokenError> {
    const result = yield* kept.source.renewIfDue
    const soft = softPoint(result.credential)
    // Another soft point: another token has come, since somebody asked for it meanwhile.
    if (result.outcome !== "fresh" || soft !== kept.awaited) return result
    // It is due by the time that has passed, and far from due by the wall clock: that was set back, so renew all the same.
    return soft - seen.wall > clockNoise ? yield* kept.source.renew : result
  })

  const enqueue = (kept: Kept, due: number) => {
    kept.due = due
    kept.issuer.queue.push(due, kept)
  }

  const serve = Effect.fnUntraced(function* (kept: Kept) {
    const { issuer } = kept
    const exit = yield* Effect.exit(attempt(kept))
    const now = yield* elapsed
    kept.awaited = undefined
    if (Exit.isSuccess(exit)) {
      const { credential, outcome } = exit.value
      kept.failures = 0
      if (outcome === "renewed") issuer.failing.clear()
      const soft = softPoint(credential)
      const warning = millis(RefreshPolicy.warningPoint(credential))
      const next = warning > seen.wall && warning < soft ? warning : soft
      if (next === soft && soft < Infinity) kept.awaited = soft
      // Not due though it seemed so: another machine wrote it by its own clock, and the source allows for that. Look again later.
      const atLeast = outcome === "fresh" ? tick : shortestWait
      return enqueue(kept, now + (next === Infinity ? longestWait : Math.max(next - seen.wall, atLeast)))
    }
    const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
    // The defect itself is not logged: it might hold a secret.
    if (error === undefined) yield* Effect.logError("a credential was not kept warm this time, by a defect")
    kept.failures++
    const { asked, isProvider } = blame(error)
    enqueue(kept, now + Math.max(asked, yield* pauseAfter(kept.failures)))
    if (!isProvider) return
    issuer.failing.add(kept)
    const pause = issuer.failing.size < tripsAt ? 0 : yield* pauseAfter(issuer.failing.size - tripsAt + 1)
    issuer.restUntil = Math.max(issuer.restUntil, now + asked, now + pause)
  })

  const dueAt = ({ queue, restUntil }: Issuer) => Math.max(queue.next(), restUntil)

  const takeDue = (issuer: Issuer, now: number): Kept | undefined => {
    while (dueAt(issuer) <= now) {
      const due = issuer.queue.next()
      const kept = issuer.queue.pop()
      if (kept === undefined || kept.isGone || kept.due !== due) continue
      kept.due = undefined
      return kept
    }
    return undefined
  }

  /** Serves one after the other, as long as there is one that is due. */
  const work = Effect.fnUntraced(function* (issuer: Issuer, first: Kept) {
    for (let kept: Kept | undefined = first; kept !== undefined; kept = takeDue(issuer, yield* elapsed)) {
      yield* serve(kept)
    }
    issuer.working--
    wake.openUnsafe()
  })

  /** Starts renewals of what is due. Gives the milliseconds until the next one is. */
  const round = Effect.gen(function* () {
    const now = yield* elapsed
    let wait = Infinity
    for (const issuer of issuers.values()) {
      const atOnce = issuer.failing.size < tripsAt ? 16 : 1
      while (issuer.working < atOnce) {
        const kept = takeDue(issuer, now)
        if (kept === undefined) {
          wait = Math.min(wait, dueAt(issuer) - now)
          break
        }
        issuer.working++
        yield* Effect.forkIn(work(issuer, kept), scope)
      }
    }
    return wait
  })

  yield* Effect.gen(function* () {
    for (;;) {
      wake.closeUnsafe()
      const wait = yield* round
      // A minute at most, so that it is soon noticed when the machine has slept.
      yield* Effect.timeoutOption(wake.await, Math.ceil(Math.min(wait, tick)))
    }
  }).pipe(Effect.forkScoped)

  const resize = (by: number) =>
    Effect.suspend(() => {
      count += by
      return Metric.update(gauge, count)
    })

  const add = Effect.fnUntraced(function* (source: TokenSource) {
    const name = source.key.issuer
    const issuer = issuers.get(name) ?? { queue: DueQueue.make<Kept>(), working: 0, failing: new Set(), restUntil: 0 }
    issuers.set(name, issuer)
    const kept: Kept = { source, issuer, failures: 0, awaited: undefined, due: undefined, isGone: false }
    const look = () => {
      enqueue(kept, 0)
      wake.openUnsafe()
    }
    yield* source.observe((event) => {
      PubSub.publishUnsafe(hub, event)
      // There is a new token, that we did not ask for (we are not serving it): its soft point is another one.
      if (kept.due !== undefined && (event._tag === "Renewed" || event._tag === "Adopted")) look()
    })
    yield* Effect.acquireRelease(resize(1), () => {
      kept.isGone = true
      issuer.failing.delete(kept)
      return resize(-1)
    })
    look()
  })

  return KeepWarm.of({ add, events: Stream.fromPubSub(hub) })
})

const millis = (point: DateTime.Utc | undefined) => (point === undefined ? Infinity : DateTime.toEpochMillis(point))
const softPoint = (credential: Credential) => millis(RefreshPolicy.softPoint(credential))

/** Whether a failure is the provider's, and how long it asked to be left alone. */
const blame = (error: TokenError | undefined) => {
  if (error?._tag === "AnswerRejected") return { isProvider: true, asked: 0 }
  if (error?._tag !== "ProviderUnavailable") return { isProvider: false, asked: 0 }
  const asked = error.retryAfter === undefined ? 0 : Duration.toMillis(error.retryAfter)
  return { isProvider: true, asked: Math.min(asked, longestWait) }
}

const gauge = Metric.gauge("keyfob_kept_warm", { description: "Credentials that are kept warm" })

// In milliseconds.
const tick = 60_000
const firstPause = 5000
const longestPause = 300_000
const shortestWait = 1000
const longestWait = 3_600_000
/** How far two clocks drift apart without anybody setting one. */
const clockNoise = 300_000
/** How many different credentials have to fail before a provider counts as down. One that keeps failing says nothing of others. */
const tripsAt = 5
