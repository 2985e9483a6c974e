/**
 * A store that hosts share, over a database that can do a few things in one step each.
 *
 * Whoever modifies a credential takes its lease. With each lease the database hands out the next fence, a number, and
 * notes it beside the value together with a name the holder made up for just this lease. It takes a write from the
 * holder of the last lease it handed out and from nobody else. So a lease may run out (its holder was stopped, or cut
 * off) without harm: who comes back late is refused. The name tells two leases apart that got the same number because
 * the database forgot what it had handed out: after a failover, or a flush.
 *
 * The database measures how long a lease lasts. No two clocks are ever compared.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { type Credential, type CredentialKey, CredentialStore, CredentialText, type Slot, StoreFailed } from "keyfob"
import { createHash } from "node:crypto"
import { plain, type Sealing } from "./Sealing.ts"
import * as Turns from "./Turns.ts"

/** How long a lease lasts after its holder's last heartbeat. */
export const leaseLasts = Duration.seconds(30)
const heartbeatEvery = Duration.seconds(10)
export const answerWithin = Duration.seconds(5)

export interface Lease {
  readonly owner: string
  /** A whole number, as text: databases have greater ones than JavaScript. */
  readonly fence: string
}

/** What the database does. Everything but `texts` is one atomic step; `id` stands for a credential. */
export interface Place {
  /** What `status` calls the store. */
  readonly name: string
  /** How errors call the place of a credential. */
  readonly locationOf: (id: string) => string
  readonly text: (id: string) => Effect.Effect<Option.Option<string>, StoreFailed>
  readonly texts: Effect.Effect<ReadonlyArray<{ readonly id: string; readonly text: string }>, StoreFailed>
  /** Hands out the lease with the next fence, unless another owner has it: then none. */
  readonly take: (id: string, owner: string) => Effect.Effect<Option.Option<Lease>, StoreFailed>
  /** Lets the lease last anew from now, if it is the last one that was handed out; does nothing otherwise. */
  readonly prolong: (id: string, lease: Lease) => Effect.Effect<void, StoreFailed>
  /** Ends the owner's lease, if it still has it. */
  readonly end: (id: string, owner: string) => Effect.Effect<void, StoreFailed>
  /**
   * Writes for the holder of the last lease, and over no later generation; gives whether it did. A damaged text that stands
   * there is kept aside, and its generation does not count.
   */
  readonly write: (id: string, lease: Lease, content: Content) => Effect.Effect<boolean, StoreFailed>
  /** Removes for the holder of the last lease; gives whether it did. */
  readonly remove: (id: string, lease: Lease) => Effect.Effect<boolean, StoreFailed>
}

export interface Content {
  readonly text: string
  readonly generation: number
  readonly damaged: boolean
}

/** The SHA-256 of the key, in hexadecimal: of a length that every database takes for a key. */
const idOf = (key: CredentialKey) => createHash("sha256").update(key.canonical).digest("hex")

