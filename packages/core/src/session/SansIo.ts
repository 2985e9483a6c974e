/**
 * A program that talks to nobody itself: its requests are data for a host in any language, and so is its clock. The host
 * sends them, feeds the answers by their ids, in whatever order, and says what time it is.
 *
 *     let machine = yield* SansIo.start(program, { now: 0 })
 *     for (const { id, url } of machine.actions) …
 *     machine = yield* SansIo.feed(program, machine.state, { now, id, status, headers, body })
 *
 * It is the same program that runs anywhere else. Its state is what it was told and the chance it drew so far, as plain
 * JSON: each step runs it anew with that, which comes out the same but for signatures that have chance of their own.
 * A state is kept before what came with it is done, or it may be done twice.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { ConfigurationInvalid } from "../AuthError.ts"
import * as Pkce from "../protocol/Pkce.ts"
import * as SansIoHost from "./SansIoHost.ts"
import { type Action, type Host, type HostOptions, type Input, type Provided, Taken } from "./SansIoHost.ts"

export { type Action, type Host, type HostOptions, Input, type Provided } from "./SansIoHost.ts"

/**
 * All there is of a machine between two steps, as secret as a session: it has what its answers have, tokens too, and what
 * keys and codes were made of. What the program is configured with is not in it.
 */
export const State = Schema.Struct({
  version: Schema.Literal(2).annotate({ message: "a state of version 2: one of an earlier Keyfob cannot go on" }),
  startedAt: SansIoHost.Instant,
  redirectUri: Schema.optionalKey(Schema.String),
  /** In the order it was drawn. */
  chance: Schema.NonEmptyArray(Schema.String),
  inputs: Schema.Array(Taken)
})
export type State = typeof State.Type

/** A machine after a step: `exit` is there when it is done. */
export interface Machine<A, E> {
  readonly state: State
  readonly actions: ReadonlyArray<Action>
  readonly exit: Exit.Exit<A, E> | undefined
}

/** Runs a program up to where it waits for somebody. */
export const start = Effect.fnUntraced(function* <A, E>(
  program: Effect.Effect<A, E, Provided>,
  { now, redirectUri }: HostOptions & { readonly now: number }
): Effect.fn.Return<Machine<A, E>, ConfigurationInvalid> {
  const chance = [Redacted.value(yield* Pkce.random)] as const
  const inputs: State["inputs"] = []
  const state = { version: 2, startedAt: now, chance, inputs } as const
  return yield* resume(program, redirectUri === undefined ? state : { ...state, redirectUri })
})

/** Tells the program something, and runs it on from there. An id that is not waited for is no more than the time. */
export const feed = <A, E>(
  program: Effect.Effect<A, E, Provided>,
  state: State,
  input: Input
): Effect.Effect<Machine<A, E>, ConfigurationInvalid> => resume(program, { ...state, inputs: [...state.inputs, input] })

/** Runs a program as far as a state goes, which may come from another process. Fails where it is another program's. */
export const resume = Effect.fnUntraced(function* <A, E>(
  program: Effect.Effect<A, E, Provided>,
  state: State
): Effect.fn.Return<Machine<A, E>, ConfigurationInvalid> {
  const [seed, ...drawn] = state.chance
  const chance: [string, ...Array<string>] = [seed, ...drawn]
  const { actions, begin, feed } = SansIoHost.make(chance, state)
  const fiber = yield* begin(program, state.startedAt)
  const inputs: Array<Taken> = []
  for (const input of state.inputs) {
    const taken = yield* feed(input)
    if (input.to !== undefined && input.to !== taken.to) {
      return yield* new ConfigurationInvalid({ reason: "InvalidValue", detail: "a state of another program" })
    }
    inputs.push(taken)
  }
  const exit = fiber.pollUnsafe()
  const machine = { state: { ...state, chance, inputs }, actions: exit === undefined ? actions() : [], exit }
  if (exit === undefined) fiber.interruptUnsafe() // not waited for: what may not be cut off waits for an answer for ever
  return machine
})

/** A service in a host: its operations are begun with {@link SansIoHost.Host.begin}, at any time and next to each other. */
export interface Served<S> extends Host {
  readonly service: S
}

/**
 * Makes a service that lives as long as the scope, for a host that has it for longer than one operation: it remembers, and
 * nothing is run anew. Making it must ask the host for nothing.
 *
 *     const { actions, begin, feed, service } = yield* SansIo.serve(TokenSource.make(flow), { now: 0 })
 *     const token = yield* begin(service.token, now)
 *     for (const { id, url } of actions()) …
 *     yield* feed({ now, id, status, headers, body })
 *     token.pollUnsafe()
 */
export const serve = Effect.fnUntraced(function* <S, E>(
  made: Effect.Effect<S, E, Provided | Scope.Scope>,
  { now, ...options }: HostOptions & { readonly now: number }
): Effect.fn.Return<Served<S>, E, Scope.Scope> {
  const host = SansIoHost.make([Redacted.value(yield* Pkce.random)], options)
  const scope = yield* Scope.make()
  // Not waited for: what may not be cut off waits for an answer for ever.
  yield* Effect.addFinalizer((exit) => host.begin(Scope.close(scope, exit), now))
  const fiber = yield* host.begin(Scope.provide(made, scope), now)
  const unmade = Effect.die(new Error("a service in a host has to be made without it"))
  return { ...host, service: yield* fiber.pollUnsafe() ?? unmade }
})
