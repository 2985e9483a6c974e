import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { adviceOf, CredentialStore, DeviceCode, Login, Logout, TokenSource } from "keyfob"
import { AwsRole } from "@keyfob/aws"
import { patiently, SimulatedPerson, SimulatedProvider } from "@keyfob/testing/Provider"
import * as FakeSts from "./FakeSts.ts"

const issuer = "https://id.simulated.test"
const { arn } = FakeSts
const flow = DeviceCode.make({
  issuer,
  clientId: "keyfob-cli",
  scopes: ["openid", "offline_access"],
  profile: { bearer: "id_token" }
})

/** Alice has signed in, and the account trusts the provider for the client's ID tokens. */
const scene = Effect.fnUntraced(function* (role: Partial<AwsRole.Role> = {}) {
  const sts = FakeSts.make({ issuer, audience: "keyfob-cli" })
  const idp = yield* SimulatedProvider
  yield* idp.approve("alice")
  const { token } = yield* patiently(Login.login(flow))
  const source = yield* TokenSource.make(flow)
  const process = Effect.provideService(
    AwsRole.make(source, { arn, ...role }),
    HttpClient.HttpClient,
    sts.before(yield* HttpClient.HttpClient)
  )
  return { ...sts, idp, idToken: Redacted.value(token.value), role: yield* process, process }
})

const world = Layer.mergeAll(SimulatedPerson.layer(), CredentialStore.layerMemory).pipe(
  Layer.provideMerge(SimulatedProvider.layer())
)
const keyOf = (role: TokenSource.TokenSource) =>
  Effect.map(Effect.flatMap(patiently(role.token), AwsRole.credentials), ({ AccessKeyId }) => AccessKeyId)

