/**
 * A process of one of two hosts that share a store:
 *
 *     node hostsWorker.js redis|sql ISSUER        the store's URL in KEYFOB_STORE_URL
 *
 * It says `ready`, then answers each line with one:
 *
 * - `token`: a token, or the error's tag and reason;
 * - `stop`: it wants a token, too, but stops itself (SIGSTOP) with the lease in its hands, right before it notes that it
 *   is going to spend the refresh token; whether that was `written` or `refused` when it woke;
 * - `stale`: it takes the lease, reads, stops itself, then writes what it read: `written` or `refused`.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { Console, Effect, Layer, Logger, Option, Redacted } from "effect"
import { type Credential, CredentialStore, type Slot, TokenSource } from "keyfob"
import { createInterface } from "node:readline"
import { flowOf } from "./flow.ts"
import { isSharedStoreName, sharedStores } from "./sharedStores.ts"

const [name = "", issuer = ""] = process.argv.slice(2)
if (!isSharedStoreName(name)) throw new Error(`no store is called ${name}`)

const flow = flowOf(issuer)

const stop = Effect.sync(() => process.kill(process.pid, "SIGSTOP"))

const token = TokenSource.make(flow).pipe(
  Effect.flatMap((source) => source.token),
  Effect.map(({ value }) => Redacted.value(value)),
  Effect.scoped,
  Effect.provide(NodeHttpClient.layerUndici)
)

/** Stops, then tries the write all the same. */
const late = (slot: Slot) => (credential: Credential) =>
  stop.pipe(
    Effect.andThen(slot.write(credential)),
    Effect.tap(() => Console.log("written")),
    Effect.tapError((error) => Console.log(error.reason === "Busy" ? "refused" : error.message))
  )

const stale = CredentialStore.use((store) =>
  store.modify(flow.key, (slot) => Effect.flatMap(slot.read, (found) => late(slot)(Option.getOrThrow(found))))
)

const stoppingAtWrite = Layer.effect(
  CredentialStore,
  Effect.map(CredentialStore, (store) =>
    CredentialStore.make({
      ...store,
      modify: (key, use) => store.modify(key, (slot) => use({ ...slot, write: late(slot) }))
    })
  )
)

const answer = (line: string) => {
  if (line === "stale") return Effect.ignore(stale)
  if (line === "stop") return Effect.ignore(Effect.provide(token, stoppingAtWrite))
  return Effect.matchEffect(token, {
    onSuccess: (token) => Console.log(token),
    onFailure: (error) => Console.log(`${error._tag} ${error.reason}`)
  })
}

await Effect.gen(function* () {
  yield* CredentialStore
  yield* Console.log("ready")
  for (const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator](); ;) {
    const { done, value } = yield* Effect.promise(() => lines.next())
    if (done === true) return
    yield* answer(value)
  }
}).pipe(
  Effect.provide(sharedStores[name](process.env["KEYFOB_STORE_URL"] ?? "")),
  Effect.provide(Logger.layer([])),
  Effect.runPromise
)
