import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { HttpClient } from "effect/http"
import * as Discovery from "../../src/protocol/Discovery.ts"
import {
  answer,
  broken,
  inTime,
  issuer,
  json,
  metadata,
  named,
  openIdLocation,
  type Reply,
  scripted,
  status
} from "../scripted.ts"

const discover = (from: string, script: Readonly<Record<string, Reply | ReadonlyArray<Reply>>>) => {
  const { layer, requests } = scripted(script)
  const found = inTime(Effect.flatMap(HttpClient.HttpClient, (http) => Discovery.discover(http, from)))
  return { found: Effect.provide(found, layer), requests }
}

/** Why the provider is not trusted that states this at the usual place. */
const refusal = (document: unknown, from = issuer) =>
  Effect.flip(discover(from, { [new URL("/.well-known/openid-configuration", from).href]: json(document) }).found)

const rfc8414 = `${issuer}/.well-known/oauth-authorization-server`

describe("Discovery: where", () => {
  it.effect("reads the OpenID document and keeps what Keyfob uses", () =>
    Effect.gen(function* () {
      const { found, requests } = discover(issuer, {
        [openIdLocation]: json({ ...metadata, scopes_supported: ["openid"] })
      })
      assert.deepStrictEqual(yield* found, metadata)
      assert.deepStrictEqual(
        requests.map(({ method, url }) => [method, url]),
        [["GET", openIdLocation]]
      )
    })
  )

  it.effect("takes null for what a provider does not have", () =>
    Effect.gen(function* () {
      const { end_session_endpoint: _, ...document } = metadata
      const nothing = { end_session_endpoint: null, token_endpoint_auth_methods_supported: null }
      const { found } = discover(issuer, { [openIdLocation]: json({ ...document, ...nothing }) })
      assert.deepStrictEqual(yield* found, document)
    })
  )

  it.effect(
    "a flag is on where it says true, in whatever type; what says anything else is off, and no reason to refuse",
    () =>
      Effect.gen(function* () {
        for (const [stated, flag] of [
          [true, true],
          ["true", true],
          [false, false],
          ["no", false],
          [1, false],
          [[], false]
        ]) {
          const { found } = discover(issuer, {
            [openIdLocation]: json({ ...metadata, require_pushed_authorization_requests: stated })
          })
          assert.strictEqual((yield* found).require_pushed_authorization_requests, flag)
        }
      })
  )

  for (const [name, reply] of Object.entries({
    "is not there": status(404),
    "is a page (a single-page app answers everything)": answer("<html>", { headers: { "content-type": "text/html" } }),
    "is truncated": answer("{", { headers: { "content-type": "application/json" } }),
    "is forbidden": json({ error: "forbidden" }, { status: 403 })
  })) {
    it.effect(`reads the RFC 8414 document where the OpenID one ${name}`, () =>
      Effect.gen(function* () {
        const { found } = discover(issuer, { [openIdLocation]: reply, [rfc8414]: json(metadata) })
        assert.deepStrictEqual(yield* found, metadata)
      })
    )
  }

  for (const path of ["/tenant", "/tenant/", "/a/b"]) {
    it.effect(`R12 an issuer with a path (${path}): behind it for OpenID, before it for RFC 8414`, () =>
      Effect.gen(function* () {
        const from = `${issuer}${path}`
        const bare = path.replace(/\/$/, "")
        const { found, requests } = discover(from, { [`${rfc8414}${bare}`]: json({ ...metadata, issuer: from }) })
        assert.strictEqual((yield* found).issuer, from)
        assert.deepStrictEqual(
          requests.map(({ url }) => url),
          [`${issuer}${bare}/.well-known/openid-configuration`, `${rfc8414}${bare}`]
        )
      })
    )
  }

  it.effect("R12 a path that looks like another host stays a path", () =>
    Effect.gen(function* () {
      const from = `${issuer}//evil.example`
      const { found, requests } = discover(from, {})
      yield* Effect.flip(found)
      assert.deepStrictEqual(
        requests.map(({ url }) => new URL(url).host),
        ["id.example", "id.example"]
      )
    })
  )

  it.effect("trouble with the first document is not taken for its absence", () =>
    Effect.gen(function* () {
      const { found, requests } = discover(issuer, { [openIdLocation]: status(500), [rfc8414]: json(metadata) })
      assert.strictEqual(named(yield* Effect.flip(found)), "ProviderUnavailable.ServerError")
      assert.lengthOf(requests, 4)
    })
  )
})

