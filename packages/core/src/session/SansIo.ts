/**
 * A program that talks to nobody itself: its requests are data for a host in any language, and so is its clock. The host
 * sends them, feeds the answers by their ids, in whatever order, and says what time it is.
 *
 *     let machine = yield* SansIo.start(program, { now: 0, seed: 1 })
 *     for (const { id, url } of machine.actions) …
 *     machine = yield* SansIo.feed(program, machine.state, { now, id, status, headers, body })
 *
 * It is the same program that runs anywhere else. Its state is what it was told so far, as plain JSON: each step runs it
 * anew with that, which chance from the seed and time from the host make come out the same.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Promised from "../protocol/Promised.ts"

/** What a host tells: that time has passed, and with an id how a request went; without a status it got no answer. */
export const Input = Schema.Struct({
  /** Milliseconds since 1970, by the host's clock. */
  now: Schema.Finite,
  id: Schema.optionalKey(Schema.Int),
  status: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 200, maximum: 599 }))),
  headers: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  body: Schema.optionalKey(Schema.String)
})
export type Input = typeof Input.Type

/** All there is of a machine between two steps. It holds what its answers hold, tokens too. */
export const State = Schema.Struct({
  version: Schema.Literal(1),
  startedAt: Schema.Finite,
  /** Of the pauses' jitter; nothing secret comes of it. */
  seed: Schema.Finite,
  inputs: Schema.Array(Input)
})
export type State = typeof State.Type

/** What the host is to do: send a request and feed its answer, or come back at a time with nothing but that. */
export type Action =
  | {
      readonly _tag: "Request"
      readonly id: number
      readonly method: string
      readonly url: string
      /** With credentials in clear, as they go on the wire. */
      readonly headers: Redacted.Redacted<Readonly<Record<string, string>>>
      readonly body: Redacted.Redacted | undefined
    }
  | { readonly _tag: "Wait"; readonly until: number }

/** A machine after a step: `exit` is there when it is done. */
export interface Machine<A, E> {
  readonly state: State
  readonly actions: ReadonlyArray<Action>
  readonly exit: Exit.Exit<A, E> | undefined
}

/** Runs a program up to where it waits for somebody. */
export const start = <A, E>(
  program: Effect.Effect<A, E, HttpClient.HttpClient>,
  { now, seed }: { readonly now: number; readonly seed: number }
): Effect.Effect<Machine<A, E>> => resume(program, { version: 1, startedAt: now, seed, inputs: [] })

/** Tells the program something, and runs it on from there. An id that is not waited for changes nothing. */
export const feed = <A, E>(
  program: Effect.Effect<A, E, HttpClient.HttpClient>,
  state: State,
  input: Input
): Effect.Effect<Machine<A, E>> => resume(program, { ...state, inputs: [...state.inputs, input] })

/** Runs a program as far as a state goes, which may come from another process. */
export const resume = Effect.fnUntraced(function* <A, E>(
  program: Effect.Effect<A, E, HttpClient.HttpClient>,
  state: State
): Effect.fn.Return<Machine<A, E>> {
  const world = make(state.startedAt)
  const fiber: Fiber.Fiber<A, E> = yield* program.pipe(
    Effect.provideService(HttpClient.HttpClient, world.http),
    Effect.provideService(Promised.Around, world.hold),
    Effect.provideService(Clock.Clock, world.clock),
    Random.withSeed(state.seed),
    Effect.forkChild
  )
  yield* world.settled
  for (const input of state.inputs) {
    yield* world.passTo(input.now)
    yield* world.answer(input)
  }
  const exit = fiber.pollUnsafe()
  const actions = exit === undefined ? world.actions() : []
  if (exit === undefined) fiber.interruptUnsafe() // not waited for: what may not be cut off waits for an answer for ever
  return { state, actions, exit }
})

/** How many turns of the fibers' queue bring nothing new when all of them wait. */
const quietTurns = 20

const make = (startedAt: number) => {
  let now = startedAt
  let requests = 0
  let activity = 0
  let holds = 0
  const released = Latch.makeUnsafe(true)
  const sleeps = new Set<{ readonly until: number; readonly over: Deferred.Deferred<void> }>()
  const waiting = new Map<number, { readonly action: Action; readonly answered: Deferred.Deferred<Input> }>()

  const settled = Effect.gen(function* () {
    for (let quiet = 0, seen = activity; quiet < quietTurns; quiet++) {
      if (holds > 0) yield* released.await
      yield* Effect.yieldNow
      if (activity !== seen || holds > 0) quiet = 0
      seen = activity
    }
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

  const http = HttpClient.make((request, { href }) =>
    Effect.suspend(() => {
      activity++
      const id = ++requests
      const { body } = request
      const action: Action = {
        _tag: "Request",
        id,
        method: request.method,
        url: href,
        headers: Redacted.make({ ...request.headers }),
        body: body._tag === "Uint8Array" ? Redacted.make(new TextDecoder().decode(body.body)) : undefined
      }
      const answered = Deferred.makeUnsafe<Input>()
      waiting.set(id, { action, answered })
      const lost = () =>
        new HttpClientError.HttpClientError({
          reason: new HttpClientError.TransportError({ request, description: "the host had no answer" })
        })
      return Deferred.await(answered).pipe(
        Effect.flatMap(({ body, headers, status }) => {
          if (status === undefined) return Effect.fail(lost())
          const isEmpty = body === undefined || [204, 205, 304].includes(status)
          return Effect.succeed(
            HttpClientResponse.fromWeb(request, new Response(isEmpty ? null : body, { status, headers: headers ?? {} }))
          )
        }),
        Effect.ensuring(Effect.sync(() => waiting.delete(id)))
      )
    })
  )

  const next = () => [...sleeps].reduce((first, { until }) => Math.min(first, until), Infinity)

  return {
    clock,
    http,
    settled,
    /** Sleep by sleep: who wakes may sleep again, or ask for something. */
    passTo: Effect.fnUntraced(function* (end: number) {
      while (next() <= end) {
        now = Math.max(now, next())
        for (const { over, until } of sleeps) if (until <= now) Deferred.doneUnsafe(over, Exit.void)
        yield* settled
      }
      now = Math.max(now, end)
    }),
    answer: Effect.fnUntraced(function* (input: Input) {
      const found = input.id === undefined ? undefined : waiting.get(input.id)
      if (found !== undefined) Deferred.doneUnsafe(found.answered, Exit.succeed(input))
      yield* settled
    }),
    hold: <A, E, R>(work: Effect.Effect<A, E, R>) =>
      Effect.suspend(() => {
        holds++
        released.closeUnsafe()
        return Effect.ensuring(
          work,
          Effect.sync(() => {
            activity++
            if (--holds === 0) released.openUnsafe()
          })
        )
      }),
    actions: (): ReadonlyArray<Action> => [
      ...Array.from(waiting.values(), ({ action }) => action),
      ...(next() < Infinity ? [{ _tag: "Wait", until: next() } as const] : [])
    ]
  }
}
