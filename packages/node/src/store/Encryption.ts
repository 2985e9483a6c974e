/**
 * Credentials encrypted with AES-256-GCM, each bound to the file it stands in:
 *
 * ```
 * {"version":1,"kdf":{"name":"scrypt","N":131072,"r":8,"p":1,"salt":"…"},"key":"…","nonce":"…","ciphertext":"…"}
 * ```
 *
 * All but the ciphertext, and the file's name, is authenticated with it. `key` tells which key it takes, and nothing else
 * about it. The nonce is fresh at every write.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import type { StoreFailed } from "keyfob"
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, scrypt } from "node:crypto"
import { type EncryptionKey, type KeySource, length, remembered } from "./EncryptionKey.ts"
import { failuresOf } from "./FileFailure.ts"
import type { Place, Sealing } from "./Sealing.ts"

const store = "encrypted_file"
const extension = ".sealed"
const { corrupt, locked } = failuresOf(store)

const algorithm = "aes-256-gcm"
const saltLength = 16
const nonceLength = 12
const tagLength = 16

/** Bytes as base64url, in the one spelling that has no spare bits to change. */
const bytes = (length?: number) =>
  Schema.String.check(
    Schema.makeFilter((text: string) => {
      const value = Buffer.from(text, "base64url")
      return value.toString("base64url") === text && (length === undefined || value.length === length)
    })
  )

/** What a passphrase went through. Its bounds keep a forged file from taking this machine's memory. */
const Scrypt = Schema.Struct({
  name: Schema.Literal("scrypt"),
  N: Schema.Int.check(Schema.makeFilter((n: number) => Number.isInteger(Math.log2(n)) && n >= 2 ** 10 && n <= 2 ** 20)),
  r: Schema.Literal(8),
  p: Schema.Literal(1),
  salt: bytes(saltLength)
})
type Scrypt = typeof Scrypt.Type

const Envelope = Schema.Struct({
  version: Schema.Literal(1),
  kdf: Schema.Union([Schema.Struct({ name: Schema.Literal("none") }), Scrypt]),
  key: Schema.String,
  nonce: bytes(nonceLength),
  ciphertext: bytes()
})
type Envelope = typeof Envelope.Type

/** A key that is ready for use, and what stands in files about it. */
interface Derived {
  readonly kdf: Envelope["kdf"]
  readonly id: string
  readonly bytes: Redacted.Redacted<Uint8Array>
}

const authenticated = ({ kdf, key, nonce, version }: Omit<Envelope, "ciphertext">, { name }: Place) => {
  const parameters = kdf.name === "scrypt" ? [kdf.name, kdf.N, kdf.r, kdf.p, kdf.salt] : [kdf.name]
  return Buffer.from(JSON.stringify(["keyfob", version, parameters, key, nonce, name]))
}

const encrypt = (text: string, { bytes, id, kdf }: Derived, place: Place): Envelope => {
  const nonce = randomBytes(nonceLength)
  const head = { version: 1, kdf, key: id, nonce: nonce.toString("base64url") } as const
  const cipher = createCipheriv(algorithm, Redacted.value(bytes), nonce, { authTagLength: tagLength })
  cipher.setAAD(authenticated(head, place))
  const ciphertext = Buffer.concat([cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()])
  return { ...head, ciphertext: ciphertext.toString("base64url") }
}

const decrypt = (envelope: Envelope, { bytes }: Derived, place: Place) =>
  Effect.try({
    try: () => {
      const sealed = Buffer.from(envelope.ciphertext, "base64url")
      const nonce = Buffer.from(envelope.nonce, "base64url")
      const decipher = createDecipheriv(algorithm, Redacted.value(bytes), nonce, { authTagLength: tagLength })
      decipher.setAAD(authenticated(envelope, place))
      decipher.setAuthTag(sealed.subarray(-tagLength))
      return Buffer.concat([decipher.update(sealed.subarray(0, -tagLength)), decipher.final()]).toString("utf8")
    },
    catch: () => corrupt(place.file, "changed, or another credential's")
  })

const subkey = (master: Uint8Array, use: string) => Buffer.from(hkdfSync("sha256", master, "", `keyfob ${use}`, length))

const derived = (kdf: Envelope["kdf"], master: Uint8Array): Derived => ({
  kdf,
  id: subkey(master, "key id").subarray(0, 16).toString("base64url"),
  bytes: Redacted.make(subkey(master, "credential"))
})

const stretch = (passphrase: Redacted.Redacted, { N, p, r, salt }: Scrypt) =>
  Effect.callback<Buffer>((resume) =>
    scrypt(
      Redacted.value(passphrase),
      Buffer.from(salt, "base64url"),
      length,
      { N, r, p, maxmem: 256 * N * r },
      (error, key) => resume(error === null ? Effect.succeed(key) : Effect.die(error))
    )
  )

