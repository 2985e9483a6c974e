/**
 * One login at a time for an account, wherever its store is shared: one asks the person, and all who wait get its outcome.
 * After three prompts in a row that nobody answered, no further one is shown until a person asks for a login.
 *
 * For both there is a second entry in the store, under a key that each account has for its logins. Its lease is the turn to
 * ask, so that the credential's own lease stays free for renewals and logouts meanwhile. Its content, which is there only
 * after a failed login, counts failures across processes and restarts. No store has to know of it.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { LoginFailed, printable, StoreFailed } from "../AuthError.ts"
import type { Credential, CredentialKey } from "../Credential.ts"
import { UserPrompt } from "../flow/UserPrompt.ts"
import { CredentialStore, type Slot } from "../store/CredentialStore.ts"
import * as StoreNote from "../store/StoreNote.ts"

const mostUnanswered = 3

/** What a person who was asked may have done instead of signing in. */
const Outcome = Schema.Literals(["Denied", "Expired"])

export interface LoginOptions {
  /**
   * A person asked for this very login, by a command or a button. Without it the program did: then nobody is asked any
   * more once three prompts in a row went unanswered (`LoginFailed` with `Unanswered`). Default: false.
   */
  readonly personAsked?: boolean
  /** Tells whoever is there that another login of the account is waited for. Default: a warning in the log. */
  readonly onWaiting?: Effect.Effect<void>
}

/** How the last logins ended, if not well. */
const Attempts = Schema.Struct({
  /** How many prompts in a row nobody answered: they expired, or whoever showed them was stopped. */
  unanswered: Schema.Int,
  /** How many logins have failed since one succeeded. Whoever waits sees by it that one failed meanwhile. */
  failures: Schema.Int,
  reason: Schema.optionalKey(Outcome)
})
type Attempts = typeof Attempts.Type
const attempts = StoreNote.make("logins", Attempts, { unanswered: 0, failures: 0 })

/**
 * Runs the attempt in its turn, or has the outcome of the one it waited for. An attempt that is interrupted, or whose
 * process dies, is nobody's outcome: the next one asks.
 */
export const supervise = Effect.fnUntraced(function* <E, R>(
  key: CredentialKey,
  attempt: Effect.Effect<Credential, E, R>,
  { onWaiting, personAsked = false }: LoginOptions
): Effect.fn.Return<Credential, E | LoginFailed | StoreFailed, R | CredentialStore> {
  const { get, modify } = yield* CredentialStore
  // One for all scopes and audiences: it is the same person who is asked.
  const own = attempts.keyOf(key)
  const stored = StoreNote.undamaged(get(key))
  const since = signedInAt(yield* stored)
  const { failures } = attempts.in(yield* StoreNote.undamaged(get(own)))
  const signedIn = Effect.map(
    stored,
    Option.filter((found) => found.signedInAt !== undefined && signedInAt(Option.some(found)) !== since)
  )
  const waiting = yield* Effect.forkChild(
    Effect.delay(
      onWaiting ??
        Effect.logWarning(`another login of ${printable(key.account)} is under way; waiting for its outcome`),
      "3 seconds"
    )
  )

  const prompt = yield* Effect.serviceOption(UserPrompt)
  let isShown = Option.isNone(prompt)
  const shown =
    <A>(show: (prompt: A) => Effect.Effect<void, never, Scope.Scope>) =>
    (prompt: A) =>
      Effect.suspend(() => {
        isShown = true
        return show(prompt)
      })
  const watched = Option.match(prompt, {
    onNone: () => attempt,
    onSome: ({ browser, deviceCode }) =>
      Effect.provideService(attempt, UserPrompt, { browser: shown(browser), deviceCode: shown(deviceCode) })
  })

  /** Keeps in mind how an attempt ended. */
  const note = Effect.fnUntraced(function* (slot: Slot, before: Attempts, exit: Exit.Exit<Credential, E>) {
    const stored = yield* StoreNote.undamaged(slot.read)
    // One that was interrupted may have succeeded all the same.
    if (Exit.isSuccess(exit) || Option.isSome(yield* signedIn)) {
      return Option.isSome(stored) ? yield* slot.remove : undefined
    }
    // A failure from before anybody was asked (no network, say) is not shared: the next one tries for themselves.
    const outcome = Option.flatMap(Cause.findErrorOption(exit.cause), outcomeOf)
    // An interruption counts as unanswered once the prompt is shown, unless a person asked for the login: they were there to
    // stop it.
    if (Option.isNone(outcome) && (personAsked || !isShown || !Cause.hasInterruptsOnly(exit.cause))) return
    const after = Option.match(outcome, {
      onNone: () => ({ ...before, unanswered: before.unanswered + 1 }),
      onSome: (reason) => ({
        unanswered: before.unanswered + (reason === "Expired" ? 1 : 0),
        failures: before.failures + 1,
        reason
      })
    })
    yield* attempts.write(slot, own, stored, after)
  })

  const inTurn = Effect.fnUntraced(function* (slot: Slot) {
    yield* Fiber.interrupt(waiting)
    const found = yield* signedIn
    if (Option.isSome(found)) return found.value
    const recorded = yield* StoreNote.undamaged(slot.read)
    const record = attempts.in(recorded)
    const fail = (reason: LoginFailed["reason"]) => new LoginFailed({ reason, issuer: key.issuer })
    if (record.failures !== failures && record.reason !== undefined) return yield* fail(record.reason)
    if (!personAsked && record.unanswered >= mostUnanswered) return yield* fail("Unanswered")
    const before = personAsked ? { ...record, unanswered: 0 } : record
    if (before.unanswered !== record.unanswered) yield* attempts.write(slot, own, recorded, before)
    return yield* Effect.onExit(watched, (exit) => Effect.ignore(note(slot, before, exit)))
  })

  let entered = false
  return yield* modify(own, (slot) =>
    Effect.suspend(() => {
      entered = true
      return inTurn(slot)
    })
  ).pipe(
    // A person takes longer than stores let anybody wait for a lease.
    Effect.retry({ while: (error) => !entered && isBusy(error) }),
    Effect.ensuring(Fiber.interrupt(waiting))
  )
})

/** Removes the record of failed logins, at a logout. Not while somebody is just signing in: then it is theirs. */
export const forget = Effect.fnUntraced(function* (key: CredentialKey): Effect.fn.Return<void, never, CredentialStore> {
  const { get, modify } = yield* CredentialStore
  const own = attempts.keyOf(key)
  const found = yield* Effect.orElseSucceed(get(own), Option.none)
  if (Option.isNone(found)) return
  yield* modify(own, ({ remove }) => remove).pipe(Effect.timeoutOption("1 second"), Effect.ignore)
})

const signedInAt = (stored: Option.Option<Credential>) => Option.getOrUndefined(stored)?.signedInAt?.epochMilliseconds

const isOutcome = Schema.is(Outcome)
const outcomeOf = (error: unknown) =>
  Schema.is(LoginFailed)(error) && isOutcome(error.reason) ? Option.some(error.reason) : Option.none()
const isBusy = (error: unknown) => Schema.is(StoreFailed)(error) && error.reason === "Busy"
