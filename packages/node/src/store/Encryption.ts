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
import * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import type { StoreFailed } from "keyfob"
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, scrypt } from "node:crypto"
import { type EncryptionKey, type KeySource, length } from "./EncryptionKey.ts"
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

  /** A source with what it once gave, and what that became: a prompt or scrypt comes once in a process. */
  const keyring = keys.map((source) => {
    let known: EncryptionKey | undefined
    const ready = new Map<string, Derived>()
    const key = Effect.suspend(() =>
      known === undefined
        ? Effect.tap(Effect.provideContext(source, context), (found) => Effect.sync(() => (known = found)))
        : Effect.succeed(known)
    )

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

    const writing = Effect.gen(function* () {
      const found = yield* key
      if (found._tag === "Random") return yield* under({ name: "none" })
      const N = 2 ** found.cost
      const known = Array.from(ready.values(), ({ kdf }) => kdf).find((kdf) => kdf.name === "scrypt" && kdf.N === N)
      const salt = randomBytes(saltLength).toString("base64url")
      return yield* under(known ?? (yield* neighbour(N)) ?? { name: "scrypt", N, r: 8, p: 1, salt })
    })
    return { key, under, writing }
  })

  /** The parameters of another file: with one salt for all, one run of scrypt opens them all. Never cheaper ones. */
  const neighbour = (N: number) =>
    Effect.gen(function* () {
      if (directory === undefined) return undefined
      const name = (yield* fs.readDirectory(directory)).find((other) => other.endsWith(extension))
      if (name === undefined) return undefined
      const { kdf } = yield* Schema.decodeEffect(EnvelopeText)(yield* fs.readFileString(path.join(directory, name)))
      return kdf.name === "scrypt" && kdf.N === N ? kdf : undefined
    }).pipe(Effect.orElseSucceed(() => undefined))

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
    for (const { under } of keyring) {
      const key = yield* Effect.result(under(envelope.kdf))
      if (key._tag === "Failure") failure ??= key.failure
      else if (key.success?.id === envelope.key) return yield* decrypt(envelope, key.success, place)
    }
    return yield* failure ?? locked(place.file, "it takes another key")
  }, turn.withPermit)

  return { store, extension, ready: Effect.asVoid(keyring[0]?.key ?? Effect.void), seal, open } satisfies Sealing
})
