import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import { CompactSign, exportJWK, generateKeyPair } from "jose"
import { json, type Response } from "./Http.ts"
import { altered, type IdTokenLie } from "./Lie.ts"
import type { SigningAlgorithm } from "./Settings.ts"
import type { SigningKey } from "./State.ts"
import { draw, type Turn } from "./Turn.ts"

/** One new key for each algorithm. The old ones sign no more, and stay published for as long as the settings say. */
export const rotate = Effect.fnUntraced(function* (turn: Turn, at: number) {
  const made: Array<SigningKey> = []
  for (const algorithm of turn.state.settings.algorithms) {
    made.push(yield* generate(algorithm, draw(turn, 16)))
  }
  const goneAt = at + turn.state.settings.retiredKeysStay
  const old = turn.state.keys.map((key) => ({ ...key, goneAt: key.goneAt ?? goneAt }))
  turn.state = { ...turn.state, keys: [...made, ...old.filter((key) => turn.now < key.goneAt)] }
})

const generate = (algorithm: SigningAlgorithm, kid: string) =>
  Effect.promise(async (): Promise<SigningKey> => {
    const pair = await generateKeyPair(algorithm, { extractable: true })
    const about = { kid, alg: algorithm, use: "sig" }
    return {
      kid,
      algorithm,
      public: { ...(await exportJWK(pair.publicKey)), ...about },
      private: { ...(await exportJWK(pair.privateKey)), ...about }
    }
  })

/** The first keys are made when somebody needs one: not every provider signs anything. */
const begun = (turn: Turn) => (turn.state.keys.length === 0 ? rotate(turn, turn.now) : Effect.void)

/** Carries out the rotations whose time has come. */
export const keepUp = Effect.fnUntraced(function* (turn: Turn) {
  const due = turn.state.rotations.filter((at) => at <= turn.now)
  if (due.length === 0) return
  if (turn.state.keys.length > 0) for (const at of due) yield* rotate(turn, at)
  turn.state = { ...turn.state, rotations: turn.state.rotations.filter((at) => at > turn.now) }
})

/** A JWT signed with the newest key of an algorithm. */
export const sign = Effect.fnUntraced(function* (
  turn: Turn,
  claims: Readonly<Record<string, unknown>>,
  options: {
    readonly algorithm?: SigningAlgorithm
    readonly type?: string
    readonly lie?: IdTokenLie | undefined
  } = {}
): Effect.fn.Return<string> {
  yield* begun(turn)
  const { lie } = options
  const wanted = options.algorithm ?? turn.state.settings.algorithms[0]
  const key = turn.state.keys.find(({ algorithm, goneAt }) => algorithm === wanted && goneAt === undefined)
  if (key === undefined) return yield* Effect.die(new Error(`the simulated provider has no key for ${wanted}`))
  const about = altered({ kid: key.kid, ...(options.type === undefined ? {} : { typ: options.type }) }, lie?.header)
  const payload = JSON.stringify(claims)
  if (lie?.signature === "none") {
    const header = JSON.stringify({ alg: "none", ...about })
    return `${Base64Url.encode(header)}.${Base64Url.encode(payload)}.`
  }
  // Not `SignJWT`, which would not sign a claim that is of the wrong type.
  const signed = yield* Effect.promise(() =>
    new CompactSign(new TextEncoder().encode(payload)).setProtectedHeader({ alg: wanted, ...about }).sign(key.private)
  )
  return lie?.signature === "broken" ? brokenly(signed) : signed
})

/** With another first letter of the signature: its last one may hold bits that do not count. */
const brokenly = (jwt: string) => {
  const at = jwt.lastIndexOf(".") + 1
  return `${jwt.slice(0, at)}${jwt.charAt(at) === "A" ? "B" : "A"}${jwt.slice(at + 1)}`
}

/** The keys anybody may have (RFC 7517 section 5). */
export const published = (turn: Turn) => ({
  keys: turn.state.keys.filter(({ goneAt }) => goneAt === undefined || turn.now < goneAt).map((key) => key.public)
})

/** The key set. */
export const jwks = (turn: Turn): Effect.Effect<Response> =>
  Effect.map(begun(turn), () =>
    json(published(turn), 200, {
      "content-type": "application/jwk-set+json; charset=utf-8",
      "cache-control": `public, max-age=${turn.state.settings.keysMaxAge / 1000}`
    })
  )
