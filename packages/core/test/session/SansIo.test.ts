import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Redacted, Schema } from "effect"
import { HttpClient } from "effect/http"
import { exportJWK } from "jose"
import {
  AuthorizationCode,
  Auto,
  ClientAuthentication,
  ClientCredentials,
  CredentialStore,
  DeviceCode,
  grantTypes,
  JwtBearer,
  Login,
  Logout,
  OAuthClient,
  PendingAuthorization,
  Promised,
  SansIo,
  SigningKey,
  TokenChain,
  TokenExchange,
  TokenSource,
  Userinfo
} from "keyfob"
import {
  type ClientMetadata,
  clients,
  type ProviderOptions,
  SimulatedBrowser,
  SimulatedProvider
} from "@keyfob/testing"
import * as Pkce from "../../src/protocol/Pkce.ts"
import { keys, sign } from "../protocol/signing.ts"
import { type Asked, drive, requestsOf, send, told } from "./sansIoDriver.ts"

const issuer = "https://id.simulated.test"
const redirectUri = "http://127.0.0.1:49152/callback"
const cli = { issuer, clientId: clients.cli.client_id, scopes: ["openid", "offline_access"] }
const secret = Redacted.make(clients.billing.client_secret)
const billing = {
  issuer,
  clientId: clients.billing.client_id,
  authentication: ClientAuthentication.secretBasic(secret)
}
const robot = {
  client_id: "robot",
  token_endpoint_auth_method: "private_key_jwt" as const,
  grant_types: ["client_credentials", grantTypes.jwtBearer, grantTypes.tokenExchange],
  jwks: { keys: [keys.elliptic.jwk] }
} satisfies ClientMetadata
const partner = { issuer: "https://partner.test", jwks: { keys: [keys.elliptic.jwk] } }
const signing = Effect.flatMap(Promised.run(Effect.promise(() => exportJWK(keys.elliptic.private))), SigningKey.fromJwk)
const asRobot = { issuer, clientId: "robot", authentication: ClientAuthentication.privateKeyJwt(signing) }

const scene = (options: ProviderOptions = {}) => SimulatedProvider.layer({ clients: [robot], ...options })
const memory = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  Effect.provide(program, Layer.fresh(CredentialStore.layerMemory))

/** The address that alice's browser comes to. */
const visited = (address: string) =>
  Effect.map(SimulatedBrowser.visit(address, { person: "alice", decision: "approve" }), ({ href }) => href)
const opened = (asked: Asked) => (asked._tag === "Browser" ? visited(asked.url) : Effect.void)

