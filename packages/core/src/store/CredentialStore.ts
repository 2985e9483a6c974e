import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as MutableHashMap from "effect/MutableHashMap"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import type { StoreFailed } from "../AuthError.ts"
import type { Credential, CredentialKey } from "../Credential.ts"

/** One credential's place while its lease is held. Nobody else writes there meanwhile. */
export interface Slot {
  /** What is there now. */
  readonly read: Effect.Effect<Option.Option<Credential>, StoreFailed>
  /** Durable when it succeeds: a crash afterwards does not lose it. */
  readonly write: (credential: Credential) => Effect.Effect<void, StoreFailed>
  readonly remove: Effect.Effect<void, StoreFailed>
}

/** What a place for credentials has to do. */
export interface Implementation {
  /** What `status` calls it: `memory`, `file`, … */
  readonly name: string
  /** Reads without a lease: the cached path. */
  readonly get: (key: CredentialKey) => Effect.Effect<Option.Option<Credential>, StoreFailed>
  readonly list: Effect.Effect<ReadonlyArray<Credential>, StoreFailed>
  /** Runs `use` under an exclusive lease on the key; other keys are not held up. */
  readonly modify: <A, E, R>(
    key: CredentialKey,
    use: (slot: Slot) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | StoreFailed, R>
}

/**
 * Where credentials are kept. Every implementation passes the contract suite of `@keyfob/testing`.
 */
export class CredentialStore extends Context.Service<
  CredentialStore,
  Implementation & {
    /**
     * How often the key was written or removed through this store in this process. Whoever remembers a credential sees by
     * it whether there was a login or logout since, without a look at the place itself.
     */
    readonly revisionOf: (key: CredentialKey) => Effect.Effect<number>
  }
>()("keyfob/CredentialStore") {
  /** A store from its implementation. */
  static readonly make = (implementation: Implementation): CredentialStore["Service"] => {
    const revisions = new Map<string, number>()
    return CredentialStore.of({
      ...implementation,
      // Without the library's own notes.
      list: Effect.map(implementation.list, (found) => found.filter(({ key }) => key.use === undefined)),
      modify: (key, use) => {
        const id = key.canonical
        // A write that fails counts too: it may have reached the place all the same.
        const counted = <A, E>(effect: Effect.Effect<A, E>) =>
          Effect.ensuring(
            effect,
            Effect.sync(() => revisions.set(id, (revisions.get(id) ?? 0) + 1))
          )
        return implementation.modify(key, (slot) =>
          use({
            ...slot,
            write: (credential) =>
              credential.key.canonical === id
                ? counted(slot.write(credential))
                : Effect.die(new Error("a slot holds the credential of its own key")),
            remove: counted(slot.remove)
          })
        )
      },
      revisionOf: (key) => {
        const id = key.canonical
        return Effect.sync(() => revisions.get(id) ?? 0)
      }
    })
  }

  /** Credentials live as long as the layer, in this process alone. */
  static readonly layerMemory: Layer.Layer<CredentialStore> = Layer.sync(CredentialStore, () => memory())

  /** A store that keeps one key's credential in memory alone, out of every list, and all others where they were. */
  static readonly layerSparing = (key: CredentialKey): Layer.Layer<CredentialStore, never, CredentialStore> =>
    Layer.effect(
      CredentialStore,
      Effect.map(CredentialStore, (kept) => {
        const spared = memory()
        const storeOf = (one: CredentialKey) => (one.canonical === key.canonical ? spared : kept)
        return CredentialStore.of({
          ...kept,
          get: (one) => storeOf(one).get(one),
          modify: (one, use) => storeOf(one).modify(one, use),
          revisionOf: (one) => storeOf(one).revisionOf(one)
        })
      })
    )
}

const memory = () => {
  const places = MutableHashMap.empty<string, { lease: Semaphore.Semaphore; credential: Option.Option<Credential> }>()
  const placeOf = (key: CredentialKey) => {
    const id = key.canonical
    const found = MutableHashMap.get(places, id)
    if (Option.isSome(found)) return found.value
    const place = { lease: Semaphore.makeUnsafe(1), credential: Option.none<Credential>() }
    MutableHashMap.set(places, id, place)
    return place
  }
  return CredentialStore.make({
    name: "memory",
    get: (key) => Effect.sync(() => placeOf(key).credential),
    list: Effect.sync(() =>
      Array.from(MutableHashMap.values(places)).flatMap(({ credential }) => Option.toArray(credential))
    ),
    modify: (key, use) => {
      const place = placeOf(key)
      return place.lease.withPermit(
        use({
          read: Effect.sync(() => place.credential),
          write: (credential) =>
            Effect.sync(() => {
              place.credential = Option.some(credential)
            }),
          remove: Effect.sync(() => {
            place.credential = Option.none()
          })
        })
      )
    }
  })
}