describe("Discovery: bad answers", () => {
  for (const [name, reply, expected] of [
    ["the issuer is unreachable", broken("ENOTFOUND"), "ProviderUnavailable.Unreachable"],
    ["HTML instead of JSON", answer("<html>", { headers: { "content-type": "text/html" } }), "AnswerRejected.NotJson"],
    [
      "truncated JSON",
      answer(`{"issuer":`, { headers: { "content-type": "application/json" } }),
      "AnswerRejected.Truncated"
    ],
    ["404 everywhere", status(404), "AnswerRejected.Malformed"],
    ["a 200 with an error body", json({ error: "server_error" }), "AnswerRejected.Malformed"],
    ["no issuer", json({ token_endpoint: metadata.token_endpoint }), "AnswerRejected.Malformed"],
    ["an endpoint of a wrong type", json({ ...metadata, token_endpoint: 1 }), "AnswerRejected.Malformed"],
    [
      "a list of a wrong type",
      json({ ...metadata, token_endpoint_auth_methods_supported: "all" }),
      "AnswerRejected.Malformed"
    ],
    ["X-14 a redirect", status(302, { location: "https://evil.example/" }), "AnswerRejected.Redirected"]
  ] as const) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const { found } = discover(issuer, { [openIdLocation]: reply })
        assert.strictEqual(named(yield* Effect.flip(found)), expected)
      })
    )
  }
})

describe("Discovery: the issuer", () => {
  for (const [asked, stated] of [
    [issuer, "https://evil.example"],
    [issuer, `${issuer}.evil.example`],
    [issuer, `${issuer}/tenant`],
    [issuer, `${issuer}//`],
    [issuer, "https://ID.example"],
    [issuer, `${issuer}:443`],
    [issuer, "http://id.example"],
    [issuer, ` ${issuer}`],
    [issuer, `${issuer}?x`],
    ["https://ID.example", issuer]
  ] as const) {
    it.effect(`A-52 asked for ${asked}, it states ${JSON.stringify(stated)}: refused`, () =>
      Effect.gen(function* () {
        assert.strictEqual(
          named(yield* refusal({ ...metadata, issuer: stated }, asked)),
          "AnswerRejected.IssuerMismatch"
        )
      })
    )
  }

  for (const [asked, stated] of [
    [issuer, `${issuer}/`],
    [`${issuer}/`, issuer]
  ] as const) {
    it.effect(`${asked} and ${stated} name the same document, and the document's spelling counts`, () =>
      Effect.gen(function* () {
        const { found } = discover(asked, { [openIdLocation]: json({ ...metadata, issuer: stated }) })
        assert.strictEqual((yield* found).issuer, stated)
      })
    )
  }

  for (const bad of [
    "",
    "id.example",
    "https://",
    "https:///",
    "javascript:alert(1)",
    "file:///etc/passwd",
    `${issuer}?tenant=1`,
    `${issuer}#top`,
    `${issuer}/?`,
    `${issuer}/#`,
    "https://user:canary@id.example",
    "https://canary@id.example",
    `${issuer}/\u001b[31m`,
    `${issuer}/a b`,
    ` ${issuer}`,
    `${issuer}\n`,
    "https:\\\\id.example"
  ]) {
    it.effect(`R12 ${JSON.stringify(bad)} is no issuer`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Discovery.parseIssuer(bad))
        assert.strictEqual(named(error), "ConfigurationInvalid.InvalidIssuer")
        assert.notInclude(error.message, "canary")
        assert.notInclude(error.message, "\u001b")
      })
    )
  }

  for (const bad of [
    "https://user:can/ary@id.example",
    "https://user:can@ary@id.example",
    "https:user:canary@id.example",
    "https:\\\\user:canary@id.example",
    "https://user:can\nary@id.example"
  ]) {
    it.effect(`R13 a password mistyped into the issuer is not repeated: ${JSON.stringify(bad)}`, () =>
      Effect.gen(function* () {
        const { message } = yield* Effect.flip(Discovery.parseIssuer(bad))
        for (const part of ["can", "ary"]) assert.notInclude(message.replaceAll(/[^a-z]/g, ""), part)
      })
    )
  }

  for (const bad of [
    "http://id.example",
    "http://127.0.0.1.evil.example",
    "http://localhost.evil.example",
    "http://10.0.0.1",
    "http://128.0.0.1",
    "ftp://id.example"
  ]) {
    it.effect(`X-17 ${bad} is not secure`, () =>
      Effect.gen(function* () {
        assert.strictEqual(named(yield* Effect.flip(Discovery.parseIssuer(bad))), "ConfigurationInvalid.InsecureUrl")
      })
    )
  }

  for (const good of [
    issuer,
    `${issuer}/`,
    `${issuer}:8443/tenant`,
    "http://127.0.0.1:4000",
    "http://127.1.2.3",
    "http://[::1]:4000",
    "http://localhost:4000"
  ]) {
    it.effect(`${good} is fine`, () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* Discovery.parseIssuer(good)).href, new URL(good).href)
      })
    )
  }
})