describe("a flow step by step, each in a process of its own", () => {
  it.effect("a device's code is shown, polled for in its interval, and ends in a verified credential", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      let shown = 0
      const { value } = yield* drive(() => memory(Login.login(DeviceCode.make(cli))), {
        person: (asked) => {
          if (asked._tag !== "DeviceCode") return Effect.void
          assert.strictEqual(asked.interval, 5)
          return ++shown === 2 ? idp.enterCode(asked.userCode, "alice", "approve") : Effect.void
        }
      })
      assert.strictEqual(value.account?.sub, "alice")
      assert.isTrue(yield* idp.accepts(value.token))
      assert.strictEqual(shown, 2)
    }).pipe(Effect.provide(scene()))
  )

  it.effect("a browser is sent out with PKCE, state and nonce, and the address it comes to is the answer", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const { value } = yield* drive(() => memory(Login.login(AuthorizationCode.make(cli))), {
        redirectUri,
        person: opened
      })
      assert.strictEqual(value.account?.sub, "alice")
      assert.isTrue(yield* idp.accepts(value.token))
    }).pipe(Effect.provide(scene()))
  )

  it.effect("attack: an address with a state of somebody else's is not taken, and the login waits on", () =>
    Effect.gen(function* () {
      const offered = [`${redirectUri}?code=stolen&state=foreign`, `${redirectUri}?code=stolen`, ""]
      const { requests, value } = yield* drive(() => memory(Login.login(AuthorizationCode.make(cli))), {
        redirectUri,
        person: (asked) =>
          Effect.suspend(() =>
            Effect.succeed(offered.shift()).pipe(
              Effect.flatMap((given) => (given === undefined ? opened(asked) : Effect.succeed(given)))
            )
          )
      })
      assert.strictEqual(value.account?.sub, "alice")
      assert.lengthOf(
        requests.filter(({ url }) => url.endsWith("/token")),
        1
      )
      assert.lengthOf(offered, 0)
    }).pipe(Effect.provide(scene()))
  )

  it.effect("a host that receives no browser has no login by one", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(drive(() => memory(Login.login(AuthorizationCode.make(cli)))))
      assert.deepInclude(failure, { _tag: "LoginFailed", reason: "NoRedirect" })
    }).pipe(Effect.provide(scene()))
  )

  it.effect("a web app's two halves: what is pending goes through its session, the answer into another program", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const flow = () => AuthorizationCode.make(cli)
      const begun = yield* drive(() => Login.begin(flow(), { redirectUri }))
      const codec = Schema.fromJsonString(Schema.toCodecJson(PendingAuthorization))
      const session = yield* Schema.encodeEffect(codec)(begun.value.pending)
      const answer = yield* visited(Redacted.value(begun.value.url))
      const pending = yield* Schema.decodeEffect(codec)(session)
      const { value } = yield* drive(() => memory(Login.complete(flow(), pending, answer)))
      assert.isTrue(yield* idp.accepts(value.token))
    }).pipe(Effect.provide(scene()))
  )

  it.effect("DPoP: one key is made, whatever the number of steps, and proofs bring the nonces that are asked for", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const dpop = { ...cli, dpop: true }
      const { requests, states, value } = yield* drive(() => memory(Login.login(AuthorizationCode.make(dpop))), {
        redirectUri,
        person: opened
      })
      assert.strictEqual(value.token.type, "DPoP")
      assert.isTrue(yield* idp.accepts(value.token))
      const proofs = requests.flatMap(({ dpop }) =>
        dpop === "" ? [] : [dpop.split(".").map((part) => JSON.parse(atob(part || "e30")))]
      )
      assert.lengthOf(proofs, 2)
      assert.deepStrictEqual(proofs[0]?.[0].jwk, proofs[1]?.[0].jwk)
      assert.notStrictEqual(proofs[0]?.[1].jti, proofs[1]?.[1].jti)
      assert.isString(proofs[1]?.[1].nonce)
      const d = value.token.dpopKey === undefined ? assert.fail("no key") : Redacted.value(value.token.dpopKey).d
      assert.include(states.at(-1) ?? "", d)
    }).pipe(Effect.provide(scene({ dpopNonces: true })))
  )

  it.effect("private_key_jwt: what is listed again is the same but for a signature with chance of its own", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const { requests, value } = yield* drive(() => memory(Login.login(ClientCredentials.make(asRobot))))
      assert.isTrue(yield* idp.accepts(value.token))
      assert.match(requests.at(-1)?.form ?? "", /client_assertion=ey/)
    }).pipe(Effect.provide(scene()))
  )

  it.effect("a whole session: a login by what there is, a renewal, who it is, and a logout", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      yield* idp.approve("alice")
      const session = () =>
        Effect.gen(function* () {
          const flow = Auto.make({ ...cli, browserAtHand: Effect.succeed(true) })
          const { account, token } = yield* Login.login(flow)
          const { renew } = yield* TokenSource.make(flow)
          const { credential } = yield* renew
          const client = yield* OAuthClient.make(flow.client)
          const { sub } = yield* Userinfo.request(client, credential.token, account?.sub)
          return { sub, before: token, after: credential.token, out: yield* Logout.logout(flow) }
        }).pipe(Effect.scoped)
      const { requests, value } = yield* drive(() => memory(session()))
      assert.deepInclude(value, { sub: "alice" })
      assert.deepInclude(value.out, { revoked: true, removed: true })
      assert.notStrictEqual(Redacted.value(value.after.value), Redacted.value(value.before.value))
      assert.strictEqual(yield* idp.liveRefreshTokens, 0)
      const paths = new Set(requests.map(({ url }) => new URL(url).pathname))
      for (const path of ["/device_authorization", "/token", "/jwks", "/userinfo", "/revoke"])
        assert.isTrue(paths.has(path), [...paths].join())
    }).pipe(Effect.provide(scene()))
  )

  it.effect("a token on a partner's word", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const exp = 60
      const assertion = yield* sign(
        { iss: partner.issuer, sub: "alice", aud: issuer, exp, jti: "1" },
        { key: keys.elliptic }
      )
      const flow = () => JwtBearer.make({ ...asRobot, assertion: Effect.succeed(assertion) })
      const { value } = yield* drive(() => memory(Login.login(flow())))
      assert.isTrue(yield* idp.accepts(value.token))
    }).pipe(Effect.provide(scene({ trustedIssuers: [partner] })))
  )

  it.effect("a chain: a machine's token is exchanged for another, link by link", () =>
    Effect.gen(function* () {
      const idp = yield* SimulatedProvider
      const chain = () =>
        Effect.gen(function* () {
          const root = yield* TokenSource.make(ClientCredentials.make({ ...billing, scopes: ["api:read"] }))
          const http = yield* HttpClient.HttpClient
          const link = yield* TokenChain.make(root, {
            name: "exchanged",
            exchange: (token) => {
              const flow = TokenExchange.make({ ...asRobot, subject: { token: Effect.succeed(token.value) } })
              return OAuthClient.make(flow.client).pipe(
                Effect.flatMap(flow.obtain),
                Effect.provideService(HttpClient.HttpClient, http)
              )
            }
          })
          return yield* link.token
        }).pipe(Effect.scoped)
      const { requests, value } = yield* drive(() => memory(chain()))
      assert.isTrue(yield* idp.accepts(value))
      assert.lengthOf(
        requests.filter(({ url }) => url.endsWith("/token")),
        2
      )
    }).pipe(Effect.provide(scene()))
  )
})

