import type { JWTPayload } from "jose"
import * as HashMap from "effect/HashMap"
import type { Turn } from "./Turn.ts"

/**
 * Whether a JWT was here before; from now on it was.
 *
 * @param until when it is refused for its age alone, and need not be remembered. Default: its `exp`.
 */
export const isReplay = (turn: Turn, from: string, { exp = 0, jti }: JWTPayload, until = exp * 1000): boolean => {
  const id = `${from} ${jti}`
  const replayed = HashMap.has(turn.state.seen, id)
  turn.state = { ...turn.state, seen: HashMap.set(turn.state.seen, id, until) }
  return replayed
}
