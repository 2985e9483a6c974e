import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Runtime, Schema } from "effect"
import {
  adviceOf,
  AnswerRejected,
  type AuthError,
  ConfigurationInvalid,
  LoginFailed,
  LoginRequired,
  printable,
  ProviderRefused,
  ProviderUnavailable,
  StepUpRequired,
  StoreFailed,
  table,
  toJson,
  TokenRejected
} from "keyfob"

const at = { endpoint: "token", host: "id.example" } as const
const who = { issuer: "https://id.example", account: "work" } as const

/** Makes one error of each kind and reason the table knows: the table is the list. */
const all: ReadonlyArray<AuthError> = [
  ...reasonsOf("ConfigurationInvalid").map((reason) => ConfigurationInvalid.make({ reason, detail: "detail" })),
  ...reasonsOf("ProviderUnavailable").map((reason) => ProviderUnavailable.make({ reason, ...at })),
  ...reasonsOf("ProviderRefused").map((reason) => ProviderRefused.make({ reason, ...at })),
  ...reasonsOf("AnswerRejected").map((reason) => AnswerRejected.make({ reason, ...at })),
  ...reasonsOf("TokenRejected").map((reason) => TokenRejected.make({ reason, token: "ID token" })),
  ...reasonsOf("LoginRequired").map((reason) => LoginRequired.make({ reason, ...who })),
  ...reasonsOf("LoginFailed").map((reason) => LoginFailed.make({ reason, issuer: who.issuer })),
  ...reasonsOf("StepUpRequired").map((reason) =>
    StepUpRequired.make({ reason, origin: "https://api.example", scopes: ["write"], acrValues: [] })
  ),
  ...reasonsOf("StoreFailed").map((reason) => StoreFailed.make({ reason, store: "file", location: "/home/a/.keyfob" }))
]

function reasonsOf<Tag extends AuthError["_tag"]>(tag: Tag) {
  return Object.keys(table[tag]) as Array<keyof (typeof table)[Tag]> // the table's keys, which its type states
}

describe("AuthError: the table", () => {
  for (const error of all) {
    it(`R13 ${error._tag}.${error.reason} says what happened, who acts, what to do and how a command ends`, () => {
      const { actor, exitCode, remedy, retry, what } = adviceOf(error)
      assert.include(["retry", "wait", "refresh", "log in", "fix configuration", "give up"], retry)
      assert.include(["nobody", "user", "developer", "administrator", "provider"], actor)
      assert.isAtLeast(remedy.length, 5)
      assert.isTrue(error.message.startsWith(`${what}: `))
      assert.strictEqual(error[Runtime.errorExitCode], exitCode)
    })
  }

  // docs and scripts rely on these: a change here is a change for users
  it("exit codes: 2 settings, 3 sign in, 4 denied, 5 provider, 6 store, 7 trust", () => {
    const codes = new Map<number, Array<string>>()
    for (const error of all) {
      const { exitCode } = adviceOf(error)
      codes.set(exitCode, [...(codes.get(exitCode) ?? []), `${error._tag}.${error.reason}`])
    }
    const only = (code: number, tag: string) => codes.get(code)?.filter((name) => !name.startsWith(tag)) ?? []
    assert.deepStrictEqual(only(6, "StoreFailed"), [])
    assert.deepStrictEqual(
      only(5, "ProviderUnavailable").filter((name) => !name.startsWith("AnswerRejected")),
      []
    )
    assert.deepStrictEqual(codes.get(3), [
      "ProviderRefused.InvalidGrant",
      "ProviderRefused.InvalidToken",
      "ProviderRefused.LoginRequired",
      "ProviderRefused.InteractionRequired",
      "ProviderRefused.ConsentRequired",
      "ProviderRefused.AccountSelectionRequired",
      "LoginRequired.NoCredential",
      "LoginRequired.NotRenewable",
      "LoginRequired.RefreshRefused",
      "LoginRequired.RefreshUnfinished",
      "LoginFailed.Expired",
      "LoginFailed.Unanswered",
      "StepUpRequired.InsufficientScope",
      "StepUpRequired.InsufficientAuthentication"
    ])
    assert.deepStrictEqual(codes.get(4), [
      "ProviderRefused.AccessDenied",
      "ProviderRefused.InsufficientScope",
      "ProviderRefused.UnmetAuthenticationRequirements",
      "ProviderRefused.Other",
      "LoginFailed.Denied"
    ])
    assert.sameMembers(only(7, "TokenRejected"), [
      "AnswerRejected.IssuerMismatch",
      "AnswerRejected.StateMismatch",
      "AnswerRejected.InsecureEndpoint",
      "AnswerRejected.SubjectMismatch",
      "AnswerRejected.CertificateMismatch"
    ])
  })

  it("what passes is tried again, what a person must do is not", () => {
    for (const error of all) {
      const { actor, retry } = adviceOf(error)
      if (retry === "log in") assert.strictEqual(actor, "user", `${error._tag}.${error.reason}`)
      if (error._tag === "ProviderUnavailable") assert.include(["retry", "wait"], retry)
      if (error._tag === "LoginRequired") assert.strictEqual(retry, "log in")
    }
  })
})