export const make = (place: Place, sealing: Pick<Sealing, "open" | "seal"> = plain): CredentialStore["Service"] => {
  const failed = (id: string, reason: StoreFailed["reason"], detail: string) =>
    new StoreFailed({ reason, store: place.name, location: place.locationOf(id), detail })

  /** With a time limit, and interruptible whatever is around it: otherwise a server that hangs would hold up its caller for good. */
  const promptly = <A>(id: string, effect: Effect.Effect<A, StoreFailed>) =>
    Effect.interruptible(effect).pipe(
      Effect.timeoutOrElse({
        duration: answerWithin,
        orElse: () => failed(id, "Unavailable", `no answer in ${Duration.toSeconds(answerWithin)} s`)
      })
    )

  const sealedAt = (id: string) => ({ file: place.locationOf(id), name: id })

  const decode = Effect.fnUntraced(function* (id: string, sealed: string) {
    const text = yield* sealing.open(sealed, sealedAt(id))
    const credential = yield* Effect.mapError(CredentialText.decode(text), (detail) => failed(id, "Corrupt", detail))
    if (idOf(credential.key) !== id) return yield* failed(id, "Corrupt", "the credential of another key")
    return credential
  })

  const read = Effect.fnUntraced(function* (id: string): Effect.fn.Return<Option.Option<Credential>, StoreFailed> {
    const text = yield* promptly(id, place.text(id))
    return Option.isNone(text) ? Option.none() : Option.some(yield* decode(id, text.value))
  })

  const asHolder = (id: string, effect: Effect.Effect<boolean, StoreFailed>) =>
    Effect.flatMap(promptly(id, effect), (done) =>
      done ? Effect.void : Effect.fail(failed(id, "Busy", "the lease was taken over"))
    )

  /** Whether what is there cannot be understood. Fails where only the key for it is missing: such a value is not to be replaced or removed. */
  const isDamaged = (id: string) =>
    read(id).pipe(
      Effect.as(false),
      Effect.catchIf(
        (error) => error.reason === "Corrupt",
        () => Effect.succeed(true)
      )
    )

  const slotOf = (id: string, lease: Lease): Slot => ({
    read: read(id),
    write: Effect.fnUntraced(function* (credential) {
      const damaged = yield* isDamaged(id)
      const writing = { before: undefined, check: Effect.void } // the write itself is refused where the lease is lost
      const text = yield* sealing.seal(yield* CredentialText.encode(credential), sealedAt(id), writing)
      yield* asHolder(id, place.write(id, lease, { text, generation: credential.generation, damaged }))
      if (damaged) yield* Effect.logWarning(`${place.locationOf(id)} was damaged; it is kept beside the new one`)
    }, Effect.uninterruptible),
    remove: Effect.uninterruptible(Effect.andThen(isDamaged(id), asHolder(id, place.remove(id, lease))))
  })

  const inTurn = Turns.make()

  const acquire = Effect.fnUntraced(function* (id: string): Effect.fn.Return<Lease, StoreFailed, Scope.Scope> {
    // Not from Effect's Random, which a test may seed: two processes must never agree on it.
    const owner = crypto.randomUUID()
    const end = promptly(id, place.end(id, owner))
    const attempt = promptly(id, place.take(id, owner)).pipe(
      // The lease may have been handed out though the answer was lost.
      Effect.onError(() => Effect.ignore(end)),
      Effect.tap((taken) =>
        Option.isNone(taken)
          ? Effect.void
          : Effect.addFinalizer(() =>
              Effect.catch(end, ({ detail }) =>
                Effect.logWarning(
                  `the lease of ${place.locationOf(id)} could not be given back (${detail}); others wait for its end`
                )
              )
            )
      ),
      Effect.uninterruptible
    )
    for (let pause = 50; ; pause = Math.min(pause * 1.5, 500)) {
      const taken = yield* attempt
      if (Option.isSome(taken)) return taken.value
      yield* Effect.sleep(Duration.millis(yield* Random.nextIntBetween(Math.floor(pause / 2), Math.floor(pause))))
    }
  })

  const lease = Effect.fnUntraced(function* (id: string) {
    const taken = yield* acquire(id)
    const beat = Effect.ignore(promptly(id, place.prolong(id, taken)))
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(heartbeatEvery), beat)))
    return taken
  })

  return CredentialStore.make({
    name: place.name,
    get: (key) => read(idOf(key)),
    list: promptly("*", place.texts).pipe(
      Effect.flatMap((found) =>
        Effect.forEach(found, ({ id, text }) =>
          Effect.catchIf(
            Effect.asSome(decode(id, text)),
            (error) => error.reason === "Corrupt",
            (error) => Effect.as(Effect.logWarning(`left out: ${error.message}`), Option.none())
          )
        )
      ),
      Effect.map((found) => found.flatMap(Option.toArray))
    ),
    modify: (key, use) => {
      const id = idOf(key)
      return inTurn(
        id,
        (detail) => failed(id, "Busy", detail),
        lease(id),
        (taken) => use(slotOf(id, taken))
      )
    }
  })
}
