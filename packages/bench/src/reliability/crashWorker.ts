/**
 * A process that renews once and kills itself (SIGKILL) right before the N-th call of the file system it makes for that:
 *
 *     node crashWorker.js STORE LOCATION ISSUER N
 *
 * It says `ready` when it is loaded, and waits for a line. Where there are fewer calls, it says so.
 */
import { calls } from "./countedFileSystem.ts"
import { NodeHttpClient } from "@effect/platform-node"
import { Effect, Logger } from "effect"
import { TokenSource } from "keyfob"
import { createInterface } from "node:readline"
import { flowOf } from "./flow.ts"
import { isStoreName, stores } from "./stores.ts"

const [name = "", location = "", issuer = "", last = ""] = process.argv.slice(2)
if (!isStoreName(name)) throw new Error(`no store is called ${name}`)

const renewed = TokenSource.make(flowOf(issuer)).pipe(
  Effect.flatMap(({ renew }) => renew),
  Effect.scoped,
  Effect.provide(stores[name](location)),
  Effect.provide([NodeHttpClient.layerUndici, Logger.layer([])])
)

console.log("ready")
for await (const _ of createInterface({ input: process.stdin })) {
  let count = 0
  calls.before = () => {
    if (++count === Number(last)) process.kill(process.pid, "SIGKILL")
  }
  await Effect.runPromise(renewed)
  console.log("done")
}
