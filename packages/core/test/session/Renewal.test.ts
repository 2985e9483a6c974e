import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { Account, Credential, CredentialStore, DeviceCode, type Implementation } from "keyfob"
import { exportJWK, generateKeyPair, SignJWT } from "jose"
import {
  answer,
  broken,
  hanging,
  inTime,
  issuer,
  json,
  metadata,
  openIdLocation,
  provider,
  refused,
  type Reply,
  scripted,
  status
} from "../scripted.ts"
import { credential, kept, observed, source, storeFailed, textOf, tokens, withoutRefreshToken, write } from "./given.ts"

/** A stored credential that is due, a provider with a script, and a source between them. */
const scene = (...replies: ReadonlyArray<Reply>) => {
  const store = observed()
  const exchanging: ReadonlyArray<Reply> = replies.map(
    (reply) => (request) =>
      Effect.suspend(() => {
        store.journal.push("exchange")
        return reply(request)
      })
  )
  return { store, exchanging, ...staged(store, { [metadata.token_endpoint]: exchanging }) }
}
const staged = (store: ReturnType<typeof observed>, script: Readonly<Record<string, Reply | ReadonlyArray<Reply>>>) => {
  const http = scripted({ ...provider, ...script })
  return { http, sent: () => http.to(metadata.token_endpoint), layer: Layer.merge(store.layer, http.layer) }
}

/** Puts it into the store and makes it due. */
const due = Effect.fnUntraced(function* (stored: Credential = credential()) {
  yield* write(stored)
  yield* TestClock.setTime(3_600_000)
})

