import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { createInterface } from "node:readline"
import { CredentialStore, SansIo, SavedSession } from "keyfob"
import { UsageError } from "../failure.ts"
import { here } from "../here.ts"
import * as level from "../level.ts"
import { print, stringify } from "../output.ts"
import { withRemedy } from "../provider.ts"
import * as secret from "../secret.ts"
import { Streams } from "../streams.ts"
import * as target from "../target.ts"
import { iso } from "../text/time.ts"
import { tokenJson } from "../text/token.ts"

/** Bound to the provider and the level: what one was told is nothing to another. */
const State = Schema.Struct({ ...SansIo.State.fields, of: Schema.String, session: Schema.optionalKey(Schema.String) })
const Line = Schema.fromJsonString(
  Schema.Struct({
    ...SansIo.Input.fields,
    state: Schema.optionalKey(State),
    /** What is known when it begins: of the last time. */
    session: Schema.optionalKey(Schema.String)
  })
)

/** What the host is to do, as it reads it. The line holds what goes on the wire: its standard output is the host's alone. */
const spoken = (action: SansIo.Action) => {
  switch (action._tag) {
    case "Wait":
      return { type: "wait", until: action.until }
    case "DeviceCode":
      return {
        type: "device_code",
        id: action.id,
        verification_uri: action.verificationUri,
        verification_uri_complete: action.verificationUriComplete,
        user_code: action.userCode,
        expires_at: iso(action.expiresAt),
        interval: action.interval
      }
    case "Browser":
      return { type: "browser", id: action.id, url: action.url, redirect_uri: action.redirectUri }
    case "Request":
      return {
        type: "request",
        id: action.id,
        method: action.method,
        url: action.url,
        headers: Redacted.value(action.headers),
        ...(action.body === undefined ? {} : { body: Redacted.value(action.body) })
      }
  }
}

const wrong = () =>
  new UsageError({
    message: "a line of standard input is not what is waited for, or has a state of another version",
    remedy: 'Begin with {"now":MILLISECONDS}, then answer each request by its id: docs/chains.md has an example'
  })

const redirectUri = Flag.String("redirect-uri").pipe(
  Flag.withMetavar("URI"),
  Flag.withDescription("Where the host receives a browser. Without it a person signs in on another screen"),
  Flag.optional
)

export const sansIo = Command.make(
  "sans-io",
  { provider: target.argument, redirectUri, ...level.flags, ...secret.flags },
  Effect.fnUntraced(function* ({ provider: name, redirectUri: received, ...flags }) {
    const opened = yield* here
    const provider = yield* target.one(opened, name, flags)
    const at = yield* level.of(flags)
    const online = yield* Effect.promise(() => import("../online.ts"))
    // What there is not is said before a person is asked for anything.
    if (Option.isSome(at)) {
      yield* online
        .plan(provider, opened.globals, [at.value])
        .pipe(Effect.provide(CredentialStore.layerMemory), withRemedy(opened, provider))
    }
    const redirectUri = Option.getOrUndefined(received)
    const token = Option.isSome(at)
      ? online.derived(provider, opened.globals, at.value, Duration.zero)
      : online.token(provider, opened.globals, Duration.zero)
    const login = online.loginThrough(provider, opened.globals, redirectUri !== undefined)
    const programOf = (session: string | undefined) =>
      Effect.gen(function* () {
        if (session !== undefined) yield* SavedSession.restore(session, provider)
        const exit = yield* Effect.exit(session === undefined ? Effect.andThen(login, token) : token)
        // Also where it failed: a session may have been renewed before that.
        return { exit, session: yield* SavedSession.save(provider) }
      }).pipe(Effect.provide(CredentialStore.layerMemory))
    const of = [provider.key.canonical, ...Option.toArray(Option.map(at, (at) => JSON.stringify(at)))].join(" ")
    const { stdin } = yield* Streams
    // An open standard input would keep the process.
    const reader = yield* Effect.acquireRelease(
      Effect.sync(() => createInterface({ input: stdin })),
      (reader) => Effect.sync(() => reader.close())
    )
    const lines = reader[Symbol.asyncIterator]()
    let before: typeof State.Type | undefined
    for (;;) {
      const { done, value } = yield* Effect.promise(() => lines.next())
      if (done === true) return yield* wrong()
      const line = yield* Effect.mapError(Schema.decodeEffect(Line)(value), wrong)
      const { state: told = before, ...input } = line
      if (told !== undefined && told.of !== of) {
        return yield* new UsageError({
          message: "the state is another provider's, or of another level",
          remedy: "Give each its own state, or begin anew"
        })
      }
      const { session } = told ?? line
      const program = programOf(session)
      const { actions, exit, state } = yield* told === undefined
        ? SansIo.start(program, { now: input.now, redirectUri })
        : SansIo.feed(program, told, input)
      before = { ...state, of, ...(session === undefined ? {} : { session }) }
      if (exit === undefined) {
        yield* print(stringify({ actions: actions.map(spoken), state: before }))
        continue
      }
      const outcome = yield* exit
      if (Exit.isSuccess(outcome.exit)) {
        const { dpopKey } = outcome.exit.value
        const key = dpopKey === undefined ? {} : { dpop_key: Redacted.value(dpopKey) }
        return yield* print(stringify({ done: { ...tokenJson(outcome.exit.value), ...key }, session: outcome.session }))
      }
      yield* print(stringify({ session: outcome.session }))
      return yield* withRemedy(opened, provider)(outcome.exit)
    }
  }, Effect.scoped)
).pipe(Command.withDescription("Get a token through a host that sends the requests: JSON lines in and out"))
