/** The loopback receiver in logins at a certified provider, whose person walks its pages by HTTP. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { clients, EmbeddedProvider, Person } from "@keyfob/embedded"
import { Deferred, Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { AuthorizationCode, type BrowserPrompt, CredentialStore, Login, RedirectReceiver, UserPrompt } from "keyfob"
import type * as Http from "node:http"
import { freePort } from "../../embedded/src/server.ts"
import { printed } from "../../testing/src/printed.ts"
import * as LoopbackReceiver from "../src/LoopbackReceiver.ts"
import { ask } from "./ask.ts"

const services = Layer.merge(CredentialStore.layerMemory, NodeHttpClient.layerUndici)

/** A login, and what its person does with the page they are shown. */
const login = Effect.fnUntraced(function* <E>(
  options: { readonly issuer: string; readonly clientId: string },
  act: (shown: BrowserPrompt) => Effect.Effect<unknown, E>,
  ports?: ReadonlyArray<number>
) {
  const shown = yield* Deferred.make<BrowserPrompt>()
  const prompt = Layer.mock(UserPrompt, { browser: (prompt) => Effect.asVoid(Deferred.succeed(shown, prompt)) })
  const receiver = LoopbackReceiver.layer(ports === undefined ? {} : { ports })
  const flow = AuthorizationCode.make({ ...options, scopes: ["openid"] })
  const [credential] = yield* Effect.all(
    [
      Login.login(flow).pipe(Effect.provide([prompt, receiver, services])),
      // What a browser does is in no span of ours.
      Deferred.await(shown).pipe(Effect.flatMap(act), Effect.withTracerEnabled(false))
    ],
    { concurrency: "unbounded" }
  )
  return credential
})

/** The person has signed in, and their browser has not come back yet: `come` says what happens then. */
const loginWhere = <E>(come: (answer: URL, shown: BrowserPrompt) => Effect.Effect<unknown, E>) =>
  EmbeddedProvider.use(({ issuer }) =>
    login({ issuer, clientId: clients.cli.id }, (shown) =>
      Effect.flatMap(Person.approve(shown.url, { followRedirect: false }), ({ url }) => come(new URL(url), shown))
    )
  )

/** What the receiver says to a browser that goes to the address. */
const visit = (url: URL, options: Http.RequestOptions = {}) =>
  ask(Number(url.port), `${url.pathname}${url.search}`, {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    ...options,
    headers: { host: url.host, ...options.headers }
  })

const withState = (answer: URL, state: string) => {
  const other = new URL(answer)
  other.searchParams.set("state", state)
  return other
}