/**
 * Encrypts with the first key, and opens what any of them encrypted. What none of them did is `Locked`; a failure of a
 * source is told only where no other key fits.
 */
export const make = Effect.fnUntraced(function* <R = never>({
  directory,
  keys
}: {
  readonly keys: readonly [KeySource<R>, ...ReadonlyArray<KeySource<R>>]
  /** Where the files are, if in files: one salt serves all that stand there. */
  readonly directory?: string
}) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const context = yield* Effect.context<R>()
  const EnvelopeText = Schema.fromJsonString(Envelope)
  const turn = Semaphore.makeUnsafe(1)

  /** Each source, with what was derived from its key: so that a process prompts, or runs scrypt, once. */
  const keyring = keys.map((source) => {
    const ready = new Map<string, Derived>()
    const key = remembered(Effect.provideContext(source, context))
    /** The work of scrypt that new files take; 0 for a key that needs none. */
    const work = Effect.map(key, (found) => (found._tag === "Passphrase" ? 2 ** found.cost : 0))
    /** The key that is written with. All files have one salt, so that one run of scrypt opens them all. */
    let own: Derived | undefined

    /** The key as a file of these parameters takes it; nothing where it cannot be that file's. */
    const under = Effect.fnUntraced(function* (kdf: Envelope["kdf"]) {
      const found = yield* key
      if ((found._tag === "Passphrase") !== (kdf.name === "scrypt")) return undefined
      const spelled = JSON.stringify(kdf)
      const before = ready.get(spelled)
      if (before !== undefined) return before
      const master =
        found._tag === "Passphrase" && kdf.name === "scrypt"
          ? yield* stretch(found.passphrase, kdf)
          : Redacted.value((found as Extract<EncryptionKey, { _tag: "Random" }>).bytes) // just compared
      const now = derived(kdf, master)
      ready.set(spelled, now)
      return now
    })

    /**
     * The key, if this file was encrypted with it. Then its writer had the passphrase, and we go on with its salt. A salt that
     * somebody else put there is not taken over: its key id does not fit.
     */
    const fitting = Effect.fnUntraced(function* ({ kdf, key: id }: Envelope) {
      const found = yield* under(kdf)
      if (found?.id !== id) return undefined
      if (kdf.name === "scrypt" && kdf.N === (yield* work)) own ??= found
      return found
    })

    const writing = Effect.gen(function* () {
      const N = yield* work
      if (N === 0) return yield* under({ name: "none" })
      if (own === undefined) yield* Effect.flatMap(neighbours(N), Effect.forEach(fitting, { discard: true }))
      const salt = randomBytes(saltLength).toString("base64url")
      own ??= yield* under({ name: "scrypt", N, r: 8, p: 1, salt })
      return own
    })
    return { key, fitting, writing }
  })

  /** Other files with our scrypt parameters, for their salt. Two at most, since each one that is tried is a run of scrypt. */
  const neighbours = (N: number) =>
    Effect.gen(function* () {
      if (directory === undefined) return []
      const names = (yield* fs.readDirectory(directory)).filter((other) => other.endsWith(extension))
      const found = yield* Effect.forEach(names, (name) =>
        Effect.option(Effect.flatMap(fs.readFileString(path.join(directory, name)), Schema.decodeEffect(EnvelopeText)))
      )
      const equal = found.flatMap(Option.toArray).filter(({ kdf }) => kdf.name === "scrypt" && kdf.N === N)
      return [...new Map(equal.map((envelope) => [JSON.stringify(envelope.kdf), envelope])).values()].slice(0, 2)
    }).pipe(Effect.orElseSucceed(() => []))

  const seal = Effect.fnUntraced(function* (text: string, place: Place) {
    const [first] = keyring
    const key = yield* first?.writing ?? Effect.succeed(undefined)
    if (key === undefined) return yield* Effect.die(new Error("there is a first key"))
    return yield* Effect.orDie(Schema.encodeEffect(EnvelopeText)(encrypt(text, key, place)))
  }, turn.withPermit)

  const open = Effect.fnUntraced(function* (sealed: string, place: Place) {
    const envelope = yield* Effect.mapError(Schema.decodeEffect(EnvelopeText)(sealed), () =>
      corrupt(place.file, "not an encrypted credential of version 1")
    )
    let failure: StoreFailed | undefined
    for (const { fitting } of keyring) {
      const key = yield* Effect.result(fitting(envelope))
      if (key._tag === "Failure") failure ??= key.failure
      else if (key.success !== undefined) return yield* decrypt(envelope, key.success, place)
    }
    return yield* failure ?? locked(place.file, "it takes another key")
  }, turn.withPermit)

  return { store, extension, ready: Effect.asVoid(keyring[0]?.key ?? Effect.void), seal, open } satisfies Sealing
})
