import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Redacted, Schema } from "effect"
import { AccessToken, Credential, CredentialKey, RefreshPolicy } from "keyfob"
import { credential, person, withoutRefreshToken } from "./given.ts"

const minute = 60_000
const keyOf = (account: string) => CredentialKey.make({ ...person.key, account })

const lasting = (lifetime: number, account = "default", issuedAt = 0) =>
  credential(1, {
    key: keyOf(account),
    issuedAt: DateTime.makeUnsafe(issuedAt),
    token: AccessToken.make({
      value: Redacted.make("access"),
      type: "Bearer",
      expiresAt: DateTime.makeUnsafe(issuedAt + lifetime),
      scopes: []
    })
  })
const endless = credential(1, {
  token: AccessToken.make({ value: Redacted.make("access"), type: "Bearer", scopes: [] })
})
const dueIn = (one: Credential) =>
  (RefreshPolicy.hardPoint(one)?.epochMilliseconds ?? 0) - one.issuedAt.epochMilliseconds

const Lifetime = Schema.Int.check(Schema.isBetween({ minimum: 1000, maximum: 400 * 24 * 60 * minute }))
const Instant = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4_000_000_000_000 }))
const Name = Schema.NonEmptyString

describe("RefreshPolicy", () => {
  it.prop(
    "a token is due before its end and after half its life",
    { Lifetime, Instant, Name },
    ({ Instant, Lifetime, Name }) => {
      const due = dueIn(lasting(Lifetime, Name, Instant))
      assert.isBelow(due, Lifetime)
      assert.isAtLeast(due, Math.floor(Lifetime / 2))
    }
  )

  it.prop(
    "the margin is a tenth of the lifetime and at most a minute, with up to a fifth of it on top",
    { Lifetime, Name },
    ({ Lifetime, Name }) => {
      const margin = Math.min(Lifetime / 10, minute)
      const before = Lifetime - dueIn(lasting(Lifetime, Name))
      assert.isAtLeast(before, margin)
      assert.isAtMost(before, Math.ceil(margin * 1.2) + 1)
    }
  )

  const asking = (margin: number, lifetime: number, name = "default") =>
    Credential.make({ ...lasting(lifetime, name), margin: Duration.millis(margin) })
  const beforeEnd = (one: Credential) =>
    (one.token.expiresAt?.epochMilliseconds ?? 0) - (RefreshPolicy.hardPoint(one)?.epochMilliseconds ?? 0)

  it.prop(
    "a margin that is asked for is kept, up to half of the lifetime, and never makes a token serve longer",
    { Lifetime, Name, Margin: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9_000_000_000 })) },
    ({ Lifetime, Margin, Name }) => {
      const one = asking(Margin, Lifetime, Name)
      const asked = Math.min(Margin, Lifetime / 2)
      const computed = beforeEnd(lasting(Lifetime, Name))
      assert.isAtLeast(beforeEnd(one), Math.max(asked, computed) - 1)
      assert.isAtMost(beforeEnd(one), Math.ceil(Math.max(asked * 1.2, computed)) + 1)
      const [soft, computedSoft] = [one, lasting(Lifetime, Name)].map(
        (it) => RefreshPolicy.softPoint(it)?.epochMilliseconds ?? 0
      )
      const hard = RefreshPolicy.hardPoint(one)?.epochMilliseconds ?? 0
      assert.strictEqual(soft, Math.min(hard, computedSoft ?? 0))
    }
  )

  const margins: ReadonlyArray<readonly [number, number, number, number]> = [
    [300_000, 3_600_000, 300_000, 360_000],
    [300_000, 60_000, 30_000, 36_000],
    [300_000, 600_000, 300_000, 360_000],
    [0, 3_600_000, 60_000, 72_000],
    [Infinity, 3_600_000, 1_800_000, 2_160_000]
  ]
  it.each(margins)(
    "B-11 %d ms asked of a token of %d ms: %d to %d ms before its end",
    (margin, lifetime, least, most) => {
      const found = Array.from({ length: 100 }, (_, n) => beforeEnd(asking(margin, lifetime, `account ${n}`)))
      assert.isAtLeast(Math.min(...found), least)
      assert.isAtMost(Math.max(...found), most + 1)
      assert.isAbove(new Set(found).size, 90)
    }
  )

  it("nor does it end a token early that cannot be renewed, or one that has no end", () => {
    const margin = Duration.minutes(5)
    const last = withoutRefreshToken(asking(300_000, 3_600_000))
    assert.isTrue(RefreshPolicy.isFresh(last, 3_500_000))
    assert.isUndefined(RefreshPolicy.hardPoint(Credential.make({ ...endless, margin })))
  })

  it.prop(
    "the same credential always has the same point, whenever it was issued",
    { Lifetime, Instant, Name },
    ({ Instant, Lifetime, Name }) => {
      assert.strictEqual(dueIn(lasting(Lifetime, Name)), dueIn(lasting(Lifetime, Name)))
      assert.closeTo(dueIn(lasting(Lifetime, Name, Instant)), dueIn(lasting(Lifetime, Name)), 1)
    }
  )

  it("a thousand credentials of one lifetime are not due at one moment", () => {
    const points = Array.from({ length: 1000 }, (_, n) => dueIn(lasting(60 * minute, `account ${n}`)))
    assert.isAbove(new Set(points).size, 900)
    assert.isAbove(Math.max(...points) - Math.min(...points), 11_000)
  })

  it.prop("fresh until it is due, never after", { Lifetime, Name }, ({ Lifetime, Name }) => {
    const one = lasting(Lifetime, Name)
    const due = dueIn(one)
    assert.isTrue(RefreshPolicy.isFresh(one, due - 1))
    assert.isFalse(RefreshPolicy.isFresh(one, due))
    assert.isFalse(RefreshPolicy.isFresh(one, Lifetime))
  })

  it("B-03 a token serves a second before its end; at its end and a second after, it does not", () => {
    const { token } = credential()
    const end = token.expiresAt === undefined ? assert.fail() : DateTime.toEpochMillis(token.expiresAt)
    const serving = [-1000, 0, 1000].map((after) => RefreshPolicy.isServing(credential(), end + after))
    assert.deepStrictEqual(serving, [true, false, false])
  })

  it("X-27 an hour's token with 2 s left is not fresh, with 100 s left it is", () => {
    const one = lasting(60 * minute)
    assert.isFalse(RefreshPolicy.isFresh(one, 60 * minute - 2_000))
    assert.isTrue(RefreshPolicy.isFresh(one, 60 * minute - 100_000))
  })

  it.prop(
    "whoever asks for more validity than there is left does not get it",
    { Lifetime, Name, asked: Lifetime },
    ({ asked, Lifetime, Name }) => {
      const one = lasting(Lifetime, Name)
      const possible = Math.min(asked, Lifetime * 0.9)
      const fresh = (at: number) => RefreshPolicy.isFresh(one, at, Duration.millis(asked))
      assert.isTrue(fresh(0))
      assert.isFalse(fresh(Math.ceil(Lifetime - possible)))
    }
  )

  it.prop(
    "more validity than any token has: content with one in the first tenth of its life",
    { Lifetime },
    ({ Lifetime }) => {
      const one = lasting(Lifetime * 10)
      const fresh = (at: number) => RefreshPolicy.isFresh(one, at, Duration.infinity)
      assert.isTrue(fresh(Lifetime - 1))
      assert.isFalse(fresh(Lifetime + 1))
    }
  )

  it.each([2, 5, 500])("even a lifetime of %i ms is served and ends", (lifetime) => {
    const one = lasting(lifetime)
    assert.isTrue(RefreshPolicy.isFresh(one, 0))
    assert.isFalse(RefreshPolicy.isFresh(one, lifetime))
  })

  it.each([0, -5000])("a lifetime of %i ms is over when it comes", (lifetime) => {
    assert.isFalse(RefreshPolicy.isFresh(lasting(lifetime), 0))
  })

  it("a token without a known end is never due", () => {
    assert.isUndefined(RefreshPolicy.hardPoint(endless))
    assert.isTrue(RefreshPolicy.isFresh(endless, 4_000_000_000_000, Duration.days(1)))
  })

  const softIn = (one: Credential) =>
    (RefreshPolicy.softPoint(one)?.epochMilliseconds ?? 0) - one.issuedAt.epochMilliseconds

  it.prop(
    "B-04 the soft point lies in the last quarter of the life, never past the hard one, which it is under a minute",
    { Lifetime, Name },
    ({ Lifetime, Name }) => {
      const one = lasting(Lifetime, Name)
      assert.isAtMost(softIn(one), dueIn(one))
      if (Lifetime < minute) assert.strictEqual(softIn(one), dueIn(one))
      else assert.isAtLeast(softIn(one), Math.min(Math.floor(Lifetime * 0.75), dueIn(one)))
      assert.isFalse(RefreshPolicy.isDue(one, softIn(one) - 1))
      assert.isTrue(RefreshPolicy.isDue(one, softIn(one)))
    }
  )

  it.prop("refresh_in is the soft point, or a little later, never past the hard one", { Lifetime, Name }, (given) => {
    const hint = Math.floor(given.Lifetime / 2)
    const refreshAt = DateTime.makeUnsafe(hint)
    const one = Credential.make({ ...lasting(given.Lifetime, given.Name), refreshAt })
    assert.isAtLeast(softIn(one), Math.min(hint, dueIn(one)))
    assert.isAtMost(softIn(one), dueIn(one))
  })

  it("a hint of at once is not one exchange after the other", () => {
    const refreshAt = DateTime.makeUnsafe(0)
    assert.isAtLeast(softIn(Credential.make({ ...lasting(60 * minute), refreshAt })), minute)
    assert.isAtLeast(softIn(Credential.make({ ...endless, refreshAt })), minute)
  })

  it("an absolute end of the refresh token hurries no renewal, and is warned of three days ahead at most", () => {
    const day = 24 * 60 * minute
    const absolute = Credential.make({
      ...lasting(60 * minute, "default", 89 * day),
      refreshExpiresAt: DateTime.makeUnsafe(90 * day),
      refreshExpiryFixedSince: DateTime.makeUnsafe(0)
    })
    assert.isAtLeast(softIn(absolute), 45 * minute)
    assert.strictEqual(RefreshPolicy.warningPoint(absolute)?.epochMilliseconds, 87 * day)
  })

  it("what the provider ended is never fresh", () => {
    assert.isFalse(RefreshPolicy.isFresh(credential(1, { refused: true }), 0))
    assert.isFalse(RefreshPolicy.isFresh(Credential.make({ ...endless, refused: true }), 0))
  })

  it.each([
    ["fresh", credential(), 0, "authenticated"],
    ["due, with a refresh token", credential(), 59.5 * minute, "refreshable"],
    ["over, with a refresh token", credential(), 61 * minute, "refreshable"],
    ["due, without one", withoutRefreshToken(credential()), 59.5 * minute, "authenticated"],
    ["over, without one", withoutRefreshToken(credential()), 60 * minute, "login_required"],
    [
      "over, a machine's",
      withoutRefreshToken(credential(1, { key: CredentialKey.make({ ...person.key, subject: "client" }) })),
      61 * minute,
      "refreshable"
    ],
    ["ended by the provider", credential(1, { refused: true }), 0, "login_required"]
  ] as const)("status of a credential that is %s", (_, one, now, status) => {
    assert.strictEqual(RefreshPolicy.statusOf(one, now), status)
  })

  it("a session is kept alive when its token is due, before half of its refresh token's life, once a day at least", () => {
    const day = 24 * 60 * minute
    const at = (one: Credential) => RefreshPolicy.keepAlivePoint(one)?.epochMilliseconds
    const soft = (one: Credential) => RefreshPolicy.softPoint(one)?.epochMilliseconds
    const ending = (refreshLifetime: number, lifetime = 30 * day) =>
      Credential.make({ ...lasting(lifetime), refreshExpiresAt: DateTime.makeUnsafe(refreshLifetime) })
    assert.strictEqual(at(lasting(60 * minute)), soft(lasting(60 * minute)))
    assert.strictEqual(at(lasting(30 * day)), day)
    assert.strictEqual(at(endless), day)
    assert.strictEqual(at(ending(30 * minute)), 15 * minute)
    assert.strictEqual(at(ending(14 * day)), 7 * day)
    assert.strictEqual(at(ending(14 * day, 60 * minute)), soft(lasting(60 * minute)))
    // Use does not put off an end that is fixed.
    const fixed = Credential.make({ ...ending(14 * day), refreshExpiryFixedSince: DateTime.makeUnsafe(0) })
    assert.strictEqual(at(fixed), soft(fixed))
    // Without a refresh token there is nothing to keep alive but the token.
    assert.strictEqual(at(withoutRefreshToken(lasting(30 * day))), soft(withoutRefreshToken(lasting(30 * day))))
    assert.isUndefined(at(withoutRefreshToken(endless)))
  })
})
