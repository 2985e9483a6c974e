import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import jsqr from "jsqr"
import * as QrCode from "../src/QrCode.ts"

const scale = 4

/** What a camera sees: the lines on a screen whose text and background are these shades, with more background around. */
const photograph = (lines: ReadonlyArray<string>, shade: { readonly text: number; readonly background: number }) => {
  const rows = lines.flatMap((line) => {
    const characters = [...line]
    return ["▀█", "▄█"].map((inked) => characters.map((character) => inked.includes(character)))
  })
  const columns = Math.max(...rows.map((row) => row.length))
  const border = 2
  const width = (columns + 2 * border) * scale
  const height = (rows.length + 2 * border) * scale
  const data = new Uint8ClampedArray(width * height * 4).fill(255)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const isText = rows[Math.floor(y / scale) - border]?.[Math.floor(x / scale) - border] ?? false
      data.fill(isText ? shade.text : shade.background, (y * width + x) * 4, (y * width + x) * 4 + 3)
    }
  }
  return { data, width, height }
}

const scan = (
  lines: ReadonlyArray<string>,
  shade: { readonly text: number; readonly background: number },
  inversionAttempts: "dontInvert" | "attemptBoth" = "dontInvert"
) => {
  const { data, height, width } = photograph(lines, shade)
  return jsqr.default(data, width, height, { inversionAttempts })?.data
}

const uris = [
  "https://id.test",
  "https://login.example.com/activate?user_code=ABCD-EFGH",
  `https://login.example.com/a?user_code=${"x".repeat(200)}`
]

it.effect.each(uris)("with color %s scans on any background", (uri) =>
  Effect.gen(function* () {
    const colored = yield* QrCode.lines(uri, { color: true })
    const ink = colored.map((line) => {
      assert.isTrue(line.startsWith("\u001b[38;5;16;48;5;231m") && line.endsWith("\u001b[0m"))
      return line.slice("\u001b[38;5;16;48;5;231m".length, -"\u001b[0m".length)
    })
    assert.strictEqual(scan(ink, { text: 0, background: 255 }), uri)
    assert.isAtMost(Math.max(...ink.map((line) => line.length)), 80)
  })
)

it.effect.each(uris)("without color %s scans on a dark background, and inverted on a light one", (uri) =>
  Effect.gen(function* () {
    const plain = yield* QrCode.lines(uri, { color: false })
    assert.strictEqual(scan(plain, { text: 255, background: 0 }), uri)
    assert.strictEqual(scan(plain, { text: 0, background: 255 }, "attemptBoth"), uri)
  })
)

it.effect("what is too wide for a terminal is not drawn", () =>
  Effect.gen(function* () {
    assert.deepStrictEqual(yield* QrCode.lines(`https://id.test/${"x".repeat(2000)}`, { color: true }), [])
    assert.deepStrictEqual(yield* QrCode.lines(`https://id.test/${"x".repeat(9000)}`, { color: true }), [])
  })
)
