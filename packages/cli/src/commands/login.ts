import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { type Credential, CredentialStore, LoginRequired, printable, RefreshPolicy } from "keyfob"
import { Failure } from "../failure.ts"
import type { LoginRequest } from "../online.ts"
import { answer, event, note } from "../output.ts"
import { type Provider, resolve, withRemedy } from "../provider.ts"
import * as browserFlags from "../browserFlags.ts"
import * as providerFlags from "../providerFlags.ts"
import { remember } from "../remember.ts"
import * as secret from "../secret.ts"
import * as store from "../store.ts"
import { kept } from "../stored.ts"
import * as target from "../target.ts"
import { accountJson, accountText } from "../text/account.ts"
import { iso, relative } from "../text/time.ts"
import { here } from "../here.ts"
import * as workspace from "../workspace.ts"

export const login = Command.make(
  "login",
  {
    provider: target.argument,
    ...providerFlags.flags,
    ...secret.loginFlags,
    ...browserFlags.flags,
    save: Flag.Boolean("save").pipe(
      Flag.withDescription("Remember the provider in config.toml; --no-save does not"),
      Flag.withDefault(true)
    ),
    force: Flag.Boolean("force").pipe(
      Flag.withoutNegation,
      Flag.withDescription("Sign in again although somebody is signed in"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* (flags) {
    const opened = yield* here
    const outside = yield* secret.read(flags, opened.globals)
    const name = Option.getOrUndefined(flags.provider)
    const signIn = Effect.fnUntraced(function* (
      configured: workspace.Configured,
      named: boolean,
      beforehand?: ReturnType<typeof remember>
    ) {
      const provider = yield* resolve(configured, { ...outside, named })
      return yield* signedIn(opened, provider, flags.force, browserFlags.requestOf(flags), beforehand).pipe(
        withRemedy(opened, provider)
      )
    })
    if (!providerFlags.areGiven(flags)) {
      const asked = yield* workspace.providersNamed(opened, name)
      const results = yield* Effect.forEach(asked, (configured) => signIn(configured, asked.length === 1))
      const [first] = results
      return yield* answer(
        opened.globals,
        name !== undefined && first !== undefined ? first.json : results.map(({ json }) => json),
        () => results.map(({ text }) => text).join("\n")
      )
    }
    const configured = yield* described(opened, name, flags)
    const beforehand = flags.save ? remember(opened, configured, configured.said, "check") : undefined
    const { json, text } = yield* signIn(configured, true, beforehand)
    if (flags.save) yield* remember(opened, configured, configured.said)
    yield* answer(opened.globals, json, () => text)
  })
).pipe(Command.withDescription("Sign in; with --issuer and --client-id to a provider that is not configured yet"))

/** The provider the flags describe: a new one, or a configured one that is changed where they say so. */
const described = Effect.fnUntraced(function* (
  { configuration, context }: workspace.Workspace,
  asked: string | undefined,
  flags: providerFlags.Given
) {
  const known = configuration.contexts.get(context)?.providers
  const [only] = known?.size === 1 ? known.keys() : []
  const name = asked ?? (Option.isNone(flags.issuer) ? only : undefined) ?? "default"
  return yield* providerFlags.described({ context, name }, flags, known?.get(name))
})

/** The provider's credential: the one that is there if it still serves, else a new one. */
const signedIn = Effect.fnUntraced(function* (
  opened: workspace.Workspace,
  provider: Provider,
  force: boolean,
  request: LoginRequest,
  beforehand?: ReturnType<typeof remember>
) {
  const { globals } = opened
  const describe = Effect.fnUntraced(function* (credential: Credential, outcome: Outcome, now: number) {
    return answerOf(provider, credential, outcome, now, yield* store.holderOf(opened, provider))
  })
  return yield* Effect.gen(function* () {
    // A damaged credential is no reason not to sign in: the store keeps it aside.
    const stored = yield* Effect.catchIf(
      kept(provider),
      ({ reason }) => reason === "Corrupt",
      () => Effect.succeedNone
    )
    const now = yield* Clock.currentTimeMillis
    if (!force && Option.isSome(stored) && serves(stored.value, now)) {
      yield* note(opened.globals, `already signed in to ${printable(provider.name)}; --force signs in again`)
      return yield* describe(stored.value, "already_signed_in", now)
    }
    if (globals.nonInteractive && provider.attended) {
      const { account, issuer } = provider.key
      return yield* new Failure({
        error: new LoginRequired({ reason: "NoCredential", issuer, account }),
        // Somebody is, or was: what is missing is a person.
        ...(Option.isNone(stored)
          ? {}
          : { sentence: `signing in to ${printable(provider.name)} again takes a person` }),
        remedy: `A person must run this: ${workspace.commandFor(opened, "login", provider)}${force ? " --force" : ""}`
      })
    }
    // Nobody should sign in, and then hear that it cannot be kept, or that no logout will know of it. In the credential's own
    // place, so that a store which cannot be written is told first.
    yield* store.ready(opened, provider)
    if (beforehand !== undefined) yield* CredentialStore.use(({ modify }) => modify(provider.key, () => beforehand))
    const online = yield* Effect.promise(() => import("../online.ts"))
    const credential = yield* online.login(provider, globals, request)
    if (provider.attended) yield* event(opened.globals, { event: "authorized" })
    return yield* describe(credential, "signed_in", yield* Clock.currentTimeMillis)
  }).pipe(Effect.provide(store.layer(opened, provider)))
})

/** Whether a login would bring nothing new. A machine's is as good as its token: another costs nobody anything. */
const serves = (credential: Credential, now: number) => {
  const status = RefreshPolicy.statusOf(credential, now)
  return status === "authenticated" || (status === "refreshable" && credential.key.subject === "user")
}

type Outcome = "signed_in" | "already_signed_in"

const answerOf = (
  provider: Provider,
  { account, key, refreshToken, token }: Credential,
  outcome: Outcome,
  now: number,
  holder: string
) => {
  const who = accountText(account)
  const end = token.expiresAt === undefined ? "" : `, the token ends ${relative(token.expiresAt, now)}`
  const refreshable = refreshToken !== undefined || key.subject === "client"
  return {
    json: {
      context: provider.context,
      provider: provider.name,
      outcome,
      account: accountJson(account),
      scopes: token.scopes,
      expires_at: iso(token.expiresAt),
      refreshable,
      store: holder
    },
    text: `Signed in to ${printable(provider.name)}${who === "" ? "" : ` as ${who}`}${end}${refreshable ? " and is renewed by itself" : ""}.`
  }
}
