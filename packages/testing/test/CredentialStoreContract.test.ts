/** The contract of stores, held against stores that are wrong in one way each: a suite that passes those is none. */
import { Effect, Exit, Layer, Option, Schema, Semaphore } from "effect"
import { Credential, CredentialKey, CredentialStore, type Slot, StoreFailed } from "keyfob"
import { expect, it, vi } from "vitest"
import { CredentialStoreContract } from "../src/index.ts"

type Case = () => Effect.Effect<void, unknown>
const cases = vi.hoisted(() => new Map<string, Case>())

// The suite registers its cases here instead of with vitest.
vi.mock("@effect/vitest", async (original) => ({
  ...(await original<object>()),
  describe: (_: string, body: () => void) => body(),
  it: { live: (name: string, body: Case) => cases.set(name, body) }
}))

const json = Schema.fromJsonString(Schema.toCodecJson(Credential))
const encode = Schema.encodeSync(json)
const decode = Schema.decodeSync(json)

/** What outlives a process: the texts by key, and who may write. */
class Disk {
  readonly texts = new Map<string, string>()
  readonly leases = new Map<string, Lease>()
}

interface Lease {
  readonly turn: Semaphore.Semaphore
}

const newLease = (): Lease => ({ turn: Semaphore.makeUnsafe(1) })
const leaseIn = (leases: Map<string, Lease>, id: string) => {
  const lease = leases.get(id) ?? newLease()
  leases.set(id, lease)
  return lease
}

/** The parts a store can be wrong in. */
interface Parts {
  readonly idOf: (key: CredentialKey) => string
  readonly encode: (credential: Credential) => string
  readonly read: (id: string) => string | undefined
  readonly write: (id: string, text: string) => Effect.Effect<void>
  readonly leaseOf: (id: string) => Lease
  readonly holds: (id: string, lease: Lease) => boolean
  /** How often what failed is run again. */
  readonly retries: number
  readonly around: (
    slot: Slot
  ) => readonly [Slot, (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void, StoreFailed>]
}

const right = (disk: Disk): Parts => ({
  idOf: (key) => key.canonical,
  encode,
  read: (id) => disk.texts.get(id),
  write: (id, text) => Effect.sync(() => disk.texts.set(id, text)),
  leaseOf: (id) => leaseIn(disk.leases, id),
  holds: (id, lease) => disk.leases.get(id) === lease,
  retries: 0,
  around: (slot) => [slot, () => Effect.void]
})

const failed = (reason: StoreFailed["reason"]) => new StoreFailed({ reason, store: "test", location: "disk" })

const storeOf = (disk: Disk, parts: Parts) => {
  const read = (id: string) =>
    Effect.try({
      try: () => Option.map(Option.fromUndefinedOr(parts.read(id)), (text) => decode(text)),
      catch: () => failed("Corrupt")
    })
  const slotOf = (id: string, lease: Lease): Slot => {
    const asHolder = (work: Effect.Effect<void>) =>
      Effect.suspend(() => (parts.holds(id, lease) ? work : Effect.fail(failed("Busy"))))
    return {
      read: read(id),
      write: (credential) => asHolder(parts.write(id, parts.encode(credential))),
      remove: asHolder(Effect.sync(() => void disk.texts.delete(id)))
    }
  }
  return CredentialStore.make({
    name: "test",
    get: (key) => read(parts.idOf(key)),
    list: Effect.suspend(() => Effect.forEach([...disk.texts.keys()], read)).pipe(
      Effect.map((found) => found.flatMap(Option.toArray))
    ),
    modify: (key, use) =>
      Effect.suspend(() => {
        const id = parts.idOf(key)
        const lease = parts.leaseOf(id)
        const [slot, end] = parts.around(slotOf(id, lease))
        const once = Effect.onExit(use(slot), (exit) => Effect.orDie(end(exit)))
        return lease.turn.withPermit(Effect.retry(once, { times: parts.retries }))
      })
  })
}

const released = "releases the lease after a failure, a defect and an interruption"

const wrong: Readonly<Record<string, readonly [noticedBy: string, (disk: Disk) => Partial<Parts>]>> = {
  "a key without what tokens are bound to": [
    "never shares between keys that differ in one member",
    () => ({ idOf: (key) => CredentialKey.make({ ...key, dpop: false }).canonical })
  ],
  "a table without a column for what is new": [
    "gives back every member of what was written, by key and in the list",
    () => ({ encode: (credential) => encode(Credential.make({ ...credential, begunWith: "" })) })
  ],
  "a transaction that is tried again": [released, () => ({ retries: 1 })],
  "no lease": [
    "lets one at a time modify a credential, of all processes",
    () => ({ leaseOf: newLease, holds: () => true })
  ],
  "a lease in each process": [
    "lets one at a time modify a credential, of all processes",
    () => {
      const leases = new Map<string, Lease>()
      return { leaseOf: (id) => leaseIn(leases, id), holds: () => true }
    }
  ],
  "a cache": [
    "shows at once what another process wrote and removed",
    (disk) => {
      const cache = new Map<string, string | undefined>()
      const read = (id: string) => {
        if (!cache.has(id)) cache.set(id, disk.texts.get(id))
        return cache.get(id)
      }
      const write = (id: string, text: string) =>
        Effect.sync(() => {
          disk.texts.set(id, text)
          cache.set(id, text)
        })
      return { read, write }
    }
  ],
  "a write in two halves": [
    "shows nobody half of what is being written",
    (disk) => ({
      write: (id, text) =>
        Effect.andThen(
          Effect.sync(() => disk.texts.set(id, text.slice(0, text.length / 2))),
          Effect.delay(
            Effect.sync(() => disk.texts.set(id, text)),
            "2 millis"
          )
        )
    })
  ],
  "a lease whose end is not noticed": [
    "takes nothing from a holder whose lease has ended, once another had it",
    () => ({ holds: () => true })
  ],
  "writes that wait for the end of modify": [
    "keeps what was written before a failure",
    () => ({
      around: (slot) => {
        let pending: Credential | undefined
        const write = (credential: Credential) => Effect.sync(() => void (pending = credential))
        const read = Effect.suspend(() => (pending === undefined ? slot.read : Effect.succeed(Option.some(pending))))
        const end = (exit: Exit.Exit<unknown, unknown>) =>
          Exit.isSuccess(exit) && pending !== undefined ? slot.write(pending) : Effect.void
        return [{ ...slot, read, write }, end]
      }
    })
  ]
}

/** The cases a store fails, by what they say. */
const failing = async (change: (disk: Disk) => Partial<Parts>) => {
  const disk = new Disk()
  const parts = () => ({ ...right(disk), ...change(disk) })
  const layer = Layer.sync(CredentialStore, () => storeOf(disk, parts()))
  const { idOf } = parts()
  const endLease = (key: CredentialKey) => Effect.sync(() => disk.leases.delete(idOf(key)))
  cases.clear()
  CredentialStoreContract.suite("test", layer, { durable: true, endLease })
  const found: Array<string> = []
  for (const [name, body] of cases) {
    if (Exit.isFailure(await Effect.runPromiseExit(body()))) found.push(name)
  }
  return found
}

it("a store that is right passes", async () => {
  expect(await failing(() => ({}))).toEqual([])
  expect(cases.size).toBeGreaterThan(15)
})

it.each(Object.entries(wrong))("%s is noticed", async (_, [noticedBy, change]) => {
  expect(await failing(change)).toContain(noticedBy)
})