describe("the loopback receiver in a login", () => {
  it.live("strangers who come first, be it with the very answer, are refused and disturb nothing", () =>
    Effect.gen(function* () {
      let landed = new URL("http://127.0.0.1")
      const { account } = yield* loginWhere((answer) =>
        Effect.gen(function* () {
          landed = answer
          const form = { method: "POST", headers: { "content-type": "application/x-www-form-urlencoded" } }
          for (const [what, status, url, options = {}] of [
            ["a scanner", 404, new URL("/.env", answer)],
            ["the code with another state", 403, withState(answer, "another")],
            ["a denial with another state", 403, new URL("/callback?error=access_denied&state=another", answer)],
            ["another host name (DNS rebinding)", 421, answer, { headers: { host: `attacker.test:${answer.port}` } }],
            ["a script", 403, answer, { headers: { "sec-fetch-dest": "empty" } }],
            ["an image", 403, answer, { headers: { "sec-fetch-dest": "image" } }],
            ["a frame", 403, answer, { headers: { "sec-fetch-dest": "iframe" } }],
            ["a form", 405, answer, form],
            ["HEAD", 405, answer, { method: "HEAD" }]
          ] as ReadonlyArray<readonly [string, number, URL, Http.RequestOptions?]>) {
            const said = yield* visit(url, options)
            assert.strictEqual(said.status, status, what)
            assert.notInclude(said.body, "signed in", what)
          }
          assert.include((yield* visit(answer)).body, "<h1>You are signed in</h1>")
        })
      )
      assert.strictEqual(account?.sub, "alice")
      const { requests } = yield* EmbeddedProvider
      assert.lengthOf(
        (yield* requests).filter(({ path }) => path === "/token"),
        1
      )
      yield* Effect.flip(visit(landed)) // nobody listens there any more
    }).pipe(Effect.provide(EmbeddedProvider.layer()))
  )

  it.live("its page, the logs and the spans of the login have nothing of the code, the state or the tokens", () =>
    Effect.gen(function* () {
      const secrets: Array<string> = []
      let page = ""
      const login = loginWhere((answer) =>
        Effect.gen(function* () {
          for (const name of ["code", "state"]) secrets.push(answer.searchParams.get(name) ?? "")
          const { body, headers } = yield* visit(answer)
          page = `${body} ${JSON.stringify(headers)}`
        })
      ).pipe(
        Effect.tap(({ idToken, token }) =>
          Effect.sync(() => {
            for (const secret of [token.value, ...(idToken ? [idToken] : [])]) secrets.push(Redacted.value(secret))
          })
        )
      )
      const text = yield* printed(login)
      assert.include(text, "keyfob.AuthorizationCode", "it is traced")
      assert.lengthOf(secrets, 4)
      for (const secret of secrets) {
        assert.isAbove(secret.length, 20)
        assert.notInclude(text, secret)
        assert.notInclude(page, secret)
      }
    }).pipe(Effect.provide(EmbeddedProvider.layer()))
  )

  it.live(
    "the address is pasted, and the browser comes as well: the first one counts, and its code is spent once",
    () =>
      Effect.gen(function* () {
        const { requests } = yield* EmbeddedProvider
        yield* loginWhere((answer, { paste }) =>
          // The port may be closed by the time the browser comes.
          Effect.all([paste(Redacted.make(answer.href)), Effect.ignore(visit(answer))], { concurrency: "unbounded" })
        )
        const exchanges = (yield* requests).filter(({ path }) => path === "/token")
        assert.deepStrictEqual(
          exchanges.map(({ status }) => status),
          [200]
        )
      }).pipe(Effect.provide(EmbeddedProvider.layer()))
  )

  it.live("a login that fails when the browser has come: its page says so, for the ID token is looked at first", () =>
    Effect.gen(function* () {
      const { failNext } = yield* EmbeddedProvider
      yield* failNext("/token", { altered: { id_token: undefined } })
      let page = { status: 0, body: "" }
      const error = yield* Effect.flip(
        loginWhere((answer) => Effect.uninterruptible(Effect.map(visit(answer), (said) => (page = said))))
      )
      assert.deepInclude(error, { _tag: "AnswerRejected", detail: "id_token is missing" })
      assert.strictEqual(page.status, 400)
      assert.include(page.body, "<h1>You are not signed in</h1>")
    }).pipe(Effect.provide(EmbeddedProvider.layer()))
  )

  it.effect("nobody comes: after ten minutes the login is over, and the port closed", () =>
    Effect.gen(function* () {
      const { issuer } = yield* EmbeddedProvider
      let port = 0
      const error = yield* Effect.flip(
        login({ issuer, clientId: clients.cli.id }, ({ redirectUri }) => {
          port = Number(new URL(redirectUri).port)
          return TestClock.adjust("10 minutes")
        })
      )
      assert.deepInclude(error, { _tag: "LoginFailed", reason: "Expired" })
      assert.isAbove(port, 0)
      yield* Effect.flip(ask(port, "/callback"))
    }).pipe(Effect.provide(EmbeddedProvider.layer()))
  )

  for (const host of ["127.0.0.1", "[::1]"]) {
    it.live(`the provider sends the browser to ${host}, and the answer is there`, () =>
      Effect.gen(function* () {
        const { issuer } = yield* EmbeddedProvider
        const { open } = yield* RedirectReceiver
        const flow = AuthorizationCode.make({ issuer, clientId: clients.cli.id, scopes: ["openid"] })
        const recognizes = (text: string): boolean =>
          new URL(text, issuer).searchParams.get("state") === Redacted.value(pending.state)
        const { answer, redirectUri } = yield* open({ issuer, responseMode: "query", recognizes })
        const { pending, url } = yield* Login.begin(flow, { redirectUri: redirectUri.replace("127.0.0.1", host) })
        const { url: landed } = yield* Person.approve(Redacted.value(url), { followRedirect: false })
        assert.isTrue(landed.startsWith(`http://${host}:`), landed)
        // The browser is told how it ended when this does.
        const brought = yield* Effect.raceFirst(answer, Effect.andThen(visit(new URL(landed)), Effect.never))
        const { account } = yield* Login.complete(flow, pending, Redacted.value(brought))
        assert.strictEqual(account?.sub, "alice")
      }).pipe(Effect.scoped, Effect.provide([EmbeddedProvider.layer(), LoopbackReceiver.layer(), services]))
    )
  }

  it.live(
    "fixed ports, which the provider knows: the first is somebody else's, the second serves, and no other would",
    () =>
      Effect.gen(function* () {
        const ports = [yield* freePort, yield* freePort]
        const client = {
          client_id: "fixed",
          token_endpoint_auth_method: "none",
          redirect_uris: ports.map((port) => `http://127.0.0.1:${port}/callback`)
        }
        const { issuer } = yield* EmbeddedProvider.start({ clients: [client] })
        const somebodyElse = { issuer, responseMode: "query", recognizes: () => false } as const
        yield* RedirectReceiver.use(({ open }) => open(somebodyElse)).pipe(
          Effect.provide(LoopbackReceiver.layer({ ports: ports.slice(0, 1) }))
        )
        const options = { issuer, clientId: client.client_id }
        assert.strictEqual((yield* login(options, ({ url }) => Person.approve(url), ports)).account?.sub, "alice")
        const flow = AuthorizationCode.make(options)
        const elsewhere = yield* Login.begin(flow, {
          redirectUri: `http://127.0.0.1:${yield* freePort}/callback`
        }).pipe(Effect.provide(services))
        const refused = yield* Effect.flip(Person.approve(Redacted.value(elsewhere.url)))
        assert.strictEqual(refused.reason._tag, "Refused")
      }).pipe(Effect.scoped)
  )
})
