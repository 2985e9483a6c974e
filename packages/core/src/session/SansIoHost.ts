/**
 * Where programs run that talk to nobody themselves: their requests and pauses, and what they show to a person, are data
 * for a host, which says how each went and what time it is.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import { LoginFailed } from "../AuthError.ts"
import { RedirectReceiver } from "../flow/RedirectReceiver.ts"
import { type BrowserPrompt, type DeviceCodePrompt, UserPrompt } from "../flow/UserPrompt.ts"
import * as Chance from "../protocol/Chance.ts"
import * as Promised from "../protocol/Promised.ts"

/** Milliseconds since 1970, up to the end of the year 9999: lifetimes that are counted from there are dates still. */
export const Instant = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: Date.UTC(10_000, 0) - 1 }))

/**
 * What a host tells: that time has passed, and with an id how that went. A request without a status got no answer, nor
 * did one with a status that HTTP has not (RFC 9110 section 15). A browser's answer is its `body`: the address it came to,
 * the form it posted, or the code that a person typed.
 */
export const Input = Schema.Struct({
  /** By the host's clock. */
  now: Instant,
  id: Schema.optionalKey(Schema.Int),
  status: Schema.optionalKey(Schema.Int),
  headers: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  body: Schema.optionalKey(Schema.String)
})
export type Input = typeof Input.Type

/** An input that was taken, and what it was the answer to. */
export const Taken = Schema.Struct({ ...Input.fields, to: Schema.optionalKey(Schema.String) })
export type Taken = typeof Taken.Type

/** What the host is to do. One that is listed again, under the same id, is still waited for: it is done once. */
export type Action =
  | {
      /** Send it, follow no redirect, and feed the answer. */
      readonly _tag: "Request"
      readonly id: number
      readonly method: string
      readonly url: string
      /** With credentials in clear, as they go on the wire. */
      readonly headers: Redacted.Redacted<Readonly<Record<string, string>>>
      readonly body: Redacted.Redacted | undefined
    }
  /** Show it to a person, for as long as it is listed. */
  | ({ readonly _tag: "DeviceCode"; readonly id: number } & DeviceCodePrompt)
  /** Open it in a person's browser, and feed what that brings. What is no answer to this login is not taken. */
  | ({ readonly _tag: "Browser"; readonly id: number } & Omit<BrowserPrompt, "paste">)
  /** Come back at that time, with nothing but that. */
  | { readonly _tag: "Wait"; readonly until: number }

/** What a host gives a program. What else that needs has to be in memory. */
export type Provided = HttpClient.HttpClient | UserPrompt | RedirectReceiver

/** A place for programs, one after the other or at once. */
export interface Host {
  /** Begins a program, and runs it up to where it waits. */
  readonly begin: <A, E>(program: Effect.Effect<A, E, Provided>, now: number) => Effect.Effect<Fiber.Fiber<A, E>>
  /** Tells something, and runs on whoever that wakes. An answer that is not waited for is none: time has passed. */
  readonly feed: (input: Input) => Effect.Effect<Taken>
  readonly actions: () => ReadonlyArray<Action>
}

export interface HostOptions {
  /** Where the host receives a browser. Without it there is no login by one. */
  readonly redirectUri?: string | undefined
}

/** How many turns of the queue bring nothing new when all fibers wait: bodies, for one, are read in promises of their own. */
const quietTurns = 5

/**
 * @param chance what was drawn so far, or at least the seed of the pauses' jitter. What is drawn further is added to it.
 */
