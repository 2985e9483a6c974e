/**
 * One store that outlives its processes. Each operation waits for its turn before it takes effect and again before its
 * caller learns of it, so that a process can die at every one of these points. Its leases are as the file store's: one
 * that stands still for 30 s is taken over, and who lost it can neither write nor remove.
 */
import { Effect, Option, Redacted } from "effect"
import { type Credential, type CredentialKey, CredentialStore, type Slot, StoreFailed } from "keyfob"
import type { Operation } from "./Program.ts"
import type { Witness } from "./Witness.ts"
import type { Owner, World } from "./World.ts"

interface Lease {
  readonly by: Owner
  /** Whether a refresh was unfinished when it was taken. */
  isMarked: boolean
}

const isMarked = (credential: Credential | undefined) =>
  credential !== undefined && credential.spending === credential.generation

interface Place {
  credential: Credential | undefined
  /** When it last became empty, or full after it was empty. */
  emptiedAt: number
  filledAt: number
  /** When it was last marked as refused, or replaced after it was. */
  refusedAt: number
  lease: Lease | undefined
}

interface Fault {
  readonly operation: Operation
  readonly late: boolean
  times: number
}

const waitAtMost = 60_000

const failed = (reason: StoreFailed["reason"]) => new StoreFailed({ reason, store: "model", location: "nowhere" })

export class SharedStore {
  private readonly places = new Map<string, Place>()
  private faults: Array<Fault> = []
  private readonly world: World
  private readonly witness: Witness
  /** Counts what happens, so that callers can say "while I asked". */
  private tick = 0

  constructor(world: World, witness: Witness) {
    this.world = world
    this.witness = witness
  }

  placeOf(key: CredentialKey): Place {
    const id = key.canonical
    const found = this.places.get(id)
    if (found !== undefined) return found
    const place: Place = { credential: undefined, emptiedAt: -1, filledAt: -1, refusedAt: -1, lease: undefined }
    this.places.set(id, place)
    return place
  }

  time(): number {
    return ++this.tick
  }

  fail(operation: Operation, times: number, late: boolean) {
    this.faults.push({ operation, times, late })
  }

  heal() {
    this.faults = []
  }

  /** The store as one process has it. */
  of(owner: Owner): CredentialStore["Service"] {
    const { witness, world } = this
    const parted = (over: ReadonlyArray<string>) => witness.partedFrom(owner, over, this.time())
    const fault = (operation: Operation, late: boolean) => {
      const isHit = (hit: Operation) => hit === operation || (hit === "write" && operation === "commit")
      const found = this.faults.find((fault) => isHit(fault.operation) && fault.late === late && fault.times > 0)
      if (found === undefined) return false
      found.times--
      if (operation === "get" || operation === "read") witness.readFaults++
      if (operation === "write" || operation === "commit") owner.writeFaults++
      return true
    }
    const operate = <A>(operation: Operation, effect: () => A | StoreFailed): Effect.Effect<A, StoreFailed> => {
      const isRead = operation === "get" || operation === "read"
      const reason = isRead ? "Unreadable" : "Full"
      return world.turn(owner, operation).pipe(
        Effect.andThen(
          Effect.suspend(() => {
            if (fault(operation, false)) return Effect.fail(failed(reason))
            const result = effect()
            if (result instanceof StoreFailed) return Effect.fail(result)
            return Effect.andThen(
              world.turn(owner, `${operation} done`),
              Effect.suspend(() => (fault(operation, true) ? Effect.fail(failed(reason)) : Effect.succeed(result)))
            )
          })
        ),
        // As the file store's: what began to write ends it.
        ["write", "commit", "remove"].includes(operation) ? Effect.uninterruptible : (same) => same
      )
    }
    const isTaken = (place: Place) => place.lease !== undefined && !world.isAbandoned(place.lease.by)
    const take = (place: Place, lease: Lease): Effect.Effect<void> =>
      Effect.flatMap(
        world.turn(owner, "lease", () => !isTaken(place)),
        () => {
          if (place.lease !== undefined) place.lease.by.lostLease = true
          place.lease = lease
          lease.isMarked = isMarked(place.credential)
          return Effect.void
        }
      )
    const slotOf = (key: CredentialKey, place: Place, lease: Lease): Slot => {
      const isLost = () => place.lease !== lease
      /** Of the holder's refusals, those that it knew when it last read. */
      let refusalsKnown = owner.refusals
      return {
        read: operate("read", () => {
          refusalsKnown = owner.refusals
          return Option.fromUndefinedOr(place.credential)
        }),
        write: (credential) =>
          operate(credential.generation === place.credential?.generation ? "write" : "commit", () => {
            if (credential.refused === true && owner.refusals > refusalsKnown) {
              witness.broken("after invalid_grant it looks again", `${owner.name} gave up what it had not read since`)
            }
            if (isLost()) return failed("Busy")
            if (credential.key.canonical !== key.canonical) {
              witness.broken("a slot holds the credential of its own key", `${owner.name} wrote another`)
            }
            if (credential.refused !== place.credential?.refused) place.refusedAt = this.time()
            if (place.credential === undefined) place.filledAt = this.time()
            witness.secrets.add(Redacted.value(credential.token.value))
            witness.written(place.credential, credential)
            const before = place.credential
            place.credential = credential
            return witness.endedBy(key, before, credential)
          }).pipe(Effect.map(parted)),
        remove: operate("remove", () => {
          if (isLost()) return failed("Busy")
          const { credential } = place
          place.credential = undefined
          place.emptiedAt = this.time()
          return witness.endedBy(key, credential)
        }).pipe(Effect.map(parted))
      }
    }
    return CredentialStore.make({
      name: "model",
      get: (key) => operate("get", () => Option.fromUndefinedOr(this.placeOf(key).credential)),
      list: Effect.sync(() => [...this.places.values()].flatMap(({ credential }) => credential ?? [])),
      modify: (key, use) => {
        const place = this.placeOf(key)
        return Effect.acquireUseRelease(
          Effect.sync((): Lease => ({ by: owner, isMarked: false })),
          (lease) =>
            take(place, lease).pipe(
              Effect.timeoutOrElse({ duration: waitAtMost, orElse: () => Effect.fail(failed("Busy")) }),
              Effect.andThen(use(slotOf(key, place, lease)))
            ),
          (lease) =>
            Effect.sync(() => {
              if (place.lease !== lease) return
              place.lease = undefined
              if (!lease.isMarked && isMarked(place.credential)) witness.leftMarked(lease)
            })
        )
      }
    })
  }
}