describe("a state", () => {
  const login = () => memory(Login.login(ClientCredentials.make(billing)))

  it.effect("has what was told and drawn, and nothing that the program is configured with", () =>
    Effect.gen(function* () {
      const { d } = Redacted.value(yield* signing)
      const flows = [
        ClientCredentials.make(billing),
        ClientCredentials.make({ ...billing, authentication: ClientAuthentication.secretJwt(secret) }),
        ClientCredentials.make(asRobot)
      ]
      for (const flow of flows) {
        const { states } = yield* drive(() => memory(Effect.exit(Login.login(flow))))
        for (const state of states) {
          for (const configured of [
            clients.billing.client_secret,
            encodeURIComponent(clients.billing.client_secret),
            d
          ]) {
            assert.notInclude(state, configured)
          }
        }
      }
    }).pipe(Effect.provide(scene()))
  )

  it.effect("of an earlier version is refused, in words that say so", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(
        Schema.decodeUnknownEffect(SansIo.State)({ version: 1, startedAt: 0, seed: 1, inputs: [] })
      )
      assert.include(failure.message, "a state of version 2")
    })
  )

  it.effect("R15 of another program is refused: no answer is taken for that to another request", () =>
    Effect.gen(function* () {
      const begun = yield* SansIo.start(login(), { now: 0 })
      const [request] = requestsOf(begun.actions)
      if (request === undefined) return assert.fail("no request")
      const { state } = yield* SansIo.feed(login(), begun.state, { id: 1, now: 0, ...(yield* send(request)) })
      const elsewhere = ClientCredentials.make({ ...billing, issuer: "https://elsewhere.test" })
      for (const other of [memory(Login.login(elsewhere)), Effect.never]) {
        const failure = yield* Effect.flip(SansIo.resume(other, state))
        assert.deepInclude(failure, { _tag: "ConfigurationInvalid", reason: "InvalidValue" })
      }
      assert.lengthOf(requestsOf((yield* SansIo.resume(login(), state)).actions), 1)
    }).pipe(Effect.provide(scene()))
  )

  it.effect("an answer of which the host tells no headers is read as one without a content type", () =>
    Effect.gen(function* () {
      const begun = yield* SansIo.start(login(), { now: 0 })
      const body = JSON.stringify({ issuer, token_endpoint: `${issuer}/token` })
      const { actions } = yield* SansIo.feed(login(), begun.state, { now: 0, id: 1, status: 200, body })
      assert.deepStrictEqual(
        requestsOf(actions).map(({ url }) => url),
        [`${issuer}/token`]
      )
    }).pipe(Effect.provide(scene()))
  )

  it.effect("keeps nothing of an answer that nobody waits for", () =>
    Effect.gen(function* () {
      const begun = yield* SansIo.start(login(), { now: 0 })
      const stray = { now: 5, id: 99, status: 200, body: "canary" }
      const { state } = yield* SansIo.feed(login(), begun.state, stray)
      assert.deepStrictEqual(state.inputs, [{ now: 5 }])
    }).pipe(Effect.provide(scene()))
  )

  const unusable: ReadonlyArray<readonly [string, object]> = [
    ["headers are none", { status: 200, headers: { "x-name": "a\nb" } }],
    ["status is above all", { status: 999 }],
    ["status is none", { status: 65_736 }],
    ["status is not the last", { status: 102 }]
  ]
  it.effect.each(unusable)("an answer whose %s is no answer, and no bug", ([, given]) =>
    Effect.gen(function* () {
      const begun = yield* SansIo.start(login(), { now: 0 })
      const answer = Schema.decodeUnknownSync(SansIo.Input)({ now: 0, id: 1, body: "{}", ...given })
      const { actions, exit } = yield* SansIo.feed(login(), begun.state, answer)
      assert.deepStrictEqual([exit, actions.map(({ _tag }) => _tag)], [undefined, ["Wait"]])
    }).pipe(Effect.provide(scene()))
  )

  it.effect("a time that no date can hold is none: a state with one is refused, and so is an input", () =>
    Effect.gen(function* () {
      const { state } = yield* SansIo.start(login(), { now: 0 })
      for (const now of [1e20, -1, NaN, 253_402_300_800_000]) {
        assert.isFalse(Schema.is(SansIo.Input)({ now }))
        assert.isFalse(Schema.is(SansIo.State)({ ...state, startedAt: now }))
      }
      assert.isTrue(Schema.is(SansIo.Input)({ now: 253_402_300_799_999 }))
    }).pipe(Effect.provide(scene()))
  )

  it.effect("two machines of one program share no chance, and neither can be told from what it shows", () =>
    Effect.gen(function* () {
      const begin = () => Login.begin(AuthorizationCode.make(cli), { redirectUri })
      const [one, other] = [yield* drive(begin), yield* drive(begin)]
      for (const name of ["state", "nonce", "code_challenge"]) {
        const shown = [one, other].map(({ value }) => new URL(Redacted.value(value.url)).searchParams.get(name))
        assert.match(shown[0] ?? "", /^[\w-]{43}$/)
        assert.notStrictEqual(shown[0], shown[1])
      }
    }).pipe(Effect.provide(scene()))
  )
})