describe("a role at AWS", () => {
  it.effect("for the provider's token, as documented; kept until a quarter of an hour before its end, for all", () =>
    Effect.gen(function* () {
      const { asked, idToken, process, role } = yield* scene()
      const token = yield* role.token
      assert.deepStrictEqual(asked, [
        {
          Action: "AssumeRoleWithWebIdentity",
          Version: "2011-06-15",
          RoleArn: arn,
          RoleSessionName: "keyfob",
          WebIdentityToken: idToken
        }
      ])
      const { AccessKeyId, Expiration, SecretAccessKey, SessionToken } = yield* AwsRole.credentials(token)
      assert.strictEqual(AccessKeyId, "ASIA1")
      assert.strictEqual(Redacted.value(SecretAccessKey), "canary-secret-1")
      assert.strictEqual(Redacted.value(SessionToken), "canary-session-1")
      assert.strictEqual(Expiration.epochMilliseconds, token.expiresAt?.epochMilliseconds)
      assert.notInclude(JSON.stringify([token, yield* AwsRole.credentials(token)]), "canary")
      yield* TestClock.adjust("40 minutes")
      assert.strictEqual(yield* keyOf(yield* process), "ASIA1")
      yield* TestClock.adjust("6 minutes")
      assert.strictEqual(yield* keyOf(yield* process), "ASIA2")
    }).pipe(Effect.provide(world), Effect.scoped)
  )

  it.effect("another name in the logs is another credential; a logout takes them all", () =>
    Effect.gen(function* () {
      const { asked, before, role } = yield* scene()
      assert.strictEqual(yield* keyOf(role), "ASIA1")
      const source = yield* TokenSource.make(flow)
      const named = yield* Effect.provideService(
        AwsRole.make(source, { arn, sessionName: "alice@laptop" }),
        HttpClient.HttpClient,
        before(yield* HttpClient.HttpClient)
      )
      assert.strictEqual(yield* keyOf(named), "ASIA2")
      assert.strictEqual(asked[1]?.["RoleSessionName"], "alice@laptop")
      yield* Logout.logout(flow)
      assert.strictEqual((yield* Effect.flip(role.token))._tag, "LoginRequired")
      const { list } = yield* CredentialStore
      assert.deepStrictEqual(yield* list, [])
    }).pipe(Effect.provide(world), Effect.scoped)
  )

  it.effect.each([
    ["AccessDenied", 403, "ProviderRefused.AccessDenied", 4],
    ["IDPRejectedClaim", 403, "ProviderRefused.AccessDenied", 4],
    ["InvalidIdentityToken", 400, "ProviderRefused.InvalidTarget", 2],
    ["ValidationError", 400, "ProviderRefused.InvalidRequest", 2],
    ["Throttling", 400, "ProviderUnavailable.RateLimited", 5],
    ["IDPCommunicationError", 400, "ProviderUnavailable.ServerError", 5],
    ["PackedPolicyTooLarge", 400, "ProviderRefused.Other", 4],
    ["not\u001b[31m a code", 400, "ProviderRefused.Other", 4]
  ] as const)("%s, status %i: %s", ([code, status, expected, exitCode]) =>
    Effect.gen(function* () {
      const { asked, next, refused, role } = yield* scene()
      next.push(refused(status, code))
      const error = yield* Effect.flip(patiently(role.token))
      assert.strictEqual(asked.length, 1)
      for (const text of ["canary", "\u001b"]) assert.notInclude(String(error), text)
      assert.deepStrictEqual([`${error._tag}.${error.reason}`, adviceOf(error).exitCode], [expected, exitCode])
    }).pipe(Effect.provide(world), Effect.scoped)
  )

  it.effect("a token that has ended for AWS: the provider's next one, once", () =>
    Effect.gen(function* () {
      const { asked, idp, next, refused, role } = yield* scene()
      next.push(refused(400, "ExpiredTokenException"))
      assert.strictEqual(yield* keyOf(role), "ASIA1")
      assert.notStrictEqual(asked[1]?.["WebIdentityToken"], asked[0]?.["WebIdentityToken"])
      assert.strictEqual(yield* idp.liveRefreshTokens, 1)
      next.push(refused(400, "ExpiredTokenException"), refused(400, "ExpiredTokenException"))
      const error = yield* Effect.flip(patiently(role.renewedSince(yield* role.token)))
      assert.strictEqual(error._tag === "ProviderRefused" && error.reason, "InvalidToken")
      assert.strictEqual(asked.length, 4)
    }).pipe(Effect.provide(world), Effect.scoped)
  )

  it.effect.each([
    {},
    { AssumeRoleWithWebIdentityResponse: null },
    ...[
      { Expiration: 1e300 },
      { Expiration: -1 },
      { Expiration: "soon" },
      { SessionToken: "" },
      { SecretAccessKey: 7 }
    ].map((wrong) => ({
      AssumeRoleWithWebIdentityResponse: {
        AssumeRoleWithWebIdentityResult: {
          Credentials: { AccessKeyId: "A", SecretAccessKey: "B", SessionToken: "C", Expiration: 3600, ...wrong }
        }
      }
    }))
  ])("an answer that is none: %j", (body) =>
    Effect.gen(function* () {
      const { next, role } = yield* scene()
      next.push({ status: 200, body })
      const error = yield* Effect.flip(patiently(role.token))
      assert.strictEqual(error._tag === "AnswerRejected" && error.reason, "Malformed")
    }).pipe(Effect.provide(world), Effect.scoped)
  )

  it.effect("attack: what is no JWT is not shown to AWS, nor is any token to who can be listened to", () =>
    Effect.gen(function* () {
      const { asked, before } = yield* scene()
      const opaque = DeviceCode.make({ issuer, clientId: "keyfob-cli", scopes: ["openid"] })
      yield* patiently(Login.login(opaque))
      const error = yield* Effect.gen(function* () {
        const role = yield* AwsRole.make(yield* TokenSource.make(opaque), { arn })
        return yield* Effect.flip(role.token)
      }).pipe(Effect.provideService(HttpClient.HttpClient, before(yield* HttpClient.HttpClient)))
      assert.strictEqual(error._tag === "ConfigurationInvalid" && error.reason, "NotSupported")
      assert.deepStrictEqual(asked, [])
      const insecure = yield* Effect.flip(scene({ endpoint: "http://sts.amazonaws.com" }))
      assert.strictEqual("reason" in insecure && insecure.reason, "InsecureUrl")
    }).pipe(Effect.provide(world), Effect.scoped)
  )
})