export const make = (chance: Array<string>, { redirectUri }: HostOptions = {}): Host => {
  let now = -Infinity
  let ids = 0
  let activity = 0
  let programs = 0
  let drawn = 1
  const sleeps = new Set<{ readonly until: number; readonly over: Deferred.Deferred<void> }>()
  const held = new Set<{ readonly work: Fiber.Fiber<unknown, unknown>; readonly over: Deferred.Deferred<void> }>()
  const waiting = new Map<
    number,
    { readonly action: Action; readonly to: string; readonly take: (input: Input) => Effect.Effect<unknown> }
  >()

  const quiet = Effect.gen(function* () {
    for (let turn = 0, seen = activity; turn < quietTurns; turn++) {
      yield* Effect.yieldNow
      if (activity !== seen) turn = 0
      seen = activity
    }
  })

  /** Promises end in any order; their work is handed over in the one it began in, so that it is the same each time. */
  const settled = Effect.gen(function* () {
    for (;;) {
      yield* quiet
      const [first] = held
      if (first === undefined) return
      yield* Fiber.await(first.work)
      held.delete(first)
      Deferred.doneUnsafe(first.over, Exit.void)
    }
  })

  const hold = <A, E, R>(promised: Effect.Effect<A, E, R>) =>
    Effect.gen(function* () {
      activity++
      const work = yield* Effect.forkChild(promised, { startImmediately: true })
      const one = { work, over: Deferred.makeUnsafe<void>() }
      held.add(one)
      yield* Effect.ensuring(
        Deferred.await(one.over),
        Effect.sync(() => {
          held.delete(one)
          work.interruptUnsafe()
        })
      )
      return yield* Fiber.join(work)
    })

  const draw = (source: Effect.Effect<string>) =>
    Effect.suspend(() => {
      const at = drawn++
      const known = chance[at]
      if (known !== undefined) return Effect.succeed(known)
      return Effect.uninterruptible(Effect.tap(source, (text) => Effect.sync(() => (chance[at] = text))))
    })

  const clock: Clock.Clock = {
    currentTimeMillisUnsafe: () => now,
    currentTimeNanosUnsafe: () => BigInt(Math.floor(now)) * 1_000_000n,
    monotonicTimeNanosUnsafe: () => BigInt(Math.floor(now)) * 1_000_000n,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanos: Effect.sync(() => clock.currentTimeNanosUnsafe()),
    monotonicTimeNanos: Effect.sync(() => clock.monotonicTimeNanosUnsafe()),
    sleep: (duration) =>
      Effect.suspend(() => {
        activity++
        const sleep = { until: now + Duration.toMillis(duration), over: Deferred.makeUnsafe<void>() }
        sleeps.add(sleep)
        return Effect.ensuring(
          Deferred.await(sleep.over),
          Effect.sync(() => sleeps.delete(sleep))
        )
      })
  }

  /** A fiber that works for long without asking for anything takes a turn now and then: it is not taken for one that waits. */
  const scheduler = new Scheduler.MixedScheduler()
  const counting: Scheduler.Scheduler = {
    executionMode: scheduler.executionMode,
    shouldYield: (fiber) => scheduler.shouldYield(fiber),
    makeDispatcher: () => {
      const dispatcher = scheduler.makeDispatcher()
      return {
        scheduleTask: (task, priority) => {
          activity++
          dispatcher.scheduleTask(task, priority)
        },
        flush: () => dispatcher.flush()
      }
    }
  }

  /** For as long as the scope is open. */
  const ask = (
    made: (id: number) => Action,
    to: string,
    take: (input: Input) => Effect.Effect<unknown> = () => Effect.void
  ) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        activity++
        const id = ++ids
        waiting.set(id, { action: made(id), to, take })
        return id
      }),
      (id) => Effect.sync(() => waiting.delete(id))
    )

  const http = HttpClient.make((request, { href: url }) =>
    Effect.gen(function* () {
      const { body, method } = request
      const answered = Deferred.makeUnsafe<Input>()
      const sent = {
        _tag: "Request",
        method,
        url,
        headers: Redacted.make({ ...request.headers }),
        body: body._tag === "Uint8Array" ? Redacted.make(new TextDecoder().decode(body.body)) : undefined
      } as const
      yield* ask(
        (id) => ({ ...sent, id }),
        `${method} ${url}`,
        (input) => Deferred.succeed(answered, input)
      )
      const { status, ...answer } = yield* Deferred.await(answered)
      const lost = (description: string) =>
        new HttpClientError.HttpClientError({
          reason: new HttpClientError.TransportError({ request, description })
        })
      if (status === undefined) return yield* lost("the host had no answer")
      if (status < 200 || status > 599) return yield* lost("the host's answer has a status that is none")
      const isEmpty = answer.body === undefined || [204, 205, 304].includes(status)
      // As bytes: text would have a content type, though the answer has none.
      const bytes = isEmpty ? null : new TextEncoder().encode(answer.body)
      const response = yield* Effect.try({
        try: () => new Response(bytes, { status, headers: answer.headers ?? {} }),
        catch: () => lost("the host's answer has headers that are none")
      })
      return HttpClientResponse.fromWeb(request, response)
    }).pipe(Effect.scoped)
  )

  const prompt = UserPrompt.of({
    deviceCode: (shown) => ask((id) => ({ _tag: "DeviceCode", id, ...shown }), "DeviceCode"),
    browser: ({ paste, ...shown }) =>
      ask(
        (id) => ({ _tag: "Browser", id, ...shown }),
        "Browser",
        ({ body = "" }) => paste(Redacted.make(body))
      )
  })
  const receiver = RedirectReceiver.of({
    open: ({ issuer }) =>
      redirectUri === undefined
        ? Effect.fail(new LoginFailed({ reason: "NoRedirect", issuer }))
        : Effect.succeed({ redirectUri, answer: Effect.never }) // it comes as what is pasted does
  })

  const next = () => [...sleeps].reduce((first, { until }) => Math.min(first, until), Infinity)

  /** Sleep by sleep: who wakes may sleep again, or ask for something. */
  const passTo = Effect.fnUntraced(function* (end: number) {
    while (next() <= end) {
      now = Math.max(now, next())
      for (const { over, until } of sleeps) if (until <= now) Deferred.doneUnsafe(over, Exit.void)
      yield* settled
    }
    now = Math.max(now, end)
  })

  return {
    begin: Effect.fnUntraced(function* (program, now) {
      yield* passTo(now)
      const fiber = yield* program.pipe(
        Effect.provideService(HttpClient.HttpClient, http),
        Effect.provideService(UserPrompt, prompt),
        Effect.provideService(RedirectReceiver, receiver),
        Effect.provideService(Promised.Around, hold),
        Effect.provideService(Chance.Drawn, draw),
        Effect.provideService(Clock.Clock, clock),
        Effect.provideService(Scheduler.Scheduler, counting),
        Random.withSeed(`${chance[0]} ${++programs}`),
        Effect.forkDetach
      )
      yield* settled
      return fiber
    }),
    feed: Effect.fnUntraced(function* (input) {
      const found = input.id === undefined ? undefined : waiting.get(input.id)
      if (found !== undefined) {
        // What the host has in hand is taken, however late: it may be a refresh token that nobody gets again.
        now = Math.max(now, input.now)
        yield* found.take(input)
        yield* settled
      }
      yield* passTo(input.now)
      return found === undefined ? { now: input.now } : { ...input, to: found.to }
    }),
    actions: () => [
      ...Array.from(waiting.values(), ({ action }) => action),
      ...(next() < Infinity ? [{ _tag: "Wait", until: next() } as const] : [])
    ]
  }
}