describe("Renewal", () => {
  it.effect("R3 X-02 marks, exchanges and commits before anybody has the token", () => {
    const { layer, store } = scene(tokens(2))
    return Effect.gen(function* () {
      yield* due()
      store.journal.length = 0
      const { text } = yield* source()
      assert.strictEqual(yield* text, "access-2")
      assert.deepStrictEqual(store.journal, ["get", "read", "write 1 spending", "exchange", "write 2"])
      assert.deepInclude(yield* kept(), {
        generation: 2,
        access: "access-2",
        refresh: "refresh-2",
        spending: null
      })
    }).pipe(Effect.provide(layer))
  })

  it.effect(
    "B-22 A-06 A-18 the stored refresh token is the one that is sent, and the rotated one the next time",
    () => {
      const { layer, sent } = scene(tokens(2), tokens(3))
      return Effect.gen(function* () {
        yield* due()
        const { renew, text } = yield* source()
        yield* text
        yield* renew
        assert.deepStrictEqual(
          sent().map(({ form }) => form["refresh_token"]),
          ["refresh-1", "refresh-2"]
        )
        assert.strictEqual((yield* kept())?.refresh, "refresh-3")
      }).pipe(Effect.provide(layer))
    }
  )

  it.effect.each([
    ["absent", { refresh_token: undefined }],
    ["null", { refresh_token: null }],
    ["empty", { refresh_token: "" }]
  ] as const)("R1 X-16 the old refresh token stays when the new one is %s, and so do the scopes", ([, different]) => {
    const { layer, sent } = scene(tokens(2, different), tokens(3))
    return Effect.gen(function* () {
      yield* due()
      const { renew, text, token } = yield* source()
      assert.deepStrictEqual((yield* token).scopes, ["openid", "offline_access"])
      assert.strictEqual(yield* text, "access-2")
      assert.deepInclude(yield* kept(), { generation: 2, refresh: "refresh-1" })
      yield* renew
      assert.strictEqual(sent()[1]?.form["refresh_token"], "refresh-1")
    }).pipe(Effect.provide(layer))
  })

  it.effect("scopes that the answer names replace those of before", () => {
    const { layer } = scene(tokens(2, { scope: "openid" }))
    return Effect.gen(function* () {
      yield* due()
      const { token } = yield* source()
      assert.deepStrictEqual((yield* token).scopes, ["openid"])
    }).pipe(Effect.provide(layer))
  })

  it.effect(
    "the end of a refresh token goes with it: kept with a token that is, forgotten with one that is replaced",
    () => {
      const soon = tokens(3, { refresh_token: undefined, refresh_expires_in: 600 })
      const { layer } = scene(tokens(2), soon, tokens(4, { refresh_token: undefined }))
      return Effect.gen(function* () {
        const refreshEnd = Effect.map(
          CredentialStore.use((store) => store.get(credential().key)),
          (found) => Option.getOrThrow(found).refreshExpiresAt?.epochMilliseconds
        )
        yield* due(credential(1, { refreshExpiresAt: DateTime.makeUnsafe(9_000_000) }))
        const { renew } = yield* source()
        yield* renew
        assert.isUndefined(yield* refreshEnd)
        yield* renew
        assert.strictEqual(yield* refreshEnd, 3_600_000 + 600_000)
        yield* renew
        assert.strictEqual(yield* refreshEnd, 3_600_000 + 600_000)
      }).pipe(Effect.provide(layer), Effect.scoped)
    }
  )

  it.effect("X-16 sends grant, client and token, and no scope; values with + & = survive", () => {
    const { layer, sent } = scene(tokens(2))
    return Effect.gen(function* () {
      yield* due(Credential.make({ ...credential(), refreshToken: Redacted.make("a+b&c=d e%") }))
      yield* (yield* source()).token
      assert.deepStrictEqual(sent()[0]?.form, {
        grant_type: "refresh_token",
        refresh_token: "a+b&c=d e%",
        client_id: "app"
      })
    }).pipe(Effect.provide(layer))
  })

  it.effect("names the resource again that the credential is for", () => {
    const { layer, sent } = scene(tokens(2))
    const flow = DeviceCode.make({ issuer, clientId: "app", resource: ["https://files.example"] })
    return Effect.gen(function* () {
      yield* due(credential(1, { key: flow.key }))
      yield* (yield* source(flow)).token
      assert.strictEqual(sent()[0]?.form["resource"], "https://files.example")
    }).pipe(Effect.provide(layer))
  })

  describe("what the provider certainly has not processed leaves no mark", () => {
    it.effect.each([
      ["503", status(503), "ServerError"],
      ["429", status(429), "RateLimited"],
      ["a refused connection", broken("ECONNREFUSED"), "Unreachable"],
      ["an unknown host", broken("ENOTFOUND"), "Unreachable"]
    ] as const)("R4 %s: tried again, then typed, the credential as it was", ([, trouble, reason]) => {
      const { layer, sent, store } = scene(trouble, trouble, trouble, trouble, tokens(2))
      return Effect.gen(function* () {
        yield* due()
        const before = yield* kept()
        const { text, token } = yield* source()
        const error = yield* inTime(Effect.flip(token))
        assert.deepInclude(error, { _tag: "ProviderUnavailable", reason })
        assert.lengthOf(sent(), 4)
        assert.deepStrictEqual(yield* kept(), before)
        assert.strictEqual(yield* text, "access-2")
        assert.deepStrictEqual(
          store.writes.map(({ spending }) => spending),
          [undefined, 1, undefined, 1, undefined]
        )
      }).pipe(Effect.provide(layer))
    })

    it.effect("R4 429 with Retry-After: waited for when short", () => {
      const { layer, sent } = scene(status(429, { "retry-after": "20" }), tokens(2))
      return Effect.gen(function* () {
        yield* due()
        const { text } = yield* source()
        assert.strictEqual(yield* inTime(text), "access-2")
        assert.strictEqual((sent()[1]?.at ?? 0) - (sent()[0]?.at ?? 0), 20_000)
      }).pipe(Effect.provide(layer))
    })

    it.effect.each([
      ["invalid_client", 401, "InvalidClient"],
      ["unauthorized_client", 400, "UnauthorizedClient"],
      ["invalid_scope", 400, "InvalidScope"],
      ["invalid_target", 400, "InvalidTarget"],
      ["invalid_request", 400, "InvalidRequest"],
      ["unsupported_grant_type", 400, "UnsupportedGrantType"],
      ["access_denied", 403, "AccessDenied"],
      ["temporarily_odd", 400, "Other"]
    ] as const)(
      "A-20 B-23 X-13 (a 401 wiped every token there, invalid_client latched) %s is typed and keeps the credential for when the configuration is right again",
      ([code, http, reason]) => {
        const { layer } = scene(refused(code, http), tokens(2))
        return Effect.gen(function* () {
          yield* due()
          const before = yield* kept()
          const { text, token } = yield* source()
          assert.deepInclude(yield* Effect.flip(token), { _tag: "ProviderRefused", reason })
          assert.deepStrictEqual(yield* kept(), before)
          assert.strictEqual(yield* text, "access-2")
        }).pipe(Effect.provide(layer))
      }
    )
  })

  describe("what may have been processed leaves the mark", () => {
    const half = answer('{"access_token":"acc', { headers: { "content-type": "application/json" } })
    const cases = [
      ["500", status(500), "ServerError"],
      ["502", status(502), "ServerError"],
      ["a reset", broken("ECONNRESET"), "AnswerLost"],
      ["a timeout", hanging, "TimedOut"],
      ["half an answer", half, "Truncated"],
      ["a page of HTML", answer("<html>", { headers: { "content-type": "text/html" } }), "NotJson"],
      ["an answer without a token", json({ token_type: "Bearer" }), "Malformed"]
    ] as const

    it.effect.each(cases)(
      "R3 X-11 X-19 X-20 (law 1: replayed once, where X-11 says never) %s: not repeated at once; the next call replays the same token",
      ([, trouble, reason]) => {
        const { layer, sent } = scene(trouble, tokens(2))
        return Effect.gen(function* () {
          yield* due()
          const { text, token } = yield* source()
          assert.deepInclude(yield* inTime(Effect.flip(token)), { reason })
          assert.lengthOf(sent(), 1)
          assert.deepInclude(yield* kept(), { generation: 1, refresh: "refresh-1", spending: 1 })
          assert.strictEqual(yield* text, "access-2")
          assert.deepStrictEqual(
            sent().map(({ form }) => form["refresh_token"]),
            ["refresh-1", "refresh-1"]
          )
          assert.deepInclude(yield* kept(), { generation: 2, spending: null })
        }).pipe(Effect.provide(layer))
      }
    )

    it.effect.each(cases)(
      "X-06 %s, then the replay is refused: RefreshUnfinished, and nothing is asked after that",
      ([, trouble]) => {
        const { layer, sent } = scene(trouble, refused("invalid_grant"))
        return Effect.gen(function* () {
          yield* due()
          const { token } = yield* source()
          yield* inTime(Effect.flip(token))
          const error = yield* Effect.flip(token)
          assert.deepInclude(error, { _tag: "LoginRequired", reason: "RefreshUnfinished", issuer, account: "default" })
          const another = yield* source()
          for (const ask of [token, another.token]) {
            assert.deepInclude(yield* Effect.flip(ask), { _tag: "LoginRequired", reason: "RefreshUnfinished" })
          }
          assert.lengthOf(sent(), 2)
        }).pipe(Effect.provide(layer))
      }
    )
  })

  it.effect("a mark found after a crash: the next process replays, without marking again", () => {
    const { layer, store } = scene(tokens(2))
    return Effect.gen(function* () {
      yield* due(credential(1, { spending: 1 }))
      store.journal.length = 0
      const { text } = yield* source()
      assert.strictEqual(yield* text, "access-2")
      assert.deepStrictEqual(store.journal, ["get", "read", "exchange", "write 2"])
      assert.deepInclude(yield* kept(), { generation: 2, spending: null })
    }).pipe(Effect.provide(layer))
  })

  it.effect(
    "X-06 B-41 invalid_grant: RefreshRefused, kept as refused without its refresh token, not asked again by anybody",
    () => {
      const { layer, sent } = scene(refused("invalid_grant"))
      return Effect.gen(function* () {
        yield* due()
        const { asks, token } = yield* source()
        assert.deepInclude(yield* Effect.flip(token), { _tag: "LoginRequired", reason: "RefreshRefused" })
        assert.deepInclude(yield* kept(), { generation: 1, refresh: null, spending: null, refused: true })
        const another = yield* source()
        for (const ask of [...asks, ...another.asks]) {
          assert.deepInclude(yield* Effect.flip(ask), { _tag: "LoginRequired", reason: "RefreshRefused" })
        }
        assert.lengthOf(sent(), 1)
      }).pipe(Effect.provide(layer))
    }
  )

  /** A provider that refuses, and a store whose lease is lost meanwhile: then this stands there. */
  const overtakenBy = (next: Credential) => {
    let stored = credential()
    const implementation: Implementation = {
      name: "no lease",
      get: () => Effect.sync(() => Option.some(stored)),
      list: Effect.sync(() => [stored]),
      modify: (_, use) =>
        use({
          read: Effect.sync(() => Option.some(stored)),
          write: (next) => Effect.sync(() => void (stored = next)),
          remove: Effect.die("nobody signs out here")
        })
    }
    const overtaken: Reply = (request) => {
      stored = next
      return refused("invalid_grant")(request)
    }
    const { layer } = scripted({ ...provider, [metadata.token_endpoint]: [overtaken] })
    return Layer.merge(Layer.succeed(CredentialStore, CredentialStore.make(implementation)), layer)
  }

  it.effect(
    "invalid_grant after somebody else went on with the session (a lease that was lost): theirs is adopted",
    () =>
      Effect.gen(function* () {
        const { observe, renew } = yield* source()
        const told: Array<string> = []
        yield* observe(({ _tag }) => void told.push(_tag))
        const { credential, outcome } = yield* renew
        assert.deepStrictEqual([credential.generation, outcome, told], [2, "adopted", ["Adopted"]])
        assert.deepInclude(yield* kept(), { generation: 2, refused: false })
      }).pipe(Effect.provide(overtakenBy(credential(2))))
  )

  it.effect(
    "R15 and after somebody else began a session with a token of their own: it is left as it is, and to them",
    () =>
      Effect.gen(function* () {
        const { renew } = yield* source()
        assert.deepInclude(yield* Effect.flip(renew), { _tag: "LoginRequired", reason: "RefreshRefused" })
        assert.deepInclude(yield* kept(), { generation: 2, access: "access-2", refused: false })
      }).pipe(Effect.provide(overtakenBy(credential(2, { begunWith: "of another token" }))))
  )

  it.effect("and after they were refused as well: nothing is there to be adopted", () =>
    Effect.gen(function* () {
      const { asks } = yield* source()
      for (const ask of asks.toReversed()) {
        assert.deepInclude(yield* Effect.flip(ask), { _tag: "LoginRequired", reason: "RefreshRefused" })
      }
    }).pipe(Effect.provide(overtakenBy(credential(2, { refused: true }))))
  )

  it.effect("A-05 no refresh token: NotRenewable, and nobody is asked", () => {
    const { http, layer } = scene()
    return Effect.gen(function* () {
      yield* due(withoutRefreshToken(credential()))
      const { token } = yield* source()
      assert.deepInclude(yield* Effect.flip(token), { _tag: "LoginRequired", reason: "NotRenewable" })
      assert.lengthOf(http.requests, 0)
    }).pipe(Effect.provide(layer))
  })

  describe("a store that fails", () => {
    it.effect("R3 a mark that cannot be written: nothing is sent", () => {
      const { layer, sent, store } = scene(tokens(2))
      return Effect.gen(function* () {
        yield* due()
        store.hooks.before = (operation) => (operation.startsWith("write") ? storeFailed("ReadOnly") : Effect.void)
        const { token } = yield* source()
        assert.deepInclude(yield* inTime(Effect.flip(token)), { _tag: "StoreFailed", reason: "ReadOnly" })
        assert.lengthOf(sent(), 0)
      }).pipe(Effect.provide(layer))
    })

    it.effect(
      "X-03 a commit that fails is tried again with the same data, then the token is given out; the next process loads it",
      () => {
        const { layer, sent, store } = scene(tokens(2))
        return Effect.gen(function* () {
          yield* due()
          let failures = 2
          store.hooks.before = (operation) => (operation === "write 2" && failures-- > 0 ? storeFailed() : Effect.void)
          const { text } = yield* source()
          assert.strictEqual(yield* inTime(text), "access-2")
          const commits = store.writes.filter(({ generation }) => generation === 2)
          assert.lengthOf(commits, 3)
          assert.isTrue(commits.every((one) => one === commits[0]))
          assert.strictEqual(yield* (yield* source()).text, "access-2")
          assert.lengthOf(sent(), 1)
        }).pipe(Effect.provide(layer))
      }
    )

    it.effect(
      "X-03 X-10 a commit that fails for good gives out no token, and is made good before anything else is asked",
      () => {
        const { layer, sent, store } = scene(tokens(2))
        return Effect.gen(function* () {
          yield* due()
          store.hooks.before = (operation) => (operation === "write 2" ? storeFailed("Full") : Effect.void)
          const { text, token } = yield* source()
          assert.deepInclude(yield* inTime(Effect.flip(token)), { _tag: "StoreFailed", reason: "Full" })
          assert.deepInclude(yield* inTime(Effect.flip(token)), { _tag: "StoreFailed", reason: "Full" })
          store.hooks.before = () => Effect.void
          assert.strictEqual(yield* text, "access-2")
          assert.deepInclude(yield* kept(), {
            generation: 2,
            access: "access-2",
            refresh: "refresh-2",
            spending: null
          })
          assert.lengthOf(sent(), 1)
        }).pipe(Effect.provide(layer))
      }
    )
  })

  it.effect("X-21 a refresh token that was rotated is still there when the exchange after it fails", () => {
    const { layer, sent } = scene(tokens(2), status(500), tokens(3))
    return Effect.gen(function* () {
      yield* due()
      const { renew, token } = yield* source()
      yield* token
      assert.deepInclude(yield* Effect.flip(renew), { _tag: "ProviderUnavailable" })
      assert.deepInclude(yield* kept(), { generation: 2, refresh: "refresh-2", spending: 2 })
      yield* (yield* source()).renew
      assert.deepStrictEqual(
        sent().map(({ form }) => form["refresh_token"]),
        ["refresh-1", "refresh-2", "refresh-2"]
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect.each([
    ["another issuer's", json({ ...metadata, issuer: "https://evil.example" })],
    ["one without an issuer", json({ ...metadata, issuer: undefined })],
    ["one with plain http", json({ ...metadata, token_endpoint: "http://id.example/token" })],
    ["one that points into this machine", json({ ...metadata, token_endpoint: "https://127.0.0.1/token" })],
    ["one without a token endpoint", json({ ...metadata, token_endpoint: undefined })],
    ["one that is a page", answer("<html>", { headers: { "content-type": "text/html" } })],
    ["one that is elsewhere", status(302, { location: "https://evil.example/" })]
  ] as const)("X-17 a discovery document that is not safe sends no refresh and leaves no mark: %s", ([, document]) => {
    const store = observed()
    const { http, layer } = staged(store, { [openIdLocation]: document, [metadata.token_endpoint]: [] })
    return Effect.gen(function* () {
      yield* due()
      const { token } = yield* source()
      assert.notStrictEqual((yield* Effect.flip(token))._tag, "LoginRequired")
      assert.isTrue(http.requests.every(({ body, method }) => method === "GET" && body === ""))
      assert.deepInclude(yield* kept(), { generation: 1, refresh: "refresh-1", spending: null })
    }).pipe(Effect.provide(layer))
  })

  describe("the ID token of a refresh", () => {
    const key = Effect.promise(() => generateKeyPair("ES256"))
    const sign = (privateKey: CryptoKey, claims: Readonly<Record<string, unknown>>) =>
      Effect.promise(() =>
        new SignJWT({ iss: issuer, aud: "app", sub: "alice", iat: 3600, exp: 7200, ...claims })
          .setProtectedHeader({ alg: "ES256" })
          .sign(privateKey)
      )
    const alice = credential(1, { account: Account.make({ sub: "alice", name: "Alice" }) })

    const refresh = Effect.fnUntraced(function* (
      claims: Readonly<Record<string, unknown>>,
      options: { readonly jwks?: Reply; readonly forged?: boolean; readonly different?: object } = {}
    ) {
      const { publicKey, privateKey } = yield* key
      const signer = options.forged === true ? (yield* key).privateKey : privateKey
      const idToken = yield* sign(signer, claims)
      const jwks = options.jwks ?? json({ keys: [yield* Effect.promise(() => exportJWK(publicKey))] })
      const store = observed()
      const { layer, sent } = staged(store, {
        [metadata.token_endpoint]: [tokens(2, { id_token: idToken, ...options.different })],
        [metadata.jwks_uri]: jwks
      })
      const context = yield* Layer.build(layer)
      yield* Effect.provide(due(alice), context)
      const { asks, token } = yield* Effect.provide(source(), context)
      return {
        token: inTime(token),
        again: token,
        asks,
        kept: Effect.provide(kept(), context),
        store,
        sent,
        idToken
      }
    })

    it.effect("about the same person, verified: kept", () =>
      Effect.gen(function* () {
        const { idToken, kept, token } = yield* refresh({})
        assert.strictEqual(yield* textOf(token), "access-2")
        assert.deepInclude(yield* kept, { generation: 2, idToken, sub: "alice", refused: false })
      })
    )

    it.effect("about somebody else: refused before anybody could use it, and for good", () =>
      Effect.gen(function* () {
        const { asks, kept, sent, store, token } = yield* refresh({ sub: "mallory" })
        assert.deepInclude(yield* Effect.flip(token), { _tag: "AnswerRejected", reason: "SubjectMismatch" })
        assert.isTrue(
          store.writes.filter(({ generation }) => generation === 2).every(({ refused }) => refused === true)
        )
        assert.deepInclude(yield* kept, { refused: true })
        for (const ask of asks) assert.strictEqual((yield* Effect.flip(ask))._tag, "LoginRequired")
        assert.lengthOf(sent(), 1)
      })
    )

    it.effect("A-19 one signed by another key: typed, no token, and the refresh token beside it is kept", () =>
      Effect.gen(function* () {
        const { kept, token } = yield* refresh({}, { forged: true })
        assert.deepInclude(yield* Effect.flip(token), { _tag: "TokenRejected", reason: "Signature" })
        assert.deepInclude(yield* kept, { generation: 2, access: "access-1", refresh: "refresh-2", refused: false })
      })
    )

    it.effect.each([
      ["for another client", { aud: "other" }, {}, "Audience"],
      ["from another issuer", { iss: "https://other.example" }, {}, "Issuer"]
    ] as const)("A-19 one %s: typed, no token, and a login is asked for", ([, claims, options, reason]) =>
      Effect.gen(function* () {
        const { again, sent, token } = yield* refresh(claims, options)
        assert.deepInclude(yield* Effect.flip(token), { _tag: "TokenRejected", reason })
        assert.strictEqual((yield* Effect.flip(again))._tag, "LoginRequired")
        assert.lengthOf(sent(), 1)
      })
    )

    const unknown = { jwks: json({ keys: [] }) }
    it.effect.each([
      ["from another issuer, its key unknown", { iss: "https://other.example" }, unknown, "Issuer"],
      ["for another client, its key unknown", { aud: "other" }, unknown, "Audience"],
      ["for several clients, its key unknown", { aud: ["app", "other"] }, unknown, "AuthorizedParty"],
      ["given to another client, its key unknown", { azp: "other" }, unknown, "AuthorizedParty"],
      ["from another issuer, keys out of reach", { iss: "https://other.example" }, { jwks: status(503) }, "Issuer"],
      ["for another client, signed by another key", { aud: "other" }, { forged: true }, "Audience"],
      ["for another client, that has ended by our clock", { aud: "other", exp: 3000 }, {}, "Audience"],
      [
        "for another client, beside a token of no use",
        { aud: "other" },
        { different: { token_type: "mac" } },
        "Audience"
      ]
    ] as const)(
      "one %s: seen without a key, nothing of it is kept, and a login is asked for",
      ([, claims, options, reason]) =>
        Effect.gen(function* () {
          const { again, kept, sent, token } = yield* refresh(claims, options)
          assert.deepInclude(yield* Effect.flip(token), { _tag: "TokenRejected", reason })
          assert.deepInclude(yield* kept, { access: "access-1", refresh: "refresh-1", idToken: null, refused: true })
          assert.strictEqual((yield* Effect.flip(again))._tag, "LoginRequired")
          assert.lengthOf(sent(), 1)
        })
    )

    it.effect.each([
      ["whose client is one of several", { aud: ["app", "other"], azp: "app" }],
      ["that names neither", { iss: undefined, aud: undefined }]
    ] as const)("one %s, its key unknown: no session is lost over it", ([, claims]) =>
      Effect.gen(function* () {
        const { kept, token } = yield* refresh(claims, unknown)
        assert.strictEqual(yield* textOf(token), "access-2")
        assert.deepInclude(yield* kept, { generation: 2, refresh: "refresh-2", idToken: null, refused: false })
      })
    )

    it.effect("of ours, beside a token of no use: the refresh token is kept", () =>
      Effect.gen(function* () {
        const { kept, token } = yield* refresh({}, { different: { token_type: "mac" } })
        assert.deepInclude(yield* Effect.flip(token), { _tag: "AnswerRejected", reason: "Malformed" })
        assert.deepInclude(yield* kept, { generation: 2, access: "access-1", refresh: "refresh-2", refused: false })
      })
    )

    it.effect("X-21 whose keys are out of reach: the rotation is not lost over it, the ID token of before stays", () =>
      Effect.gen(function* () {
        const { kept, token } = yield* refresh({}, { jwks: status(503) })
        assert.strictEqual(yield* textOf(token), "access-2")
        assert.deepInclude(yield* kept, { generation: 2, refresh: "refresh-2", idToken: null, refused: false })
      })
    )

    it.effect.each([
      ["that has ended by our clock", { exp: 3000 }, {}],
      ["that is from the future by our clock", { iat: 9000, exp: 12_000 }, {}],
      ["that is not valid yet by our clock", { nbf: 9000 }, {}],
      ["whose key has just been rotated in", {}, { jwks: json({ keys: [] }) }]
    ] as const)("one %s: what passes ends no session, the ID token of before stays", ([, claims, options]) =>
      Effect.gen(function* () {
        const { kept, token } = yield* refresh(claims, options)
        assert.strictEqual(yield* textOf(token), "access-2")
        assert.deepInclude(yield* kept, { generation: 2, refresh: "refresh-2", idToken: null, refused: false })
      })
    )

    it.effect("is verified after the rotation is safe, and before anybody can use what came with it", () =>
      Effect.gen(function* () {
        let then: object | undefined
        const store: { kept?: Effect.Effect<object | undefined, unknown> } = {}
        const jwks: Reply = (request) =>
          Effect.gen(function* () {
            if (store.kept !== undefined) then = yield* Effect.orDie(store.kept)
            return yield* status(503)(request)
          })
        const scene = yield* refresh({}, { jwks })
        store.kept = scene.kept
        yield* scene.token
        assert.deepInclude(then, { generation: 2, refresh: "refresh-2", access: "access-1" })
      })
    )
  })

  it.effect(
    "X-20 a provider that cannot be discovered in time is not one that may have spent the token: no mark",
    () => {
      const store = observed()
      const { layer, sent } = staged(store, { [openIdLocation]: hanging, [metadata.token_endpoint]: [] })
      return Effect.gen(function* () {
        yield* due()
        const { token } = yield* source()
        assert.deepInclude(yield* inTime(Effect.flip(token)), { _tag: "ProviderUnavailable", endpoint: "discovery" })
        assert.lengthOf(sent(), 0)
        assert.isNull((yield* kept())?.spending)
      }).pipe(Effect.provide(layer))
    }
  )
})
