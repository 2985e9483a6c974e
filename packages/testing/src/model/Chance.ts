/**
 * Chance as data: a small generator (sfc32) whose state is four numbers, so that one seed always gives the same ids and
 * tokens. What it draws only has to be distinct and to look like the real thing; nobody attacks a simulation.
 */
export type Chance = readonly [number, number, number, number]

/** A generator for a seed. Equal seeds draw equal sequences. */
export const seeded = (seed: string): Chance => {
  // FNV-1a spreads the seed's text over the first number; twelve draws spread it over all.
  let hash = 0x811c9dc5
  for (const char of seed) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193)
  let chance: Chance = [hash >>> 0, 0x9e3779b9, 0x243f6a88, 0xb7e15162]
  for (let round = 0; round < 12; round++) chance = next(chance)[1]
  return chance
}

/** A whole number of 32 bits, and the generator after it. */
export const next = ([a, b, c, d]: Chance): readonly [number, Chance] => {
  const value = (a + b + d) >>> 0
  return [value, [(b ^ (b >>> 9)) >>> 0, (c + (c << 3)) >>> 0, (((c << 21) | (c >>> 11)) + value) >>> 0, (d + 1) >>> 0]]
}

/** A number from 0 (included) to `below` (excluded), and the generator after it. */
export const below = (chance: Chance, below: number): readonly [number, Chance] => {
  const [value, after] = next(chance)
  return [Math.floor((value / 2 ** 32) * below), after]
}

/** A text of `length` letters from `alphabet`, and the generator after it. */
export const text = (chance: Chance, length: number, alphabet: string): readonly [string, Chance] => {
  let drawn = ""
  let state = chance
  while (drawn.length < length) {
    const [index, after] = below(state, alphabet.length)
    drawn += alphabet.charAt(index)
    state = after
  }
  return [drawn, state]
}

export const urlSafe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

/** Letters that nobody mistakes for each other, and that spell no words (RFC 8628 section 6.1). */
export const userCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"
