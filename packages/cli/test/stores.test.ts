/** Where the command keeps credentials: the keychain (a real Secret Service), encrypted files, the best there is. */
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Redacted } from "effect"
import * as EncryptedFileCredentialStore from "@keyfob/node/EncryptedFileCredentialStore"
import * as EncryptionKey from "@keyfob/node/EncryptionKey"
import { Account, Credential, CredentialStore } from "keyfob"
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs"
import { extname, join } from "node:path"
import * as secretService from "../../node/test/store/secretService.ts"
import * as Keyfob from "./Keyfob.ts"
import * as Misbehaving from "./Misbehaving.ts"

const canary = "canary-access"
const noBus = { DBUS_SESSION_BUS_ADDRESS: "unix:path=/nowhere/bus", KEYFOB_CLIENT_SECRET: "s" }
const sesame = { ...noBus, KEYFOB_STORE_PASSPHRASE: "open sesame" }

/** A home, and a provider that gives tokens to machines. */
const make = Effect.gen(function* () {
  const keyfob = yield* Keyfob.make
  const server = yield* Misbehaving.make
  yield* server.set("/token", { body: { access_token: canary, token_type: "Bearer", expires_in: 3600 } })
  const login = (store: string, name = "m") =>
    `login ${name} --issuer ${server.issuer} --client-id c --flow client_credentials --store ${store}`.split(" ")
  const extensions = Effect.map(keyfob.files, (names) =>
    names
      .filter((name) => name.startsWith("credentials"))
      .map((name) => extname(name))
      .sort()
  )
  const assertClosed = Effect.map(keyfob.files, (names) => {
    for (const name of names) {
      assert.notInclude(readFileSync(keyfob.file(name), "latin1"), canary)
      assert.strictEqual(statSync(keyfob.file(name)).mode & 0o777, 0o600, name)
    }
  })
  return { keyfob, login, extensions, assertClosed, asked: server.asked }
})

