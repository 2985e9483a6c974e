/**
 * A program renews without end and is killed (SIGKILL) at random instants; then another takes over, and so on. After each
 * kill the credential is there and readable, as the old generation or as the new one. A person is needed again only where
 * the provider had answered, the kill kept the answer from being written, and the provider takes no token twice.
 *
 *     node packages/bench/src/reliability/rotations.ts [PROVIDER] [ROTATIONS] [STORE]        after a build
 *
 * PROVIDER is `strict` (the default, oidc-provider) or `lenient` (one that allows for a lost answer); by default 200
 * rotations on the store `file`.
 */
import { Effect, Exit, Random } from "effect"
import * as alice from "./alice.ts"
import { places } from "./places.ts"
import { type Running, start, worker } from "./processes.ts"
import { isProviderName, type ProviderName, providers, settled } from "./providers.ts"
import { isStoreName, type StoreName, stores } from "./stores.ts"

export interface Tally {
  /** Generations that were written. */
  rotations: number
  kills: number
  /** The new generation was written, and its writer had not told anybody yet: the next program found it there. */
  adopted: number
  /** The old generation with the mark of a refresh that did not finish: the next program tries its token once more. */
  replays: number
  /** Of those, where the provider had answered: the answer is lost. */
  answersLost: number
  /** How often a person had to sign in again. */
  logins: number
  /** What must not happen, in words. */
  readonly broken: Array<string>
}

/** Renewals by one program before it is killed, at most. */
const most = 8

export const rotations = Effect.fnUntraced(function* (
  providerName: ProviderName,
  storeName: StoreName,
  wanted: number
) {
  const location = yield* places[storeName]
  return yield* Effect.provide(killing(providerName, storeName, location, wanted), stores[storeName](location))
}, Effect.scoped)

const killing = Effect.fnUntraced(function* (
  providerName: ProviderName,
  storeName: StoreName,
  location: string,
  wanted: number
) {
  const provider = yield* providers[providerName]
  const { issuer } = provider
  const args = [yield* worker, storeName, location, issuer, "renew"]
  const tally: Tally = { rotations: 0, kills: 0, adopted: 0, replays: 0, answersLost: 0, logins: 0, broken: [] }

  // How long a renewal takes here, so that kills fall evenly on all of it. A program's first one takes longer.
  const pace = { first: 300, next: 30 }
  const learn = (which: keyof typeof pace, since: number) => {
    pace[which] += (performance.now() - since - pace[which]) / 10
  }

  /** Lets it renew for a while and kills it. Gives all that it said. */
  const run = Effect.fnUntraced(function* ({ end, kill, line, say }: Running) {
    const said = Array.of<string>()
    const renewals = yield* Random.nextIntBetween(0, most)
    let since = performance.now()
    yield* say("go")
    while (said.length < renewals) {
      const next = yield* line
      said.push(next)
      if (isComplaint(next)) break
      learn(said.length === 1 ? "first" : "next", since)
      since = performance.now()
    }
    yield* Effect.sleep((said.length === 0 ? pace.first : pace.next) * (yield* Random.next))
    yield* kill
    const { lines } = yield* end
    yield* settled(provider)
    return [...said, ...lines]
  })

  yield* alice.signIn(issuer, provider.approve)
  let before = yield* alice.stored(issuer)
  let answerLost = false
  let next = yield* start(args)
  // A fast machine makes many before it comes to a kill.
  while (tally.rotations < wanted || tally.kills < wanted / 10) {
    yield* provider.forget
    yield* next.line
    const running = next
    next = yield* start(args) // loads while the other one works
    const said = yield* run(running)
    tally.kills++

    const found = yield* Effect.exit(alice.stored(issuer))
    if (Exit.isFailure(found)) {
      tally.broken.push(`unreadable: ${String(found.cause)}`)
      break
    }
    const after = found.value
    const written = after.generation - before.generation
    const { granted } = yield* provider.refreshes
    tally.rotations += written

    const complaint = said.find(isComplaint)
    if (complaint !== undefined) {
      const explained = answerLost && providerName === "strict" && complaint.includes("RefreshUnfinished")
      if (!explained) tally.broken.push(`a person is needed, or worse: ${complaint}`)
      tally.logins++
      answerLost = false
      yield* alice.signIn(issuer, provider.approve)
      before = yield* alice.stored(issuer)
      continue
    }
    const told = before.generation + said.length
    const marked = after.spending === after.generation
    if (after.generation !== told && after.generation !== told + 1) {
      tally.broken.push(`generation ${after.generation} is there, ${told} was told`)
    }
    if (after.generation === told + 1) tally.adopted++
    // Killed before it had tried the token again: all is as it was.
    if (marked && !(before.spending === before.generation && written === 0 && granted === 0)) {
      tally.replays++
      answerLost = granted === written + 1
      if (answerLost) tally.answersLost++
    } else if (!marked) answerLost = false
    if (granted !== written && !(answerLost && marked)) {
      tally.broken.push(`${granted} refreshes, ${written} of them written${marked ? ", marked" : ""}`)
    }
    before = after
  }
  return tally
})

const isComplaint = (line: string) => line.startsWith("{")

const summary = (provider: string, store: string, tally: Tally) =>
  [
    `${provider}, ${store}: ${tally.rotations} rotations, ${tally.kills} kills`,
    `found ${tally.adopted} times as the new generation that nobody had been told of`,
    `${tally.replays} times as the old one with a refresh that did not finish, ${tally.answersLost} of these answered`,
    `a person was needed ${tally.logins} times`,
    `laws broken: ${tally.broken.length}`
  ].join(", ")

if (import.meta.main) {
  const [provider = "strict", wanted = "200", store = "file"] = process.argv.slice(2)
  if (!isProviderName(provider)) throw new Error(`PROVIDER is ${Object.keys(providers).join(", ")}`)
  if (!isStoreName(store)) throw new Error(`STORE is ${Object.keys(stores).join(", ")}`)
  const tally = await Effect.runPromise(rotations(provider, store, Number(wanted)))
  for (const broken of tally.broken) console.error(broken)
  console.log(summary(provider, store, tally))
  if (tally.broken.length > 0) process.exitCode = 1
}
