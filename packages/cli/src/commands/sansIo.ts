import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Command from "effect/cli/Command"
import { createInterface } from "node:readline"
import { CredentialStore, SansIo } from "keyfob"
import { UsageError } from "../failure.ts"
import { here } from "../here.ts"
import * as level from "../level.ts"
import { print, stringify } from "../output.ts"
import { withRemedy } from "../provider.ts"
import * as secret from "../secret.ts"
import { Streams } from "../streams.ts"
import * as target from "../target.ts"
import { tokenJson } from "../text/token.ts"

const Line = Schema.fromJsonString(
  Schema.Struct({
    ...SansIo.Input.fields,
    state: Schema.optionalKey(SansIo.State),
    seed: Schema.optionalKey(Schema.Finite)
  })
)

/** What the host is to do, as it reads it. The line holds what goes on the wire: its standard output is the host's alone. */
const spoken = (action: SansIo.Action) =>
  action._tag === "Wait"
    ? { type: "wait", until: action.until }
    : {
        type: "request",
        id: action.id,
        method: action.method,
        url: action.url,
        headers: Redacted.value(action.headers),
        ...(action.body === undefined ? {} : { body: Redacted.value(action.body) })
      }

export const sansIo = Command.make(
  "sans-io",
  { provider: target.argument, ...level.flags, ...secret.flags },
  Effect.fnUntraced(function* ({ provider: name, ...flags }) {
    const opened = yield* here
    const provider = yield* target.one(opened, name, flags)
    const at = yield* level.of(flags)
    const online = yield* Effect.promise(() => import("../online.ts"))
    const program = (
      Option.isSome(at)
        ? online.derived(provider, opened.globals, at.value, Duration.zero)
        : online.token(provider, opened.globals, Duration.zero)
    ).pipe(Effect.provide(CredentialStore.layerMemory))
    const { stdin } = yield* Streams
    // An open standard input would keep the process.
    const reader = yield* Effect.acquireRelease(
      Effect.sync(() => createInterface({ input: stdin })),
      (reader) => Effect.sync(() => reader.close())
    )
    const lines = reader[Symbol.asyncIterator]()
    const wrong = () =>
      new UsageError({
        message: "a line of standard input is not what is waited for",
        remedy: 'Begin with {"now":MILLISECONDS}, then answer each request by its id: docs/chains.md has an example'
      })
    let before: SansIo.State | undefined
    for (;;) {
      const { done, value } = yield* Effect.promise(() => lines.next())
      if (done === true) return yield* wrong()
      const {
        seed = 0,
        state: told = before,
        ...input
      } = yield* Effect.mapError(Schema.decodeEffect(Line)(value), wrong)
      const { actions, exit, state } = yield* told === undefined
        ? SansIo.start(program, { now: input.now, seed })
        : SansIo.feed(program, told, input)
      before = state
      if (exit === undefined) {
        yield* print(stringify({ actions: actions.map(spoken), state }))
        continue
      }
      const token = yield* withRemedy(opened, provider)(Exit.isSuccess(exit) ? Effect.succeed(exit.value) : exit)
      return yield* print(stringify({ done: tokenJson(token), state }))
    }
  }, Effect.scoped)
).pipe(Command.withDescription("Get a token through a host that sends the requests: JSON lines in and out"))
