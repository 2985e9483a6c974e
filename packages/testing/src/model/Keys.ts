import * as Effect from "effect/Effect"
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose"
import { json, type Response } from "./Http.ts"
import type { SigningAlgorithm } from "./Settings.ts"
import type { SigningKey } from "./State.ts"
import { draw, type Turn } from "./Turn.ts"

/** One new key for each algorithm. The old ones sign no more, and stay published for as long as the settings say. */
export const rotate = Effect.fnUntraced(function* (turn: Turn, at: number) {
  const made: Array<SigningKey> = []
  for (const algorithm of turn.state.settings.algorithms) {
    made.push(yield* generate(algorithm, draw(turn, 16), at))
  }
  const goneAt = at + turn.state.settings.retiredKeysStay
  const old = turn.state.keys.map((key) => ({ ...key, goneAt: key.goneAt ?? goneAt }))
  turn.state = { ...turn.state, keys: [...made, ...old.filter((key) => turn.now < key.goneAt)] }
})

const generate = (algorithm: SigningAlgorithm, kid: string, madeAt: number) =>
  Effect.promise(async (): Promise<SigningKey> => {
    const pair = await generateKeyPair(algorithm, { extractable: true })
    const about = { kid, alg: algorithm, use: "sig" }
    return {
      kid,
      algorithm,
      madeAt,
      public: { ...(await exportJWK(pair.publicKey)), ...about },
      private: { ...(await exportJWK(pair.privateKey)), ...about }
    }
  })

/** Makes the first keys, and carries out the rotations whose time has come. */
export const keepUp = Effect.fnUntraced(function* (turn: Turn) {
  if (turn.state.keys.length === 0) yield* rotate(turn, turn.now)
  for (const at of turn.state.rotations.filter((at) => at <= turn.now)) yield* rotate(turn, at)
  if (turn.state.rotations.some((at) => at <= turn.now)) {
    turn.state = { ...turn.state, rotations: turn.state.rotations.filter((at) => at > turn.now) }
  }
})

/** A JWT signed with the newest key of an algorithm. */
export const sign = (
  turn: Turn,
  claims: JWTPayload,
  options: { readonly algorithm?: SigningAlgorithm; readonly type?: string } = {}
): Effect.Effect<string> => {
  const wanted = options.algorithm ?? turn.state.settings.algorithms[0]
  const key = turn.state.keys.find(({ algorithm, goneAt }) => algorithm === wanted && goneAt === undefined)
  if (key === undefined) return Effect.die(new Error(`the simulated provider has no key for ${wanted}`))
  const header = { alg: wanted, kid: key.kid, ...(options.type === undefined ? {} : { typ: options.type }) }
  return Effect.promise(() => new SignJWT(claims).setProtectedHeader(header).sign(key.private))
}

/** The keys anybody may have (RFC 7517 section 5). */
export const published = (turn: Turn) => ({
  keys: turn.state.keys.filter(({ goneAt }) => goneAt === undefined || turn.now < goneAt).map((key) => key.public)
})

/** The key set. */
export const jwks = (turn: Turn): Effect.Effect<Response> =>
  Effect.succeed(
    json(published(turn), 200, {
      "content-type": "application/jwk-set+json; charset=utf-8",
      "cache-control": `public, max-age=${turn.state.settings.keysMaxAge / 1000}`
    })
  )
