import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { accounts, clients as registered, EmbeddedProvider, Person } from "@keyfob/embedded"
import { Effect, Exit, Layer, Option, Redacted, Result, Schema, Stream } from "effect"
import { Base64, Base64Url, Hex } from "effect/encoding"
import { Cookies, HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import {
  type AuthError,
  ClientAuthentication,
  ClientCredentials,
  CredentialStore,
  DeviceCode,
  Login,
  TokenSource,
  UserPrompt
} from "keyfob"
import { clients, Fault, patiently, SimulatedProvider, Trace } from "../src/index.ts"
import { assertNone, makeWire } from "./Wire.ts"

const named = <A>(exit: Exit.Exit<A, AuthError>) =>
  Exit.match(exit, {
    onSuccess: () => "ok",
    onFailure: (cause) => {
      const [reason] = cause.reasons
      return reason?._tag === "Fail" ? `${reason.error._tag}.${reason.error.reason}` : String(cause)
    }
  })

interface Trouble {
  readonly brief: Effect.Effect<void>
  readonly final: Effect.Effect<void>
}
const noTrouble: Trouble = { brief: Effect.void, final: Effect.void }

/** Signs in, renews with a little trouble, then for the last time; a machine gets a token and is refused one. */
const program = Effect.fnUntraced(function* (issuer: string, trouble: Trouble = noTrouble) {
  const scopes = ["openid", "profile", "email", "offline_access"]
  const flow = DeviceCode.make({ issuer, clientId: clients.cli.client_id, scopes })
  const ends: Array<string> = [named(yield* Effect.exit(Login.login(flow)))]
  const source = yield* TokenSource.make(flow)
  yield* trouble.brief
  ends.push(named(yield* Effect.exit(source.renew)))
  yield* trouble.final
  ends.push(named(yield* Effect.exit(source.renew)))
  for (const secret of [clients.billing.client_secret, "a-wrong-secret"]) {
    const authentication = ClientAuthentication.secretBasic(Redacted.make(secret))
    const machine = ClientCredentials.make({ issuer, clientId: "billing", authentication, scopes: ["api:read"] })
    ends.push(named(yield* Effect.exit(Login.login(machine))))
  }
  return ends
}, Effect.scoped)

const expected = ["ok", "ok", "LoginRequired.RefreshRefused", "ok", "ProviderRefused.InvalidClient"]

const prompt = (act: (code: string, uri: string) => Effect.Effect<unknown>) =>
  Layer.mock(UserPrompt, {
    deviceCode: ({ userCode, verificationUri }) => Effect.asVoid(act(userCode, verificationUri))
  })

const json = Schema.encodeSync(Trace.TraceJson)

/** Runs the program against the trace, and records that too. */
const replayed = Effect.fnUntraced(function* (text: string, issuer: string) {
  const trace = yield* Schema.decodeEffect(Trace.TraceJson)(text)
  const layer = Layer.mergeAll(
    CredentialStore.layerMemory,
    prompt(() => Effect.void)
  ).pipe(Layer.provideMerge(Trace.record()), Layer.provideMerge(Trace.replay(trace)))
  return yield* Effect.gen(function* () {
    const ends = yield* patiently(program(issuer))
    assert.deepStrictEqual(yield* (yield* Trace.Replay).left, [])
    return { ends, again: yield* (yield* Trace.Recorder).trace }
  }).pipe(Effect.provide(layer))
})

const withoutTimes = (trace: Trace.Trace) => Trace.outline(trace).map((line) => line.replace(/^\S+ +/, ""))

/** Milliseconds between an answer and the next request. */
const pauses = ({ exchanges }: Trace.Trace) =>
  exchanges.slice(1).map(({ at }, index) => {
    const before = exchanges[index]
    return (
      at - (before?.at ?? 0) - (before === undefined || before.outcome._tag === "Unanswered" ? 0 : before.outcome.after)
    )
  })

const people = Object.values(accounts).flatMap(({ email = "", name = "" }) => [email, name])

describe("a login, recorded and replayed", () => {
  it.effect("with the simulator: the replay's own trace is the same", () => {
    const wire = makeWire()
    const layer = Layer.mergeAll(
      CredentialStore.layerMemory,
      prompt(() => Effect.void)
    ).pipe(
      Layer.provideMerge(Trace.record()),
      Layer.provideMerge(wire.layer),
      Layer.provideMerge(SimulatedProvider.layer({ accessTokens: "jwt" }))
    )
    return Effect.gen(function* () {
      const { ends, trace } = yield* Effect.gen(function* () {
        const idp = yield* SimulatedProvider
        yield* idp.approve("alice", { after: "12 seconds" })
        const trouble = {
          brief: idp.faults(
            Fault.onRequest({ grant: "refresh_token" }, Fault.answer({ status: 503, headers: { "retry-after": "7" } })),
            Fault.onRequest({ grant: "refresh_token", nth: 2 }, Fault.delay("3 seconds"))
          ),
          final: idp.revokeAll
        }
        const ends = yield* patiently(program(idp.issuer, trouble))
        return { ends, trace: yield* (yield* Trace.Recorder).trace }
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(ends, expected)
      const text = json(trace)
      assertNone([...wire.secrets(), ...people, clients.billing.client_secret, "a-wrong-secret"], text)
      const { again, ends: endsAgain } = yield* replayed(text, "https://id.simulated.test")
      assert.deepStrictEqual(endsAgain, ends)
      assert.deepStrictEqual(Trace.outline(again), Trace.outline(trace))
      assert.deepStrictEqual(again, trace)
    })
  })

  it.live("with a certified provider over sockets: the same ends, requests and pauses", () => {
    const wire = makeWire()
    const person = prompt((userCode, verificationUri) => Effect.orDie(Person.approve({ verificationUri, userCode })))
    const layer = Layer.mergeAll(CredentialStore.layerMemory, person).pipe(
      Layer.provideMerge(Trace.record()),
      Layer.provideMerge(wire.layer),
      Layer.provideMerge(NodeHttpClient.layerUndici),
      Layer.provideMerge(EmbeddedProvider.layer({ deviceInterval: "1 second" }))
    )
    return Effect.gen(function* () {
      const { ends, issuer, trace } = yield* Effect.gen(function* () {
        const { failNext, issuer } = yield* EmbeddedProvider
        const trouble = {
          brief: failNext("/token", { status: 503, headers: { "retry-after": "2" } }),
          final: failNext("/token", {
            status: 400,
            body: { error: "invalid_grant", error_description: "alice@example.com has left" }
          })
        }
        const ends = yield* program(issuer, trouble)
        return { ends, issuer, trace: yield* (yield* Trace.Recorder).trace }
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(ends, expected)
      const text = json(trace)
      assertNone([...wire.secrets(), ...people, registered.billing.secret, "a-wrong-secret"], text)
      const { again, ends: endsAgain } = yield* Effect.provide(replayed(text, issuer), TestClock.layer())
      assert.deepStrictEqual(endsAgain, ends)
      assert.deepStrictEqual(withoutTimes(again), withoutTimes(trace))
      // What was recorded took at least as long: the machine was in it.
      pauses(again).forEach((pause, index) => assert.isAtMost(pause, (pauses(trace)[index] ?? 0) + 900))
      assert.isAtLeast(
        pauses(again).reduce((sum, pause) => sum + pause, 0),
        3000,
        "a poll's second, and the two of Retry-After"
      )
    })
  })
})

/** One exchange with a provider that answers everything alike. */
const traced = Effect.fnUntraced(function* (
  request: HttpClientRequest.HttpClientRequest,
  answer: () => Response,
  options?: Trace.Options
) {
  const client = HttpClient.make((request) =>
    Effect.map(Effect.sync(answer), (response) => HttpClientResponse.fromWeb(request, response))
  )
  const layer = Layer.provide(Trace.record(options), Layer.succeed(HttpClient.HttpClient, client))
  return yield* Effect.gen(function* () {
    yield* Effect.ignore(Effect.flatMap(HttpClient.execute(request), ({ text }) => text))
    return yield* (yield* Trace.Recorder).trace
  }).pipe(Effect.provide(layer))
})

const url = "https://id.example/token"
const encode = encodeURIComponent
const jwtOf = (header: object, claims: object) =>
  [header, claims].map((part) => Base64Url.encode(JSON.stringify(part))).join(".")

describe("what is recorded", () => {
  const through = (body: BodyInit | null, headers: ReadonlyArray<[string, string]>) => {
    const client = HttpClient.make((request) =>
      Effect.sync(() => HttpClientResponse.fromWeb(request, new Response(body, { headers: [...headers] })))
    )
    const layer = Layer.provide(Trace.record(), Layer.succeed(HttpClient.HttpClient, client))
    return Effect.flatMap(HttpClient.get(url), ({ arrayBuffer, cookies, stream }) =>
      Effect.succeed({ bytes: Effect.map(arrayBuffer, (buffer) => [...new Uint8Array(buffer)]), cookies, stream })
    ).pipe(Effect.provide(layer))
  }

  it.effect("stays what it was: bytes that are no UTF-8, several cookies", () =>
    Effect.gen(function* () {
      const bytes = [0xef, 0xbb, 0xbf, 0xe9, 0xff]
      const answer = yield* through(new Uint8Array(bytes), [
        ["content-type", "text/plain; charset=iso-8859-1"],
        ["content-length", "5"],
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"]
      ])
      assert.deepStrictEqual(yield* answer.bytes, bytes)
      assert.deepStrictEqual(Cookies.toRecord(answer.cookies), { a: "1", b: "2" })
    })
  )

  it.effect("a log that is being followed goes on", () =>
    Effect.gen(function* () {
      const endless = new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode("line 1"))
      })
      const { stream } = yield* through(endless, [["content-type", "text/plain"]])
      assert.deepStrictEqual(yield* Stream.runHead(Stream.decodeText(stream)), Option.some("line 1"))
    })
  )
})

/** Every place a secret could come to stand in, the expected ones and the others. */
const places: Readonly<
  Record<string, (secret: string) => readonly [HttpClientRequest.HttpClientRequest, (() => Response)?]>
> = {
  "the path": (secret) => [HttpClientRequest.get(`https://api.example/users/${encode(secret)}/x`)],
  "the host": (secret) => [HttpClientRequest.get(`https://${Hex.encode(secret)}.example/`)],
  "a path, with somebody's metadata in the query": (secret) => [
    HttpClientRequest.get(`https://api.example/${encode(secret)}?of=/.well-known/openid-configuration`),
    () => Response.json({ issuer: "https://id.example" })
  ],
  "a query's value": (secret) => [HttpClientRequest.get(`${url}?code=${encode(secret)}`)],
  "a query's name": (secret) => [HttpClientRequest.get(`${url}?${encode(secret)}=1`)],
  "a fragment": (secret) => [HttpClientRequest.get(`${url}#${encode(secret)}`)],
  "a form's value": (secret) => [post({ scope: secret, username: secret, error: secret })],
  "a form's name": (secret) => [post({ [secret]: "1" })],
  "a form's grant": (secret) => [post({ grant_type: secret })],
  "two scopes": (secret) => [post({ scope: `openid ${secret}` })],
  "a JSON request": (secret) => [HttpClientRequest.bodyJsonUnsafe(HttpClientRequest.post(url), { deep: [{ secret }] })],
  "a text": (secret) => [HttpClientRequest.bodyText(HttpClientRequest.post(url), secret)],
  "a bearer token": (secret) => [withHeader("authorization", `Bearer ${Hex.encode(secret)}`)],
  "an odd scheme": (secret) => [withHeader("authorization", `${Hex.encode(secret)} ${Hex.encode(secret)}`)],
  "a user name": (secret) => [withHeader("authorization", `Basic ${Base64.encode(`${secret}:x`)}`)],
  "a password": (secret) => [withHeader("authorization", `Basic ${Base64.encode(`x:${secret}`)}`)],
  "a client's id": (secret) => [post({ client_id: secret, client_secret: "x", audience: secret, aud: secret })],
  "an audience that is an address": (secret) => [
    post({ audience: `https://api.example/${encode(secret)}`, resource: `https://${Hex.encode(secret)}.example/` })
  ],
  "an address under the name of an issuer": (secret) =>
    answering({
      iss: `https://a.example/${encode(secret)}`,
      issuer: `https://${Hex.encode(secret)}.example`,
      aud: url
    }),
  "a cookie": (secret) => [withHeader("cookie", `sid=${Hex.encode(secret)}`)],
  "a content type": (secret) => [withHeader("accept", `application/${Hex.encode(secret)}+json; ${encode(secret)}=1`)],
  "a header nobody knows": (secret) => [withHeader("x-key", Hex.encode(secret))],
  "a header's name": (secret) => [withHeader(`x-${Hex.encode(secret)}`, "1")],
  "a member": (secret) => answering({ secret, token_type: secret, error: secret, issuer: [[secret]] }),
  "a member's name": (secret) => answering({ [secret]: 1, act: { [secret]: true } }),
  "a list": (secret) => answering([secret, [secret], { keys: [{ kid: secret, k: secret }] }]),
  "a link": (secret) =>
    answering({ verification_uri: `https://x:${encode(secret)}@${Hex.encode(secret)}.example/${encode(secret)}` }),
  "metadata it does not belong in": (secret) =>
    answering({ issuer: "https://id.example", name: secret, note: `https://id.example/${encode(secret)}` }),
  "a JWT's claim": (secret) => answering({ id_token: `${jwtOf({ alg: "none" }, { email: secret, [secret]: 1 })}.x` }),
  "a JWT's header": (secret) => answering({ any: `${jwtOf({ alg: secret, kid: secret }, {})}.x` }),
  "a JWT's signature": (secret) => answering({ any: `${jwtOf({ alg: "ES256" }, {})}.${Hex.encode(secret)}` }),
  "a JWT in a JWT": (secret) =>
    answering({ any: `${jwtOf({ alg: "ES256" }, { x: `${jwtOf({ alg: "ES256" }, { name: secret })}.y` })}.x` }),
  "an encrypted JWT": (secret) => answering({ any: `a.b.c.d.${Hex.encode(secret)}` }),
  "JSON in JSON": (secret) => answering({ any: JSON.stringify({ secret }) }),
  "a page": (secret) => [get, () => new Response(`<p>${secret}`, { headers: { "content-type": "text/html" } })],
  "half an answer": (secret) => [get, () => new Response(`{"access_token":"${secret}`)],
  "an answer's headers": (secret) => [
    get,
    () =>
      new Response("{}", {
        headers: {
          "set-cookie": `a=${encode(secret)}`,
          location: `https://x.example/cb?code=${encode(secret)}`,
          "www-authenticate": `Bearer realm="${encode(secret)}", error="${Hex.encode(secret)}"`,
          "cache-control": `max-age=${Hex.encode(secret)}, private="${encode(secret)}"`,
          "retry-after": Hex.encode(secret),
          date: Hex.encode(secret),
          "dpop-nonce": Hex.encode(secret),
          "content-type": `application/${Hex.encode(secret)}+json`
        }
      })
  ]
}

const get = HttpClientRequest.get(url)
const post = (form: Readonly<Record<string, string>>) =>
  HttpClientRequest.bodyUrlParams(HttpClientRequest.post(url), form)
const withHeader = (name: string, value: string) => HttpClientRequest.setHeader(get, name, value)
const answering = (json: unknown) => [get, () => Response.json(json)] as const

const Secret = Schema.String.check(Schema.isMinLength(6), Schema.isMaxLength(40))

describe("a secret in the trace", () => {
  for (const [place, put] of Object.entries(places)) {
    it.effect.prop(`is not there, put into ${place}`, [Secret], ([text]) =>
      Effect.gen(function* () {
        const secret = new TextDecoder().decode(new TextEncoder().encode(text)) // no halves of a character
        if (new Set(secret).size < 4) return // "000000" may be part of a time
        const [request, answer = () => Response.json({})] = put(secret)
        assertNone([secret, Hex.encode(secret)], json(yield* traced(request, answer)))
      })
    )
  }

  it.effect.prop(
    "is not there as a number either",
    [Schema.Int.check(Schema.isBetween({ minimum: 1e7, maximum: 1e15 }))],
    ([secret]) =>
      Effect.gen(function* () {
        const trace = yield* traced(get, () => Response.json({ pin: secret, list: [secret], phone_number: secret }))
        assertNone([String(secret)], json(trace))
      })
  )

  it.effect("is the same number wherever it comes up, and tells nothing of hosts where that is asked", () =>
    Effect.gen(function* () {
      const request = post({ client_id: "app", refresh_token: "s3cret", grant_type: "refresh_token" })
      const answer = () =>
        Response.json({ refresh_token: "s3cret", access_token: "other", iss: "https://id.example/x" })
      const text = json(yield* traced(request, answer, { hideHosts: true }))
      assert.include(text, `["client_id","~3"],["refresh_token","~4"],["grant_type","refresh_token"]`)
      assert.include(text, `{"refresh_token":"~4","access_token":"~5","iss":"https://h1.test/~6"}`)
      assertNone(["id.example"], text)
    })
  )

  const metadata = { issuer: "https://id.example", token_endpoint: url, device_authorization_endpoint: `${url}/device` }
  const machine = (id: string, secret: string, method: typeof ClientAuthentication.secretBasic, audience = "files") => {
    const authentication = method(Redacted.make(secret))
    const flow = ClientCredentials.make({
      issuer: metadata.issuer,
      clientId: id,
      authentication,
      audience
    })
    return Effect.ignore(Login.login(flow))
  }
  /** A provider that knows one client, and repeats who asked. */
  const provider = HttpClient.make((request) => {
    const form = new URLSearchParams(
      request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""
    )
    const basic = Result.getOrElse(Base64.decodeString((request.headers["authorization"] ?? "").slice(6)), () => "")
    const [id, secret] = basic === "" ? [form.get("client_id"), form.get("client_secret")] : basic.split(":")
    const token = { access_token: "t0ken", token_type: "Bearer", expires_in: 60 }
    const refused = () => Response.json({ error: "invalid_client", client_id: id }, { status: 401 })
    const asked = () => (id === "billing" && secret === "c4nary" ? Response.json(token) : refused())
    const answer = request.url.includes("/.well-known/") ? Response.json(metadata) : asked()
    return Effect.succeed(HttpClientResponse.fromWeb(request, answer))
  })
  type Program = Effect.Effect<void, never, HttpClient.HttpClient | CredentialStore>
  const recordedOf = (...programs: ReadonlyArray<Program>) => recordedWith({}, ...programs)
  const recordedWith = (options: Trace.Options, ...programs: ReadonlyArray<Program>) =>
    Effect.gen(function* () {
      for (const program of programs) yield* program
      return json(yield* (yield* Trace.Recorder).trace)
    }).pipe(
      Effect.provide(CredentialStore.layerMemory, { local: true }),
      Effect.provide(Layer.provide(Trace.record(options), Layer.succeed(HttpClient.HttpClient, provider)), {
        local: true
      })
    )

  it.effect("is whole, also where a client wrote it as it is (HTTP Basic)", () =>
    Effect.gen(function* () {
      const credentials = Base64.encode("billing:c4nary&more")
      const discovery = HttpClient.get("https://id.example/.well-known/openid-configuration")
      const asking = HttpClient.execute(
        HttpClientRequest.setHeader(post({ password: "c4nary" }), "authorization", `Basic ${credentials}`)
      )
      const text = yield* recordedOf(Effect.ignore(Effect.andThen(discovery, asking)))
      const [, secret] = /"authorization":"Basic ~\d+:(~\d+)"/.exec(text) ?? []
      assert.isDefined(secret)
      assert.notInclude(text, `["password","${secret}"]`)
    })
  )

  it.effect("an audience that is a host is none, where hosts are to be hidden", () =>
    Effect.gen(function* () {
      const program = machine("billing", "c4nary", ClientAuthentication.secretPost, "files.example")
      assert.include(yield* recordedOf(program), "files.example")
      const hidden = yield* recordedWith({ hideHosts: true }, program)
      assertNone(["files.example", "id.example"], hidden)
      assert.include(hidden, "billing")
    })
  )

  for (const [name, method] of Object.entries({
    ClientSecretBasic: ClientAuthentication.secretBasic,
    ClientSecretPost: ClientAuthentication.secretPost
  })) {
    it.effect(`is not there where client id and secret were swapped (${name})`, () =>
      Effect.gen(function* () {
        assertNone(["c4nary"], yield* recordedOf(machine("c4nary", "billing", method)))
        // Nor where the right way was tried as well.
        const both = yield* recordedOf(machine("c4nary", "billing", method), machine("billing", "c4nary", method))
        assertNone(["c4nary"], both)
      })
    )

    it.effect(`a client id and an audience are shown once a provider granted them something (${name})`, () =>
      Effect.gen(function* () {
        const text = yield* recordedOf(machine("billing", "c4nary", method))
        assert.include(text, "billing")
        assert.include(text, "files")
        assertNone(["billing", "files"], yield* recordedOf(machine("billing", "wr0ng", method)))
      })
    )
  }
})