describe("AuthError: as a value", () => {
  const limited = ProviderUnavailable.make({
    reason: "RateLimited",
    ...at,
    status: 429,
    retryAfter: Duration.seconds(7)
  })

  it("is one JSON value for a command", () => {
    assert.deepStrictEqual(toJson(limited), {
      tag: "ProviderUnavailable",
      message: "the provider asks for fewer requests: id.example, status 429",
      remedy: "Wait, then try again",
      reason: "RateLimited",
      endpoint: "token",
      retry_after: 7,
      retry: "wait"
    })
    const refused = ProviderRefused.make({ reason: "Other", ...at, code: "no_moon", status: 400 })
    assert.deepInclude(toJson(refused), { code: "no_moon", retry: "give up" })
    assert.notProperty(toJson(LoginRequired.make({ reason: "NoCredential", ...who })), "endpoint")
  })

  it.effect("is caught by its tag, and its reason tells more", () =>
    Effect.gen(function* () {
      const fail = (error: AuthError) => Effect.fail(error)
      const told = yield* fail(limited).pipe(
        Effect.catchTag("ProviderUnavailable", ({ host, reason }) => Effect.succeed(`${reason} ${host}`)),
        Effect.orDie
      )
      assert.strictEqual(told, "RateLimited id.example")
    })
  )

  it.effect("survives the way to another process", () =>
    Effect.gen(function* () {
      for (const error of [limited, LoginRequired.make({ reason: "RefreshRefused", ...who })]) {
        const codec = Schema.toCodecJson(Schema.Union([ProviderUnavailable, LoginRequired]))
        const copy = yield* Schema.decodeEffect(codec)(yield* Schema.encodeEffect(codec)(error))
        assert.deepStrictEqual(toJson(copy), toJson(error))
      }
    })
  )

  it("is printed by Effect with its sentence", () => {
    assert.include(Cause.pretty(Cause.fail(limited)), limited.message)
  })
})

describe("printable", () => {
  for (const [text, shown] of [
    ["plain, with ünïcode €", "plain, with ünïcode €"],
    ["\u001b[31mred\u001b[0m", "[31mred [0m"],
    ["\u001b]0;title\u0007", "]0;title"],
    ["a\r\nb\tc\u0000d\u007f", "a  b c d"],
    ["c1 \u009b31m", "c1  31m"],
    ["\u202egnp.exe", "gnp.exe"],
    ["a\u2066b\u2069\u2028c\u2029", "a b  c"],
    ["  ", ""]
  ] as const) {
    it(`X-18 ${JSON.stringify(text)} is shown as ${JSON.stringify(shown)}`, () => {
      assert.strictEqual(printable(text), shown)
    })
  }

  it("X-18 a long text is cut", () => {
    assert.strictEqual(printable("x".repeat(200)), "x".repeat(200))
    assert.strictEqual(printable("x".repeat(201)), `${"x".repeat(199)}…`)
  })

  it.prop(
    "no text gets a control character through",
    [Schema.String],
    ([text]) => !/\p{Cc}|\p{Bidi_Control}/u.test(printable(text))
  )
})
