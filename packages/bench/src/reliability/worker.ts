/**
 * A process that wants tokens:
 *
 *     node worker.js STORE LOCATION ISSUER token|renew
 *
 * It says `ready` when it is loaded, and waits for a line. With `token` each line brings an answer on one line: a token,
 * or the error as the command says it. Each is asked for with nothing in memory. With `renew` it renews without end, and
 * says each generation.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { Console, Effect, Logger, Redacted } from "effect"
import { toJson, TokenSource } from "keyfob"
import { createInterface } from "node:readline"
import { flowOf } from "./flow.ts"
import { isStoreName, stores } from "./stores.ts"

const [name = "", location = "", issuer = "", task = ""] = process.argv.slice(2)
if (!isStoreName(name)) throw new Error(`no store is called ${name}`)

const token = (source: TokenSource.TokenSource) =>
  Effect.flatMap(source.token, ({ value }) => Console.log(Redacted.value(value)))

const renew = (source: TokenSource.TokenSource) =>
  Effect.forever(Effect.flatMap(source.renew, ({ credential, outcome }) => Console.log(outcome, credential.generation)))

const answer = TokenSource.make(flowOf(issuer)).pipe(
  Effect.flatMap(task === "token" ? token : renew),
  Effect.catch((error) => Console.log(JSON.stringify(toJson(error)))),
  Effect.scoped,
  Effect.provide(stores[name](location)),
  Effect.provide([NodeHttpClient.layerUndici, Logger.layer([])]) // stdout holds answers alone
)

console.log("ready")
for await (const _ of createInterface({ input: process.stdin })) await Effect.runPromise(answer)
