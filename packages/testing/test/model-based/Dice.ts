/** Chance as an object, for code that draws often: the same seed, the same draws. */
import * as Chance from "../../src/model/Chance.ts"

export interface Dice {
  /** A whole number from 0 up to, not including, `limit`. */
  readonly below: (limit: number) => number
  /** True once in so many throws. */
  readonly oneIn: (throws: number) => boolean
  readonly pick: <A>(from: readonly [A, ...ReadonlyArray<A>]) => A
}

export const seeded = (seed: string): Dice => {
  let chance = Chance.seeded(seed)
  const below = (limit: number) => {
    const [value, after] = Chance.below(chance, limit)
    chance = after
    return value
  }
  return {
    below,
    oneIn: (throws) => below(throws) === 0,
    pick: (from) => from[below(from.length)] ?? from[0]
  }
}
