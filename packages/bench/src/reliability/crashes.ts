/**
 * A program renews once and is killed (SIGKILL, by itself) right before a call of the file system; it is run once for each
 * call that a renewal makes. After each kill the credential is there and readable, as the old generation or as the new
 * one, and the next renewal goes on with it. A person is needed again only where the provider had answered, the kill kept
 * the answer from being written, and the provider takes no token twice.
 *
 *     node packages/bench/src/reliability/crashes.ts [PROVIDER] [STORE] [STEP]        after a build
 *
 * PROVIDER is `strict` (the default, oidc-provider) or `lenient` (one that allows for a lost answer), STORE is `file` (the
 * default) or `encrypted_file`; every STEP-th call, by default each.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { Effect, Exit, Result } from "effect"
import { TokenSource } from "keyfob"
import { readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import * as alice from "./alice.ts"
import { flowOf } from "./flow.ts"
import { places } from "./places.ts"
import { bundled, start } from "./processes.ts"
import { isProviderName, type ProviderName, providers, settled } from "./providers.ts"
import { stores } from "./stores.ts"

const storeNames = ["file", "encrypted_file"] as const
type FileStoreName = (typeof storeNames)[number]

export interface Tally {
  /** One for each call of the file system. */
  kills: number
  /** What was there afterwards: the old generation as it was, the old one with a refresh that did not finish, the new one. */
  untouched: number
  unfinished: number
  renewed: number
  /** Of those that did not finish, where the provider had answered: the answer is lost. */
  answersLost: number
  /** How often a person had to sign in again. */
  logins: number
  /** What must not happen, in words. */
  readonly broken: Array<string>
}

export const crashes = Effect.fnUntraced(function* (
  providerName: ProviderName,
  storeName: FileStoreName,
  step: number
) {
  const location = yield* places[storeName]
  return yield* Effect.provide(killing(providerName, storeName, location, step), stores[storeName](location))
}, Effect.scoped)

const killing = Effect.fnUntraced(function* (
  providerName: ProviderName,
  storeName: FileStoreName,
  location: string,
  step: number
) {
  const provider = yield* providers[providerName]
  const { issuer } = provider
  const file = yield* bundled("crashWorker.ts")
  const program = (call: number) => start([file, storeName, location, issuer, String(call)])
  const renewal = TokenSource.make(flowOf(issuer)).pipe(
    Effect.flatMap(({ renew }) => renew),
    Effect.scoped,
    Effect.result,
    Effect.provide(NodeHttpClient.layerUndici)
  )
  const tally: Tally = {
    kills: 0,
    untouched: 0,
    unfinished: 0,
    renewed: 0,
    answersLost: 0,
    logins: 0,
    broken: []
  }

  yield* alice.signIn(issuer, provider.approve)
  let next = yield* program(1)
  for (let call = 1; ; call += step) {
    const before = yield* alice.stored(issuer)
    yield* provider.forget
    // What the last one left behind would make a renewal's calls others than those that are counted.
    for (const name of readdirSync(location))
      if (name.endsWith(".tmp")) rmSync(join(location, name), { recursive: true })
    const running = next
    yield* running.line
    next = yield* program(call + step) // loads while the other one works
    yield* running.say("go")
    const said = yield* running.line
    if (said !== "") return tally // there is no such call any more
    tally.kills++
    yield* running.end
    const { granted } = yield* settled(provider)

    const found = yield* Effect.exit(alice.stored(issuer))
    if (Exit.isFailure(found)) {
      tally.broken.push(`call ${call}: unreadable: ${String(found.cause)}`)
      return tally
    }
    const { generation, spending } = found.value
    const written = generation - before.generation
    if (written !== 0 && written !== 1) tally.broken.push(`call ${call}: generation ${generation} is there`)
    const answerLost = granted > written
    if (written === 1) tally.renewed++
    else if (spending === generation) tally.unfinished++
    else tally.untouched++
    if (answerLost) tally.answersLost++

    const after = yield* renewal
    if (Result.isSuccess(after)) continue
    const explained = answerLost && providerName === "strict" && after.failure.reason === "RefreshUnfinished"
    if (!explained) tally.broken.push(`call ${call}: a person is needed, or worse: ${after.failure.message}`)
    tally.logins++
    yield* alice.signIn(issuer, provider.approve)
  }
})

const summary = (provider: string, store: string, tally: Tally) =>
  [
    `${provider}, ${store}: ${tally.kills} kills`,
    `found ${tally.untouched} times as the old generation`,
    `${tally.unfinished} times as the old one with a refresh that did not finish, ${tally.answersLost} of these answered`,
    `${tally.renewed} times as the new one`,
    `a person was needed ${tally.logins} times`,
    `laws broken: ${tally.broken.length}`
  ].join(", ")

if (import.meta.main) {
  const [provider = "strict", name = "file", step = "1"] = process.argv.slice(2)
  const store = storeNames.find((one) => one === name)
  if (!isProviderName(provider)) throw new Error(`PROVIDER is ${Object.keys(providers).join(", ")}`)
  if (store === undefined) throw new Error(`STORE is ${storeNames.join(", ")}`)
  const tally = await Effect.runPromise(crashes(provider, store, Number(step)))
  for (const broken of tally.broken) console.error(broken)
  console.log(summary(provider, store, tally))
  if (tally.broken.length > 0) process.exitCode = 1
}
