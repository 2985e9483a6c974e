import * as Effect from "effect/Effect"
import type { Bitmap2D } from "lean-qr"

/** Light modules around the code, without which scanners do not find it (ISO/IEC 18004 section 6.3.8). */
const quietZone = 4

/** The largest version that fits 80 columns with its quiet zone: a wrapped code is only noise. */
const maxVersion = 13

/**
 * `text` as a QR code in half-block characters, two modules a character, one string a line; none where it would be wider
 * than 80 columns. With `color` it brings its own black and white. Without, it is drawn for a dark background; on a
 * light one it is inverted, which phones read as well.
 */
export const lines = Effect.fnUntraced(function* (text: string, options: { readonly color: boolean }) {
  const { generate } = yield* Effect.promise(() => import("lean-qr"))
  return yield* Effect.try(() => draw(generate(text, { maxVersion }), options.color)).pipe(
    Effect.orElseSucceed((): ReadonlyArray<string> => [])
  )
})

const draw = (code: Bitmap2D, color: boolean): ReadonlyArray<string> => {
  const inked = (x: number, y: number) => code.get(x, y) === color
  const span = Array.from({ length: code.size + 2 * quietZone }, (_, index) => index - quietZone)
  return span
    .filter((_, row) => row % 2 === 0)
    .map((y) => {
      const line = span.map((x) => (inked(x, y) ? (inked(x, y + 1) ? "█" : "▀") : inked(x, y + 1) ? "▄" : " ")).join("")
      // Black on white of the colour cube: themes redefine the first sixteen colours.
      return color ? `\u001b[38;5;16;48;5;231m${line}\u001b[0m` : line
    })
}
