/**
 * Credentials in the keychain. The file says where:
 *
 * ```
 * {"version":1,"entry":"work-login-…","side":"a","parts":1,"written":"…"}
 * ```
 *
 * A write goes to the side the file does not name, in as many parts as the keychain's limit asks for; then the file
 * names it, and what it named before is removed. Each part begins with `written`, the write it belongs to. So a reader
 * finds the old credential or the new one, wherever a writer or a crash has come to; what a crash left, the next write
 * replaces. Before each step the writer looks whether it still has the lease: the side is another's otherwise. Since every write changes the file, what was read once need not be read again: the keychain is asked, and
 * the person may be, once in a process.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { createHash, randomUUID } from "node:crypto"
import { hostname } from "node:os"
import { failuresOf } from "./FileFailure.ts"
import { Keychain } from "./Keychain.ts"
import type { Place, Sealing, Writing } from "./Sealing.ts"

const { corrupt } = failuresOf("keychain")

const Pointer = Schema.Struct({
  version: Schema.Literal(1),
  entry: Schema.NonEmptyString,
  side: Schema.Literals(["a", "b"]),
  parts: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1000 })),
  written: Schema.NonEmptyString
})
type Pointer = typeof Pointer.Type

const partName = ({ entry, side }: Pick<Pointer, "entry" | "side">, index: number) => `${entry} ${side} ${index}`

/** JSON without a character that takes two code units: it can be cut anywhere. */
const ascii = (json: string) =>
  json.replace(/[^\u0020-\u007e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)

const cut = (text: string, size: number) =>
  Array.from({ length: Math.ceil(text.length / size) }, (_, index) => text.slice(index * size, (index + 1) * size))

export const make = Effect.fnUntraced(function* (directory: string) {
  const { get, longest, remove, set } = yield* Keychain
  const path = yield* Path.Path
  const probe = Effect.provideService(Keychain.probe, Keychain, yield* Keychain)
  const PointerText = Schema.fromJsonString(Pointer)
  const decode = (sealed: string) => Schema.decodeUnknownOption(PointerText)(sealed)

  /** Part of each entry's name. Another directory has leases of its own, so it must have entries of its own. */
  const here = createHash("sha256")
    .update(JSON.stringify([hostname(), path.resolve(directory)]))
    .digest("hex")
    .slice(0, 16)

  /** The last text that each file stood for. */
  const known = new Map<string, { readonly sealed: string; readonly text: Redacted.Redacted }>()
  const remember = ({ name }: Place, sealed: string, text: string) =>
    Effect.sync(() => void known.set(name, { sealed, text: Redacted.make(text) }))

  /** Removes parts from `index` on, as long as there are any. */
  const removeFrom = (side: Pick<Pointer, "entry" | "side">, index: number, check: Writing["check"]) =>
    Effect.gen(function* () {
      for (let next = index; yield* Effect.andThen(check, remove(partName(side, next))); next++);
    })

  const seal = Effect.fnUntraced(function* (text: string, place: Place, { before, check }: Writing) {
    const previous = before === undefined ? undefined : Option.getOrUndefined(decode(before))
    const side = {
      entry: previous?.entry ?? `${place.name}-${here}`,
      side: previous?.side === "a" ? "b" : "a"
    } as const
    const written = randomUUID()
    const parts = cut(ascii(text), longest - written.length - 1)
    yield* Effect.forEach(parts, (part, index) =>
      Effect.andThen(check, set(partName(side, index), Redacted.make(`${written} ${part}`)))
    ).pipe(
      Effect.andThen(removeFrom(side, parts.length, check)),
      Effect.onError(() => Effect.ignore(removeFrom(side, 0, check)))
    )
    const sealed = JSON.stringify({ version: 1, ...side, parts: parts.length, written } satisfies Pointer)
    yield* remember(place, sealed, text)
    return sealed
  })

  const open = Effect.fnUntraced(function* (sealed: string, place: Place) {
    const remembered = known.get(place.name)
    if (remembered?.sealed === sealed) return Redacted.value(remembered.text)
    const pointer = Option.getOrUndefined(decode(sealed))
    if (pointer === undefined) return yield* corrupt(place.file, "it names no entry of the keychain")
    const parts = yield* Effect.forEach(Array.from({ length: pointer.parts }).keys(), (index) =>
      Effect.flatMap(get(partName(pointer, index)), (found) => {
        const part = Option.match(found, { onNone: () => "", onSome: Redacted.value })
        return part.startsWith(`${pointer.written} `)
          ? Effect.succeed(part.slice(pointer.written.length + 1))
          : Effect.fail(corrupt(place.file, "the keychain does not have what it names"))
      })
    )
    const text = parts.join("")
    yield* remember(place, sealed, text)
    return text
  })

  const discard = (sealed: string, check: Writing["check"]) =>
    Option.match(decode(sealed), {
      onNone: () => Effect.void,
      onSome: (pointer) =>
        Effect.catch(removeFrom(pointer, 0, check), ({ message }) =>
          Effect.logWarning(`${pointer.entry} is used no more, and could not be removed from the keychain; ${message}`)
        )
    })

  return { store: "keychain", extension: ".keychain", ready: probe, seal, open, discard } satisfies Sealing
})