describe.concurrent("stores of one machine", () => {
  it.live(
    "encrypted_file: a passphrase of the environment opens it, another does not, and nothing stands in clear",
    () =>
      Effect.gen(function* () {
        const { assertClosed, extensions, keyfob, login } = yield* make
        const answer = yield* keyfob.json(login("encrypted_file"), { env: sesame })
        assert.strictEqual(answer.store, "encrypted_file")
        assert.deepStrictEqual(yield* extensions, [".sealed"])
        yield* assertClosed
        assert.strictEqual((yield* keyfob.done(["token"], { env: sesame })).stdout, `${canary}\n`)
        const wrong = { ...sesame, KEYFOB_STORE_PASSPHRASE: "wrong" }
        for (const args of [["token"], ["login", "m", "--force"], ["logout", "m"]]) {
          const ran = yield* keyfob.run(args, { env: wrong })
          Keyfob.failsWith(ran, 6, /cannot be unlocked, and was left as it is/)
          assert.match(ran.stderr, /give the key or passphrase/)
        }
        const [row] = yield* keyfob.json(["status"], { env: wrong })
        assert.deepInclude(row, { status: "error", store: "encrypted_file" })
        assert.strictEqual((yield* keyfob.done(["token"], { env: sesame })).stdout, `${canary}\n`)
        yield* keyfob.done(["logout", "m"], { env: sesame })
        assert.deepStrictEqual(yield* extensions, [])
        for (const { stderr } of keyfob.ran) assert.notInclude(stderr, "sesame")
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "encrypted_file: a passphrase of store_key_command; without either, a key in the keychain",
    () =>
      Effect.gen(function* () {
        const { assertClosed, keyfob, login, extensions } = yield* make
        const secrets = yield* secretService.make
        const env = { ...noBus, DBUS_SESSION_BUS_ADDRESS: secrets.address }
        yield* keyfob.done(login("encrypted_file"), { env })
        assert.deepStrictEqual(yield* extensions, ["", ".sealed"])
        yield* assertClosed
        assert.strictEqual((yield* keyfob.done(["token"], { env })).stdout, `${canary}\n`)
        Keyfob.failsWith(yield* keyfob.run(["token"], { env: noBus }), 6, /does not answer: the keychain/)
        yield* keyfob.done(["logout", "m"], { env })

        const config = yield* keyfob.read("config.toml")
        const command = `store_key_command = ["${process.execPath}", "-p", "'open sesame'"]`
        yield* keyfob.write("config.toml", `${command}\n${config}`)
        yield* keyfob.done(["login", "m"], { env: noBus })
        // It may ask a person: once, for a login that looks whether there is a key and then writes.
        const ran = keyfob.file("ran")
        const script = `fs.appendFileSync('${ran}', '.'); console.log('open sesame')`
        const noting = `store_key_command = ["${process.execPath}", "-e", ${JSON.stringify(script)}]`
        yield* keyfob.write("config.toml", `${noting}\n${config}`)
        yield* keyfob.done(["login", "m", "--force"], { env: noBus })
        assert.strictEqual(yield* keyfob.read("ran"), ".")
        assert.strictEqual((yield* keyfob.done(["token"], { env: noBus })).stdout, `${canary}\n`)
        // The same passphrase, by another way.
        yield* keyfob.write("config.toml", config)
        assert.strictEqual((yield* keyfob.done(["token"], { env: sesame })).stdout, `${canary}\n`)
        yield* keyfob.write("config.toml", `store_key_command = "pass"\n${config}`)
        Keyfob.failsWith(yield* keyfob.run(["token"], { env: noBus }), 2, /store_key_command: expected a program/)
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "keychain: what is there is on no disk of ours; without the keychain nobody signs in for nothing",
    () =>
      Effect.gen(function* () {
        const { assertClosed, extensions, keyfob, login, asked } = yield* make
        Keyfob.failsWith(yield* keyfob.run(login("keychain"), { env: noBus }), 6, /does not answer: the keychain/)
        assert.notInclude(asked, "/token")
        const secrets = yield* secretService.make
        const env = { ...noBus, DBUS_SESSION_BUS_ADDRESS: secrets.address }
        const answer = yield* keyfob.json(login("keychain"), { env })
        assert.strictEqual(answer.store, "keychain")
        assert.deepStrictEqual(yield* extensions, [".keychain"])
        yield* assertClosed
        assert.strictEqual((yield* keyfob.done(["token"], { env })).stdout, `${canary}\n`)
        Keyfob.failsWith(yield* keyfob.run(["token"], { env: noBus }), 6, /does not answer: the keychain/)
        yield* secrets.lock
        Keyfob.failsWith(yield* keyfob.run(["token"], { env }), 6, /cannot be unlocked/)
        yield* secrets.unlock
        yield* keyfob.done(["logout", "m"], { env })
        assert.deepStrictEqual(yield* extensions, [])
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "logout forgets what is left in a store that the provider had before",
    () =>
      Effect.gen(function* () {
        const { extensions, keyfob, login } = yield* make
        yield* keyfob.done([...login("file"), "--scope", "a"], { env: sesame })
        yield* keyfob.done([...login("file"), "--scope", "b"], { env: sesame })
        yield* keyfob.done(["login", "m", "--store", "encrypted_file"], { env: sesame })
        yield* keyfob.done(["login", "m", "--store", "memory"], { env: sesame })
        assert.deepStrictEqual(yield* extensions, [".json", ".json", ".sealed"])
        // What cannot be opened is not removed, and nobody is told that it was.
        const locked = yield* keyfob.run(["logout", "m"], { env: { ...sesame, KEYFOB_STORE_PASSPHRASE: "wrong" } })
        Keyfob.failsWith(locked, 6, /cannot be unlocked, and was left as it is/)
        assert.deepStrictEqual(yield* extensions, [".sealed"])
        const [row] = yield* keyfob.json(["logout", "m"], { env: sesame })
        assert.deepInclude(row, { provider: "m", removed: true })
        assert.deepStrictEqual(yield* extensions, [])
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "auto: says where it went and why, and looks nowhere else afterwards",
    () =>
      Effect.gen(function* () {
        const { extensions, keyfob, login } = yield* make
        const secrets = yield* secretService.make
        const env = { ...noBus, DBUS_SESSION_BUS_ADDRESS: secrets.address }
        const low = yield* keyfob.json([...login("auto"), "--log-level", "info"], { env: noBus })
        assert.strictEqual(low.store, "file")
        const why = keyfob.ran.at(-1)?.stderr ?? ""
        assert.match(why, /goes to the store file; .*does not answer: the keychain/)
        yield* keyfob.done(["logout", "m"], { env: noBus })
        const high = yield* keyfob.json(login("auto"), { env })
        assert.strictEqual(high.store, "keychain")
        const [row] = yield* keyfob.json(["status"], { env })
        assert.deepInclude(row, { status: "authenticated", store: "keychain" })
        Keyfob.failsWith(yield* keyfob.run(["token"], { env: noBus }), 6, /does not answer: the keychain/)
        const other = yield* keyfob.run(login("auto", "n"), { env: noBus })
        Keyfob.failsWith(other, 6, /does not answer: the keychain/)
        assert.deepStrictEqual(yield* extensions, [".keychain"])
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "store rotate: a changed passphrase opens nothing until the former one is there, too; then it alone opens all",
    () =>
      Effect.gen(function* () {
        const { extensions, keyfob, login } = yield* make
        yield* keyfob.done(login("encrypted_file"), { env: sesame })
        yield* keyfob.done([...login("encrypted_file", "n"), "--scope", "a"], { env: sesame })
        const barley = { ...noBus, KEYFOB_STORE_PASSPHRASE: "open barley" }
        Keyfob.failsWith(yield* keyfob.run(["store", "rotate"], { env: barley }), 6, /cannot be unlocked/)
        const both = { ...barley, KEYFOB_FORMER_STORE_PASSPHRASE: "open sesame" }
        assert.strictEqual((yield* keyfob.done(["token", "m"], { env: both })).stdout, `${canary}\n`)
        const { rewritten } = yield* keyfob.json(["store", "rotate"], { env: both })
        assert.strictEqual(rewritten, (yield* extensions).length)
        assert.isAtLeast(rewritten, 2)
        for (const name of ["m", "n"]) {
          assert.strictEqual((yield* keyfob.done(["token", name], { env: barley })).stdout, `${canary}\n`)
        }
        Keyfob.failsWith(yield* keyfob.run(["token", "m"], { env: sesame }), 6, /cannot be unlocked/)
        const further = { ...noBus, KEYFOB_FORMER_STORE_PASSPHRASE: "open barley" }
        // A former one alone writes nothing: without a present one it is the keychain's key.
        Keyfob.failsWith(yield* keyfob.run(["store", "rotate"], { env: further }), 6, /does not answer: the keychain/)
        for (const { stderr } of keyfob.ran) assert.notMatch(stderr, /sesame|barley/)
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "doctor: whether each store can be used, and what is in it",
    () =>
      Effect.gen(function* () {
        const { keyfob, login } = yield* make
        const doctor = (env: Readonly<Record<string, string>>) => keyfob.run(["doctor"], { env })
        const secrets = yield* secretService.make
        const env = { ...sesame, DBUS_SESSION_BUS_ADDRESS: secrets.address }
        yield* keyfob.done(login("encrypted_file"), { env })
        yield* keyfob.done(login("keychain", "k"), { env })
        const sound = (yield* doctor(env)).stdout
        assert.match(sound, /ok +store encrypted_file: a new credential goes to encrypted_file\n/)
        assert.match(sound, /ok +store keychain: a new credential goes to keychain\n/)

        // A renewal that was cut off, and others may read the file.
        const directory = keyfob.file("credentials")
        yield* CredentialStore.use(({ list, modify }) =>
          Effect.flatMap(list, ([found = assert.fail("none")]) =>
            modify(found.key, ({ write }) =>
              write(Credential.make({ ...found, account: Account.make({ sub: "1" }), spending: found.generation }))
            )
          )
        ).pipe(
          Effect.provide(
            EncryptedFileCredentialStore.layer({
              directory,
              keys: [EncryptionKey.passphrase(Redacted.make("open sesame"))]
            })
          ),
          Effect.provide(NodeServices.layer)
        )
        const sealed = readdirSync(directory).find((name) => name.endsWith(".sealed")) ?? ""
        chmodSync(join(directory, sealed), 0o644)
        const cutOff = (yield* doctor(env)).stdout
        assert.match(cutOff, /warning +refresh: the last refresh of \S+ did not finish/)
        assert.match(cutOff, /warning +modes: others can read \S+\.sealed/)

        // The wrong passphrase, no keychain.
        const wrong = yield* doctor({ ...noBus, KEYFOB_STORE_PASSPHRASE: "wrong" })
        assert.strictEqual(wrong.code, 6)
        assert.match(wrong.stdout, /problem +store encrypted_file: .*cannot be unlocked, and was left as it is/)
        assert.match(wrong.stdout, /problem +store keychain: .*does not answer: the keychain/)
        assert.notInclude(wrong.stdout + wrong.stderr, canary)
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "doctor: auto says where a credential would go and why, and nothing twice",
    () =>
      Effect.gen(function* () {
        const { keyfob, login } = yield* make
        yield* keyfob.done(login("auto"), { env: noBus })
        const sound = yield* keyfob.done(["doctor"], { env: noBus })
        assert.match(sound.stdout, /ok +store auto: a new credential goes to file; .*does not answer: the keychain/)
        const [plain = ""] = readdirSync(keyfob.file("credentials"))
        yield* keyfob.write(`credentials/${plain}`, "damaged")
        const { code, stdout } = yield* keyfob.run(["doctor"], { env: noBus })
        assert.strictEqual(code, 6)
        assert.lengthOf(stdout.match(/problem +credentials: left out/g) ?? [], 1)
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "where the keychain's library is not installed, the error says how it comes there",
    () =>
      Effect.gen(function* () {
        const { keyfob, login } = yield* make
        const alone = join(keyfob.home, "alone")
        mkdirSync(alone)
        copyFileSync(Keyfob.bundle, join(alone, "keyfob.js"))
        const through = ["sh", "-c", `node=$1; shift 2; exec "$node" '${alone}/keyfob.js' "$@"`, "sh"]
        yield* keyfob.done(login("file"), { env: noBus, through })
        const ran = yield* keyfob.run(login("keychain", "n"), { env: noBus, through })
        Keyfob.failsWith(ran, 6, /npm install -g @napi-rs\/keyring/)
      }).pipe(Effect.scoped),
    240_000
  )
})
