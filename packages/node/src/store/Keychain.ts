/** The operating system's keychain: Keychain on macOS, Credential Manager on Windows, Secret Service on Linux. */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Semaphore from "effect/Semaphore"
import { printable, type StoreFailed } from "keyfob"
import { type ChildProcess, spawn } from "node:child_process"
import { createRequire } from "node:module"
import { withoutSecrets } from "../childEnvironment.ts"
import { failuresOf } from "./FileFailure.ts"
import { type Answer, type Failed, program, type Question } from "./keychainProcess.ts"

const location = "the keychain"
const { locked, unavailable } = failuresOf("keychain")

/** Credential Manager keeps 2560 bytes, as UTF-16. The others set no limit that a credential would reach. */
const longest = process.platform === "win32" ? 1280 : 2 ** 20

/** What the library says of a keychain that is there and closed. */
const saysLocked = /^Couldn't access platform storage|\blocked|dismissed|interaction is not allowed/i

/** What it says of an entry that another process removed between the search for it and the look at it. */
const saysGone = /No such interface .org\.freedesktop\.Secret\.Item/

/** What an answer comes to. An entry that is just gone is none: who reads looks again at what names it. */
export const outcomeOf = (operation: Question["operation"], answer: Answer): Exclude<Answer, Failed> | StoreFailed => {
  if (!("failure" in answer)) return answer
  return operation !== "set" && saysGone.test(answer.failure) ? {} : failureOf(answer.failure)
}

const failureOf = (message: string) => (saysLocked.test(message) ? locked : unavailable)(location, printable(message))

/** Texts under names, for this user alone. */
export class Keychain extends Context.Service<
  Keychain,
  {
    /** The longest text an entry takes, in UTF-16 code units. */
    readonly longest: number
    readonly get: (name: string) => Effect.Effect<Option.Option<Redacted.Redacted>, StoreFailed>
    readonly set: (name: string, text: Redacted.Redacted) => Effect.Effect<void, StoreFailed>
    /** Gives whether there was one. */
    readonly remove: (name: string) => Effect.Effect<boolean, StoreFailed>
  }
>()("@keyfob/node/Keychain") {
  /**
   * The keychain of this machine, through `@napi-rs/keyring`. Fails with `Locked` where a person must unlock it, and with
   * `Unavailable` where there is none, it does not answer within `timeout` (30 s, in which a person may answer its
   * prompt), or the library is not installed.
   *
   * The library waits for the keychain's service in the middle of everything, and cannot be stopped. So it runs in a
   * process of its own, started by the first question, ended with the scope, or when it does not answer.
   */
  static readonly layer = (
    options: {
      readonly timeout?: Duration.Input
      /** What the entries belong to, `keyfob`. */
      readonly service?: string
    } = {}
  ): Layer.Layer<Keychain> => Layer.effect(Keychain, make(options))

  /** Succeeds where an entry can be written and removed; may ask the person to unlock the keychain. */
  static readonly probe: Effect.Effect<void, StoreFailed, Keychain> = Effect.gen(function* () {
    const { remove, set } = yield* Keychain
    yield* set("probe", Redacted.make("probe"))
    yield* remove("probe")
  })
}

const make = Effect.fnUntraced(function* ({
  service = "keyfob",
  timeout = "30 seconds"
}: {
  readonly timeout?: Duration.Input
  readonly service?: string
}) {
  const turn = Semaphore.makeUnsafe(1)
  let running: ChildProcess | undefined
  const stop = Effect.sync(() => {
    running?.kill("SIGKILL")
    running = undefined
  })
  yield* Effect.addFinalizer(() => stop)

  const start = Effect.try({
    try: () => {
      const library = createRequire(import.meta.url).resolve("@napi-rs/keyring")
      // What this process was started with (a debugger, a loader) is not for that one.
      const { NODE_OPTIONS: _, ...env } = withoutSecrets()
      const child = spawn(process.execPath, ["--eval", `(${String(program)})()`, library], {
        env,
        stdio: ["ignore", "ignore", "ignore", "ipc"]
      })
      const forget = () => {
        if (running === child) running = undefined
      }
      return child.on("exit", forget).on("error", forget)
    },
    catch: () => unavailable(location, "@napi-rs/keyring is not installed; run: npm install -g @napi-rs/keyring")
  })

  const answerOf = (child: ChildProcess, question: Question) =>
    Effect.callback<Answer, StoreFailed>((resume) => {
      const finish = (answer: Effect.Effect<Answer, StoreFailed>) => {
        child.off("message", said).off("error", gone).off("exit", gone)
        resume(answer)
      }
      const gone = () => finish(Effect.fail(unavailable(location, "its process ended")))
      // What is said by the process of our own program.
      const said = (answer: unknown) => finish(Effect.succeed(answer as Answer))
      child.on("message", said).on("error", gone).on("exit", gone)
      child.ref()
      child.channel?.ref()
      child.send(question)
    })

  const ask = Effect.fnUntraced(function* (question: Question) {
    running ??= yield* start
    const child = running
    const answer = yield* answerOf(child, question).pipe(
      Effect.interruptible,
      Effect.timeoutOrElse({
        duration: timeout,
        orElse: () => Effect.fail(unavailable(location, `no answer in ${Duration.toSeconds(timeout)} s`))
      }),
      Effect.onError(() => stop)
    )
    // Between two questions it keeps nobody's process alive.
    child.unref()
    child.channel?.unref()
    const outcome = outcomeOf(question.operation, answer)
    return "_tag" in outcome ? yield* outcome : outcome
  }, turn.withPermit)

  return Keychain.of({
    longest,
    get: (name) =>
      Effect.map(ask({ operation: "get", service, name }), ({ text }) =>
        Option.map(Option.fromNullishOr(text), (it) => Redacted.make(it))
      ),
    set: (name, text) => Effect.asVoid(ask({ operation: "set", service, name, text: Redacted.value(text) })),
    remove: (name) => Effect.map(ask({ operation: "remove", service, name }), ({ existed }) => existed === true)
  })
})
