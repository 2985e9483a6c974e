/** What the connector's acceptance tests do: real HTTP, real files, one program after the other. */
import { NodeFileSystem, NodeHttpClient, NodeHttpServer, NodePath, NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { FileCredentialStore } from "@keyfob/node"
import { Deferred, Effect, FileSystem, Layer, Option, Redacted, Stream } from "effect"
import { type HttpClient, HttpServer, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import { AuthClient, type AuthProvider, ProviderRegistry, RedirectReceiver, UserPrompt } from "keyfob"
import { Aqt, Arnica } from "../src/index.ts"
import { Served } from "./Served.ts"
import { arnicaUrl, deviceClientId, is, jobId, machine } from "./FakeArnica.ts"

/** One program: what it keeps is in the directory, and nothing else of it is left. */
const program = <A, E>(
  directory: string,
  table: object,
  run: Effect.Effect<A, E, AuthClient | AuthProvider.Person | HttpClient.HttpClient>
) =>
  Effect.gen(function* () {
    const { url } = yield* Served
    const arnica = {
      type: "aqt",
      issuer: url,
      arnica_url: `${url}api`,
      audience: arnicaUrl,
      device_client_id: deviceClientId,
      ...table
    }
    const live = AuthClient.layer({ contexts: { lab: { providers: { arnica } } } }).pipe(
      Layer.provide(ProviderRegistry.layer(Aqt.type)),
      Layer.provide(FileCredentialStore.layer({ directory })),
      Layer.provide(NodeServices.layer),
      Layer.provideMerge([
        NodeHttpClient.layerUndici,
        Layer.mock(UserPrompt, { deviceCode: () => Effect.void }),
        Layer.mock(RedirectReceiver, {})
      ])
    )
    return yield* Effect.provide(run, live, { local: true })
  }).pipe(Effect.scoped)

const login = AuthClient.use(({ login }) => login("arnica"))
const token = AuthClient.use(({ token }) => token("arnica"))
const isAuthenticated = AuthClient.use(({ isAuthenticated }) => isAuthenticated("arnica"))

const test = (name: string, run: (directory: string) => Effect.Effect<void, unknown, Served | FileSystem.FileSystem>) =>
  it.live(name, () =>
    Effect.gen(function* () {
      const directory = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
      yield* run(`${directory}/credentials`)
    }).pipe(Effect.scoped, Effect.provide([Served.layer, NodeFileSystem.layer, NodePath.layer]))
  )

describe("over HTTP, with files", () => {
  test("a machine's token is kept, and found by the next program, which asks nobody (A-21, A-60, A-61, A-63, A-66)", (directory) =>
    Effect.gen(function* () {
      const { seen } = (yield* Served).fake
      const signedIn = yield* program(directory, machine, login)
      assert.deepStrictEqual(seen[0]?.form, { ...machine, audience: arnicaUrl, grant_type: "client_credentials" })
      const requests = seen.length
      const found = yield* program(directory, machine, token)
      assert.strictEqual(Redacted.value(found.value), Redacted.value(signedIn.token.value))
      assert.isTrue(yield* program(directory, machine, isAuthenticated))
      assert.strictEqual(seen.length, requests)
    }))

  test("with storage off nothing of it is on the disk, nor found by the next program (A-23, A-28, A-64)", (directory) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const table = { ...machine, store_access_token: false }
      const used = Effect.gen(function* () {
        yield* login
        return yield* token
      })
      const value = Redacted.value((yield* program(directory, table, used)).value)
      assert.isFalse(yield* program(directory, table, isAuthenticated))
      const files = yield* Effect.orElseSucceed(fs.readDirectory(directory, { recursive: true }), () => [])
      for (const file of files) {
        const text = yield* Effect.orElseSucceed(fs.readFileString(`${directory}/${file}`), () => "")
        assert.notInclude(text, value)
      }
    }))

  test("with storage off a session is renewed with the refresh token that came last, and leaves no file (A-25, A.8#4)", (directory) =>
    Effect.gen(function* () {
      const { idp, seen } = (yield* Served).fake
      yield* idp.approve("alice")
      const renewed = Effect.gen(function* () {
        const { login, refresh } = yield* AuthClient
        yield* login("arnica")
        yield* refresh("arnica", { force: true })
        yield* refresh("arnica", { force: true })
      })
      yield* program(directory, { store_access_token: false }, renewed)
      const spent = seen.flatMap(({ form }) => (form["grant_type"] === "refresh_token" ? [form["refresh_token"]] : []))
      assert.strictEqual(new Set(spent).size, 2)
      const fs = yield* FileSystem.FileSystem
      const kept = yield* Effect.orElseSucceed(fs.readDirectory(directory, { recursive: true }), () => [])
      assert.deepStrictEqual(kept, [])
    }))

  test("a person signs in by device code and stays signed in; before that nobody is (A-22, A-65)", (directory) =>
    Effect.gen(function* () {
      const { idp, seen } = (yield* Served).fake
      assert.deepInclude(yield* Effect.flip(program(directory, {}, token)), {
        _tag: "LoginRequired",
        reason: "NoCredential"
      })
      assert.isFalse(yield* program(directory, {}, isAuthenticated))
      assert.strictEqual(seen.length, 0)
      yield* idp.approve("alice")
      const { account } = yield* program(directory, {}, login)
      const credential = yield* program(
        directory,
        {},
        AuthClient.use(({ credential }) => credential("arnica"))
      )
      assert.deepInclude(Option.getOrThrow(credential), {
        _tag: "OAuth",
        refreshable: true,
        ...(account === undefined ? {} : { account })
      })
    }))

  test("a job is seen with that token (A-67)", (directory) =>
    Effect.gen(function* () {
      const { fake, url } = yield* Served
      fake.jobs(is({ status: "cancelled" }))
      const followed = Effect.gen(function* () {
        yield* login
        const provider = yield* AuthClient.use(({ provider }) => provider("arnica"))
        const source = provider.source ?? Effect.die("it has one")
        const arnica = Arnica.layer(source, { arnicaUrl: `${url}api` })
        return yield* Effect.provide(
          Arnica.use(({ waitForFinalState }) => waitForFinalState(jobId)),
          arnica
        )
      })
      assert.deepStrictEqual((yield* program(directory, machine, followed)).response, { status: "cancelled" })
      assert.strictEqual(fake.brought.length, 1)
    }))
})