describe("the same each time", () => {
  // Promises of a real machine, which end in another order each time.
  const program = (pauses: Readonly<Record<string, number>>) =>
    Effect.forEach(
      Object.entries(pauses),
      ([name, pause]) =>
        Effect.gen(function* () {
          yield* Promised.run(Effect.promise(() => new Promise((resolve) => setTimeout(resolve, pause))))
          const chance = Redacted.value(yield* Pkce.random)
          const { status } = yield* HttpClient.get(`https://${name}.test/`)
          return `${name} ${status} ${chance}`
        }),
      { concurrency: "unbounded" }
    )

  it.live("who works for long without asking for anything is waited for", () =>
    Effect.gen(function* () {
      const busy = Effect.forEach(Array.from({ length: 200_000 }), () => Effect.void, { discard: true })
      const { exit } = yield* SansIo.start(busy, { now: 0 })
      assert.isTrue(exit !== undefined && Exit.isSuccess(exit))
    })
  )

  it.live("ids and chance belong to who had them first, whichever promise is quicker now", () =>
    Effect.gen(function* () {
      const { state, ...begun } = yield* SansIo.start(program({ a: 20, b: 0 }), { now: 0 })
      assert.deepStrictEqual(
        requestsOf(begun.actions).map(({ id, url }) => [id, url]),
        [
          [1, "https://a.test/"],
          [2, "https://b.test/"]
        ]
      )
      const next = yield* SansIo.feed(program({ a: 0, b: 20 }), yield* told(state), { now: 0, id: 2, status: 202 })
      const last = yield* SansIo.feed(program({ a: 20, b: 0 }), yield* told(next.state), { now: 0, id: 1, status: 201 })
      const [, first, second] = state.chance
      assert.deepStrictEqual(last.exit, Exit.succeed([`a 201 ${first}`, `b 202 ${second}`]))
    })
  )
})

describe("a service in a host", () => {
  const source = TokenSource.make(ClientCredentials.make(billing)).pipe(
    Effect.provide(Layer.fresh(CredentialStore.layerMemory))
  )

  it.effect("operations begin at any time, share what is under way, and what is known asks for nothing", () =>
    Effect.gen(function* () {
      const { actions, begin, feed, service } = yield* SansIo.serve(source, { now: 0 })
      assert.deepStrictEqual(actions(), [])
      const first = yield* begin(service.token, 0)
      const [metadata] = requestsOf(actions())
      yield* feed({ now: 0, id: 1, ...(yield* send(metadata ?? assert.fail())) })
      const second = yield* begin(service.token, 0)
      const [request, ...others] = requestsOf(actions())
      assert.deepStrictEqual([request?.id, others], [2, []])
      yield* feed({ now: 0, id: 2, ...(yield* send(request ?? assert.fail())) })
      assert.deepStrictEqual(first.pollUnsafe(), second.pollUnsafe())
      const third = yield* begin(service.token, 1000)
      assert.deepStrictEqual(third.pollUnsafe(), first.pollUnsafe())
      assert.deepStrictEqual(requestsOf(actions()), [])
    }).pipe(Effect.provide(scene()))
  )

  it.effect("who closes it waits for no answer, and what asks while it is made is a bug that says so", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { begin, service } = yield* SansIo.serve(source, { now: 0 })
          yield* begin(service.token, 0)
        })
      )
      const exit = yield* Effect.exit(Effect.scoped(SansIo.serve(Effect.sleep(1), { now: 0 })))
      assert.isTrue(Exit.hasDies(exit))
    }).pipe(Effect.provide(scene()))
  )
})
