/**
 * Many processes ask at the same instant with one expired credential, at a provider that rotates refresh tokens and ends
 * the session where one is used twice: one refresh, as many valid tokens as processes, nobody logged out.
 *
 *     node packages/bench/src/reliability/herd.ts [WHO] [ROUNDS] [PROCESSES]        after a build; default keyfob 3 64
 *
 * WHO is `keyfob`, or the name of a store. `keyfob` starts the command as it is published in new processes for each
 * round; that they met is seen by an instant at which all of them were there. The name of a store starts programs that
 * use it through the library; they stay, wait until all of them are ready, and remember nothing from one round to the
 * next.
 */
import { EmbeddedProvider } from "@keyfob/embedded"
import { Effect, type Scope } from "effect"
import { join } from "node:path"
import * as alice from "./alice.ts"
import { flowOf } from "./flow.ts"
import { places } from "./places.ts"
import { keyfob, median, start, worker } from "./processes.ts"
import { isStoreName, type StoreName, stores } from "./stores.ts"

export type Who = "keyfob" | StoreName

/** How one process's question ended: its one line of an answer, and when. */
interface Answer {
  readonly began: number
  readonly ended: number
  readonly said: string
}

export interface Round {
  /** Refreshes the provider was asked for. */
  readonly refreshes: number
  /** Processes with a token the provider's API takes. */
  readonly valid: number
  /** Processes that were told that a person has to sign in. */
  readonly logouts: number
  /** Whether all of them were there at one instant. */
  readonly met: boolean
  /** From the start of the first to the end of the last, in milliseconds. */
  readonly took: number
  /** What came instead of a token. */
  readonly complaints: ReadonlyArray<string>
}

const everybody = { concurrency: "unbounded" } as const

/** New processes of the command for each round. */
const commands = Effect.fnUntraced(function* (location: string, issuer: string, processes: number) {
  const env = { KEYFOB_HOME: location }
  const { client, key } = flowOf(issuer)
  const provider = ["--issuer", issuer, "--client-id", client.clientId, "--scope", key.scopes.join(" ")]
  const { code, stderr } = yield* Effect.flatMap(
    start([keyfob, "context", "add", "default", "alice", ...provider], env),
    ({ end }) => end
  )
  if (code !== 0) return yield* Effect.die(new Error(stderr))
  return Effect.gen(function* () {
    const running = yield* Effect.all(
      Array.from({ length: processes }, () => start([keyfob, "token", "alice", "-o", "json"], env))
    )
    const ends = yield* Effect.all(
      running.map(({ end }) => end),
      everybody
    )
    return ends.map(({ began, code, ended, lines, stderr }): Answer => {
      const json = code === 0 && lines.length > 0
      return {
        began,
        ended,
        said: json ? JSON.parse(lines.join("\n")).access_token : `exit ${code} with ${lines.length} lines: ${stderr}`
      }
    })
  }).pipe(Effect.scoped)
})

/** The same processes for all rounds. */
const programs = Effect.fnUntraced(function* (store: StoreName, location: string, issuer: string, processes: number) {
  const file = yield* worker
  const running = yield* Effect.all(
    Array.from({ length: processes }, () => start([file, store, location, issuer, "token"]))
  )
  yield* Effect.all(
    running.map(({ line }) => line),
    everybody
  )
  return Effect.gen(function* () {
    const began = performance.now()
    yield* Effect.all(running.map(({ say }) => say("go")))
    const answer = ({ line }: (typeof running)[number]) =>
      Effect.map(line, (said): Answer => ({ began, ended: performance.now(), said }))
    return yield* Effect.all(running.map(answer), everybody)
  })
})

/** The rounds one after the other, each told to `each`. One provider and one sign-in serve them all. */
export const herd = Effect.fnUntraced(function* (
  who: Who,
  options: { readonly rounds: number; readonly processes: number; readonly each?: (round: Round) => void }
) {
  const provider = yield* EmbeddedProvider.start({ deviceInterval: "1 second" })
  const { apiUrl, issuer } = provider
  const location = yield* places[who === "keyfob" ? "file" : who]
  const store = who === "keyfob" ? stores.file(join(location, "credentials")) : stores[who](location)
  const together: Effect.Effect<ReadonlyArray<Answer>, never, Scope.Scope> = who === "keyfob"
    ? yield* commands(location, issuer, options.processes)
    : yield* programs(who, location, issuer, options.processes)

  // A complaint may have characters that no header has.
  const isTaken = (said: string) =>
    /^\S+$/.test(said)
      ? Effect.promise(() => fetch(apiUrl, { headers: { authorization: `Bearer ${said}` } }).then(({ ok }) => ok))
      : Effect.succeed(false)

  const round = Effect.gen(function* () {
    yield* alice.expire(issuer)
    yield* provider.clearRequests
    const answers = yield* together
    const requests = yield* provider.requests
    const taken = new Map<string, boolean>()
    for (const { said } of answers) if (!taken.has(said)) taken.set(said, yield* isTaken(said))
    const complaints = answers.flatMap(({ said }) => (taken.get(said) === true ? [] : [said.trim()]))
    const began = answers.map(({ began }) => began)
    const ended = answers.map(({ ended }) => ended)
    return {
      refreshes: requests.filter(({ grantType }) => grantType === "refresh_token").length,
      valid: answers.length - complaints.length,
      logouts: complaints.filter((said) => said.includes("LoginRequired")).length,
      met: Math.max(...began) < Math.min(...ended),
      took: Math.max(...ended) - Math.min(...began),
      complaints
    } satisfies Round
  })

  return yield* Effect.gen(function* () {
    yield* alice.signIn(issuer)
    const all = Array.of<Round>()
    for (let number = 0; number < options.rounds; number++) {
      const one = yield* round
      options.each?.(one)
      all.push(one)
    }
    return all
  }).pipe(Effect.provide(store))
}, Effect.scoped)

export const isSound = (processes: number) => (round: Round) =>
  round.refreshes === 1 && round.valid === processes && round.logouts === 0 && round.met

const summary = (who: string, processes: number, rounds: ReadonlyArray<Round>) => {
  const sum = (of: (round: Round) => number) => rounds.reduce((total, round) => total + of(round), 0)
  const took = rounds.map(({ took }) => took)
  const seconds = (millis: number) => `${(millis / 1000).toFixed(1)} s`
  return [
    `${who}: ${rounds.length} rounds of ${processes} processes`,
    `${sum(({ refreshes }) => refreshes)} refreshes`,
    `${sum(({ valid }) => valid)} valid tokens`,
    `${sum(({ logouts }) => logouts)} logouts`,
    `all there at one instant in ${sum(({ met }) => (met ? 1 : 0))} rounds`,
    `a round takes ${seconds(median(took))} (median), ${seconds(Math.max(...took))} (longest)`
  ].join(", ")
}

if (import.meta.main) {
  const [who = "keyfob", rounds = "3", count = "64"] = process.argv.slice(2)
  if (who !== "keyfob" && !isStoreName(who)) throw new Error(`WHO is keyfob, ${Object.keys(stores).join(", ")}`)
  const processes = Number(count)
  const each = (round: Round) => {
    if (!isSound(processes)(round)) console.error(JSON.stringify(round))
  }
  const all = await Effect.runPromise(herd(who, { rounds: Number(rounds), processes, each }))
  console.log(summary(who, processes, all))
  if (!all.every(isSound(processes))) process.exitCode = 1
}