describe("Discovery: endpoints", () => {
  const endpoints = Object.keys(metadata).filter((name) => name !== "issuer")

  for (const name of endpoints) {
    it.effect(`X-17 ${name} must be https`, () =>
      Effect.gen(function* () {
        const error = yield* refusal({ ...metadata, [name]: "http://id.example/x" })
        assert.strictEqual(named(error), "AnswerRejected.InsecureEndpoint")
        assert.include(error.message, name)
      })
    )
  }

  for (const [name, url] of Object.entries({
    "this machine by number": "https://127.0.0.1/token",
    "this machine, plain": "http://127.0.0.1/token",
    "this machine by name": "https://localhost/token",
    "this machine by name with a dot": "https://localhost./token",
    "a name below localhost": "https://a.localhost/token",
    "this machine, version 6": "https://[::1]/token",
    "this machine, mapped": "https://[::ffff:127.0.0.1]/token",
    "this machine in octal": "https://0177.0.0.1/token",
    "this machine as one number": "https://2130706433/token",
    "no address": "https://0.0.0.0/token",
    "no address, version 6": "https://[::]/token",
    "a user": "https://user@id.example/token",
    "a password": "https://user:canary@id.example/token",
    "a fragment": `${issuer}/token#x`,
    "another scheme": "javascript:alert(1)",
    "a relative URL": "/token",
    nothing: ""
  })) {
    it.effect(`X-17 a public issuer must not name ${name}`, () =>
      Effect.gen(function* () {
        const error = yield* refusal({ ...metadata, token_endpoint: url })
        assert.strictEqual(named(error), "AnswerRejected.InsecureEndpoint")
        assert.notInclude(error.message, "canary")
      })
    )
  }

  const byName = "https://id.example"
  const link = ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "[64:ff9b::169.254.169.254]", "0xa9fea9fe"]
  const network = [
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.127.255.255",
    "[fd00:ec2::254]",
    "[fc00::1]",
    "[fec0::1]",
    "[::ffff:10.1.2.3]",
    "[::ffff:172.31.0.1]",
    "[::ffff:192.168.0.1]",
    "[64:ff9b::10.0.0.1]",
    "[64:ff9b::100.64.0.1]",
    "[64:ff9b:1::10.0.0.1]",
    "012.1",
    "167772161"
  ]
  const naming = (issuer: string, host: string) => {
    const document = { issuer, token_endpoint: `https://${host}/token`, jwks_uri: `${issuer}/jwks` }
    const { found } = discover(issuer, { [`${issuer}/.well-known/openid-configuration`]: json(document) })
    return Effect.match(found, { onSuccess: () => "taken", onFailure: named })
  }

  it.effect.each([
    ...[byName, "https://192.0.2.1"].flatMap((from) => [...link, ...network].map((host) => [from, host] as const)),
    ...link.map((host) => ["https://10.0.0.1", host] as const),
    ...network.map((host) => ["https://169.254.0.1", host] as const),
    ["https://10.0.0.1", "127.0.0.1"]
  ] as const)("attack: an endpoint in another network than the issuer's: %s names %s", ([from, host]) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* naming(from, host), "AnswerRejected.InsecureEndpoint")
    })
  )

  // What only looks so, and what is next to it.
  const elsewhere =
    "10.example 9.255.255.255 11.0.0.1 172.15.0.1 172.32.0.1 192.167.0.1 192.169.0.1 100.63.0.1 100.128.0.1 169.253.0.1 169.255.0.1 [fbff::1] [fe00::1] [2600::a00:1]"
  it.effect.each(elsewhere.split(" "))("an endpoint may be anywhere else: %s", (host) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* naming(byName, host), "taken")
    })
  )

  it.effect("who is known by an address of a network may name others in it; who is on this machine may name any", () =>
    Effect.gen(function* () {
      for (const from of ["https://10.0.0.1", "https://[fd00::1]", "http://127.0.0.1:4000"]) {
        for (const host of network) assert.strictEqual(yield* naming(from, host), "taken")
      }
      assert.strictEqual(yield* naming("http://127.0.0.1:4000", "169.254.1.1"), "taken")
    })
  )

  it.effect("an issuer on this machine may name endpoints on this machine", () =>
    Effect.gen(function* () {
      const local = "http://127.0.0.1:4000"
      const document = {
        issuer: local,
        token_endpoint: "http://localhost:4001/token",
        jwks_uri: "https://id.example/jwks"
      }
      const { found } = discover(local, { [`${local}/.well-known/openid-configuration`]: json(document) })
      assert.deepStrictEqual(yield* found, document)
    })
  )

  it.effect("an issuer on this machine may not name plain http elsewhere", () =>
    Effect.gen(function* () {
      const local = "http://127.0.0.1:4000"
      const error = yield* refusal({ issuer: local, token_endpoint: "http://id.example/token" }, local)
      assert.strictEqual(named(error), "AnswerRejected.InsecureEndpoint")
    })
  )

  it.effect("endpoints may be on another host: many providers have them there", () =>
    Effect.gen(function* () {
      const document = { ...metadata, token_endpoint: "https://tokens.example/token" }
      const { found } = discover(issuer, { [openIdLocation]: json(document) })
      assert.deepStrictEqual(yield* found, document)
    })
  )

  it.effect("what it shows of a document holds no terminal escapes", () =>
    Effect.gen(function* () {
      for (const changes of [
        { issuer: "https://evil\u001b[2J\u202e" },
        { token_endpoint: "http://evil\u001b]0;x\u0007" }
      ]) {
        const { message } = yield* refusal({ ...metadata, ...changes })
        for (const escape of ["\u001b", "\u0007", "\u202e"]) assert.notInclude(message, escape)
      }
    })
  )
})

describe("Discovery: any document", () => {
  const maybe = Schema.optionalKey(
    Schema.Union([Schema.Json, Schema.Literals(["http://127.0.0.1/", "https://id.example/x"])])
  )
  const Document = Schema.Struct({
    issuer: Schema.Union([Schema.Literal(issuer), Schema.Json]),
    token_endpoint: maybe,
    jwks_uri: maybe,
    token_endpoint_auth_methods_supported: maybe
  })

  it.effect.prop("is metadata or a typed error", { document: Schema.Union([Schema.Json, Document]) }, ({ document }) =>
    Effect.gen(function* () {
      const { found } = discover(issuer, { [openIdLocation]: json(document), [rfc8414]: status(404) })
      const result = yield* Effect.result(found)
      if (result._tag === "Failure") assert.strictEqual(result.failure._tag, "AnswerRejected")
      else assert.strictEqual(result.success.issuer.replace(/\/$/, ""), issuer)
    })
  )
})