describe("an Arnica that is none", () => {
  it.live("and answers without an end is cut off, and let go (X-15)", () =>
    Effect.gen(function* () {
      let sent = 0
      const letGo = yield* Deferred.make<void>()
      const chunk = new Uint8Array(1024 * 1024).fill(0x20)
      const endless = Stream.fromEffectRepeat(Effect.sync(() => ((sent += chunk.length), chunk))).pipe(
        Stream.ensuring(Deferred.succeed(letGo, undefined))
      )
      const { address, serve } = yield* HttpServer.HttpServer
      yield* serve(Effect.succeed(HttpServerResponse.stream(endless, { contentType: "application/json" })))
      const arnica = Arnica.layerApiToken(Redacted.make("token"), { arnicaUrl: HttpServer.formatAddress(address) })
      const asked = Arnica.use(({ fetchJobState }) => fetchJobState(jobId))
      const error = yield* Effect.flip(Effect.provide(asked, arnica))
      assert.deepInclude(error, { _tag: "JobUnavailable", reason: "TooLarge", status: 200 })
      yield* Deferred.await(letGo)
      assert.isBelow(sent, 96 * 1024 * 1024, "64 MiB, and what was on its way")
    }).pipe(
      Effect.scoped,
      Effect.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
      Effect.provide(NodeHttpClient.layerUndici)
    )
  )
})
