/**
 * Every way authentication can fail, as tagged errors with a `reason`.
 *
 * What follows from a reason (who has to act, whether trying again helps, what to do, which exit code a command
 * ends with) is data in one table at the end of this file: {@link adviceOf} reads it.
 *
 * No error holds a token, a secret, a code or a response body. Texts that come from outside are cut and stripped of
 * control characters by {@link printable} before they get here.
 */
import * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"

/** The endpoint or document that was being talked to. */
export const Endpoint = Schema.Literals([
  "assertion",
  "discovery",
  "jwks",
  "authorization",
  "pushed_authorization_request",
  "token",
  "device_authorization",
  "userinfo",
  "introspection",
  "revocation",
  "end_session",
  "login"
])
export type Endpoint = typeof Endpoint.Type

/** Something the caller wrote is missing or wrong. `detail` names it. */
export class ConfigurationInvalid extends Schema.TaggedError<ConfigurationInvalid>("keyfob/ConfigurationInvalid")(
  "ConfigurationInvalid",
  {
    reason: Schema.Literals([
      "InvalidIssuer",
      "InsecureUrl",
      "InvalidValue",
      "MissingValue",
      "Unreadable",
      "UnknownName",
      "NotSupported"
    ]),
    detail: Schema.String
  }
) {
  override get message(): string {
    return sentence(this, this.detail)
  }
  override get [Runtime.errorExitCode](): number {
    return adviceOf(this).exitCode
  }
}

/** The provider could not be reached or did not serve the request. Nothing is lost; trying later may help. */
export class ProviderUnavailable extends Schema.TaggedError<ProviderUnavailable>("keyfob/ProviderUnavailable")(
  "ProviderUnavailable",
  {
    /** `Unreachable`: the request was certainly not processed. `AnswerLost`: it may have been. */
    reason: Schema.Literals(["Unreachable", "TimedOut", "AnswerLost", "RateLimited", "ServerError"]),
    endpoint: Endpoint,
    host: Schema.String,
    status: Schema.optionalKey(Schema.Int),
    /** What the provider asked us to wait (`Retry-After`). */
    retryAfter: Schema.optionalKey(Schema.Duration),
    /** The operating system's word for it: `ECONNREFUSED`, `ENOTFOUND`, … */
    detail: Schema.optionalKey(Schema.String)
  }
) {
  override get message(): string {
    return sentence(
      this,
      `${this.host}${this.status === undefined ? "" : `, status ${this.status}`}${inBrackets(this.detail)}`
    )
  }
  override get [Runtime.errorExitCode](): number {
    return adviceOf(this).exitCode
  }
}

/**
 * The provider understood the request and said no: an OAuth error answer (RFC 6749 sections 4.1.2.1 and 5.2, RFC 6750
 * section 3.1, OpenID Connect Core section 3.1.2.6), or the handshake of TLS for the client's certificate.
 */
export class ProviderRefused extends Schema.TaggedError<ProviderRefused>("keyfob/ProviderRefused")("ProviderRefused", {
  reason: Schema.Literals([
    "InvalidClient",
    "InvalidCertificate",
    "UnauthorizedClient",
    "InvalidGrant",
    "InvalidScope",
    "InvalidTarget",
    "InvalidRequest",
    "UnsupportedGrantType",
    "AccessDenied",
    "InvalidToken",
    "InsufficientScope",
    "LoginRequired",
    "InteractionRequired",
    "ConsentRequired",
    "AccountSelectionRequired",
    "UnmetAuthenticationRequirements",
    "InvalidProof",
    "Other"
  ]),
  endpoint: Endpoint,
  host: Schema.String,
  /** The RFC's error code as it was sent, where one was; of a refused certificate, the alert's name (RFC 8446 section 6.2). */
  code: Schema.optionalKey(Schema.String),
  status: Schema.optionalKey(Schema.Int)
}) {
  override get message(): string {
    return sentence(
      this,
      `${this.host}${inBrackets(this.code ?? (this.status === undefined ? undefined : `status ${this.status}`))}`
    )
  }
  override get [Runtime.errorExitCode](): number {
    return adviceOf(this).exitCode
  }
}

/** The provider answered, but not with what the RFC asks for, or with something that must not be trusted. */
export class AnswerRejected extends Schema.TaggedError<AnswerRejected>("keyfob/AnswerRejected")("AnswerRejected", {
  reason: Schema.Literals([
    "NotJson",
    "Truncated",
    "TooLarge",
    "Malformed",
    "Redirected",
    "IssuerMismatch",
    "StateMismatch",
    "InsecureEndpoint",
    "SubjectMismatch",
    "CertificateMismatch"
  ]),
  endpoint: Endpoint,
  host: Schema.String,
  detail: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    return sentence(
      this,
      `${this.endpoint} answer of ${this.host}${this.detail === undefined ? "" : `: ${this.detail}`}`
    )
  }
  override get [Runtime.errorExitCode](): number {
    return adviceOf(this).exitCode
  }
}

/** A JWT failed verification (RFC 7519, RFC 8725, OpenID Connect Core section 3.1.3.7). */
export class TokenRejected extends Schema.TaggedError<TokenRejected>("keyfob/TokenRejected")("TokenRejected", {
  reason: Schema.Literals([
    "Malformed",
    "Algorithm",
    "UnknownKey",
    "Signature",
    "MissingClaim",
    "Issuer",
    "Audience",
    "AuthorizedParty",
    "Expired",
    "NotYetValid",
    "IssuedInFuture",
    "Nonce",
    "AccessTokenHash",
    "Inactive",
    "AuthenticationTime",
    "AuthenticationContext"
  ]),
  token: Schema.Literals(["ID token", "token"]),
  detail: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    return sentence(this, `the ${this.token}${inBrackets(this.detail)}`)
  }
  override get [Runtime.errorExitCode](): number {
    return adviceOf(this).exitCode
  }
}

/** There is no credential that could give a token without a person. Nothing in Keyfob opens a browser on this. */
export class LoginRequired extends Schema.TaggedError<LoginRequired>("keyfob/LoginRequired")("LoginRequired", {
  reason: Schema.Literals(["NoCredential", "NotRenewable", "RefreshRefused", "RefreshUnfinished"]),
  issuer: Schema.String,
  account: Schema.String
}) {
  override get message(): string {
    return sentence(this, `${this.account} at ${this.issuer}`)
  }
  override get [Runtime.errorExitCode](): number {
    return adviceOf(this).exitCode
  }
}

/** A login that was under way ended without a credential. */
export class LoginFailed extends Schema.TaggedError<LoginFailed>("keyfob/LoginFailed")("LoginFailed", {
  reason: Schema.Literals(["Denied", "Expired", "NoRedirect", "Unanswered"]),
  issuer: Schema.String
}) {
  override get message(): string {
    return sentence(this, this.issuer)
  }
  override get [Runtime.errorExitCode](): number {
    return adviceOf(this).exitCode
  }
}

/**
 * An API takes the token for what it is, and wants more than it shows: other scopes (RFC 6750 section 3.1), or a stronger
 * or more recent sign-in (RFC 9470). What it wants is data for a login, to be looked at before a person is asked: no refresh
 * can bring it.
 */
export class StepUpRequired extends Schema.TaggedError<StepUpRequired>("keyfob/StepUpRequired")("StepUpRequired", {
  reason: Schema.Literals(["InsufficientScope", "InsufficientAuthentication"]),
  /** Whose API it is. */
  origin: Schema.String,
  /** The scopes the request needs; none where it does not say. */
  scopes: Schema.Array(Schema.String),
  /** Authentication context classes that would do, best first (OpenID Connect Core section 3.1.2.1). */
  acrValues: Schema.Array(Schema.String),
  /** How long ago the person may have signed in at most. */
  maxAge: Schema.optionalKey(Schema.Duration)
}) {
  /** The sign-in it wants, as options of `AuthorizationCode` (RFC 9470 section 4). */
  get authentication(): { readonly acrValues?: ReadonlyArray<string>; readonly maxAge?: Duration.Duration } {
    return {
      ...(this.acrValues.length === 0 ? {} : { acrValues: this.acrValues }),
      ...(this.maxAge === undefined ? {} : { maxAge: this.maxAge })
    }
  }
  override get message(): string {
    const wanted = [
      ...this.scopes,
      ...this.acrValues,
      ...(this.maxAge === undefined ? [] : [`within ${Duration.format(this.maxAge)}`])
    ]
    return sentence(this, `${this.origin}${inBrackets(wanted.length === 0 ? undefined : wanted.join(", "))}`)
  }
  override get [Runtime.errorExitCode](): number {
    return adviceOf(this).exitCode
  }
}

/** The place where credentials are kept failed. `location` is a path or a name, never a content. */
export class StoreFailed extends Schema.TaggedError<StoreFailed>("keyfob/StoreFailed")("StoreFailed", {
  /** `Unavailable`: the service that keeps it does not answer. `Locked`: it cannot be opened with the key at hand. */
  reason: Schema.Literals([
    "Unreadable",
    "Corrupt",
    "ReadOnly",
    "Full",
    "Busy",
    "WriteFailed",
    "Unavailable",
    "Locked"
  ]),
  store: Schema.String,
  location: Schema.String,
  detail: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    return sentence(this, `${this.location}${inBrackets(this.detail)}`)
  }
  override get [Runtime.errorExitCode](): number {
    return adviceOf(this).exitCode
  }
}

/** Everything that can fail in Keyfob. Public signatures name the smaller union that applies. */
export type AuthError =
  | ConfigurationInvalid
  | ProviderUnavailable
  | ProviderRefused
  | AnswerRejected
  | TokenRejected
  | LoginRequired
  | LoginFailed
  | StepUpRequired
  | StoreFailed

/** What talking to a provider can fail with. */
export type ProviderError = ProviderUnavailable | ProviderRefused | AnswerRejected

/** Whether trying again helps, and after what. */
export type Retry = "retry" | "wait" | "refresh" | "log in" | "fix configuration" | "give up"

/** Who has to do something about it. */
export type Actor = "nobody" | "user" | "developer" | "administrator" | "provider"

export interface Advice {
  readonly retry: Retry
  readonly actor: Actor
  /** The exit code of a command that ends with this error. */
  readonly exitCode: 2 | 3 | 4 | 5 | 6 | 7
  /** What happened, for a person. */
  readonly what: string
  /** What to do about it, for a person. */
  readonly remedy: string
}

const advice = (exitCode: Advice["exitCode"], retry: Retry, actor: Actor, what: string, remedy: string): Advice => ({
  exitCode,
  retry,
  actor,
  what,
  remedy
})

type Table = { readonly [E in AuthError as E["_tag"]]: { readonly [R in E["reason"]]: Advice } }

const signInAgain = "Sign in again: keyfob login"
const tellProvider = "Try again later; if it stays, tell the provider's administrator"

/** The one table: error and reason → what follows from it. */
export const table: Table = {
  ConfigurationInvalid: {
    InvalidIssuer: advice(
      2,
      "fix configuration",
      "developer",
      "the issuer is not a usable URL",
      "Give the issuer exactly as the provider states it, for example https://login.example.com"
    ),
    InsecureUrl: advice(
      2,
      "fix configuration",
      "developer",
      "the URL is not https",
      "Use https; plain http is accepted on loopback addresses alone"
    ),
    InvalidValue: advice(
      2,
      "fix configuration",
      "user",
      "a setting has a wrong value",
      "Correct it; keyfob --help and config.toml name what is accepted"
    ),
    MissingValue: advice(
      2,
      "fix configuration",
      "user",
      "a needed setting is missing",
      "Add it to config.toml, the environment or the command line"
    ),
    Unreadable: advice(
      2,
      "fix configuration",
      "user",
      "a file is out of reach",
      "Check its path, its owner and mode, and those of its folder"
    ),
    UnknownName: advice(
      2,
      "fix configuration",
      "user",
      "no such name",
      "Use a name that is there; keyfob context list shows contexts and their providers"
    ),
    NotSupported: advice(
      2,
      "fix configuration",
      "developer",
      "what is asked for is not on offer",
      "Leave it out, or choose what is on offer: a provider's metadata lists its flows and client authentication"
    )
  },
  ProviderUnavailable: {
    Unreachable: advice(
      5,
      "retry",
      "nobody",
      "the provider cannot be reached",
      "Check the network, the proxy and the issuer's spelling, then try again"
    ),
    TimedOut: advice(5, "retry", "nobody", "the provider did not answer in time", "Try again"),
    AnswerLost: advice(5, "retry", "nobody", "the connection broke before the answer was complete", "Try again"),
    RateLimited: advice(5, "wait", "nobody", "the provider asks for fewer requests", "Wait, then try again"),
    ServerError: advice(5, "retry", "provider", "the provider has trouble", tellProvider)
  },
  ProviderRefused: {
    InvalidClient: advice(
      2,
      "fix configuration",
      "developer",
      "the provider does not accept the client",
      "Check client id, client secret or key, and the client authentication method"
    ),
    InvalidCertificate: advice(
      2,
      "fix configuration",
      "developer",
      "the provider does not accept the client's certificate",
      "Check that it is the registered one and has not ended, or configure one: cert_file and key_file"
    ),
    UnauthorizedClient: advice(
      2,
      "fix configuration",
      "administrator",
      "the client may not use this grant",
      "Have the provider's administrator allow it, or choose another flow"
    ),
    InvalidGrant: advice(3, "log in", "user", "the provider does not accept the grant any more", signInAgain),
    InvalidScope: advice(
      2,
      "fix configuration",
      "developer",
      "the provider does not accept the scopes",
      "Correct the scopes"
    ),
    InvalidTarget: advice(
      2,
      "fix configuration",
      "developer",
      "the provider does not accept the audience or resource",
      "Correct audience or resource"
    ),
    InvalidRequest: advice(
      2,
      "fix configuration",
      "developer",
      "the provider does not accept the request",
      "Check the configured flow and parameters against the provider's documentation"
    ),
    UnsupportedGrantType: advice(
      2,
      "fix configuration",
      "developer",
      "the provider does not offer this grant",
      "Choose another flow"
    ),
    AccessDenied: advice(
      4,
      "give up",
      "administrator",
      "the provider denies access",
      "Ask the provider's administrator for access"
    ),
    InvalidToken: advice(
      3,
      "refresh",
      "nobody",
      "the provider does not accept the token",
      "Renew it: keyfob refresh --force, or sign in again: keyfob login"
    ),
    InsufficientScope: advice(
      4,
      "log in",
      "user",
      "the token does not cover this",
      "Sign in again with the scopes it needs"
    ),
    LoginRequired: advice(
      3,
      "log in",
      "user",
      "nobody is signed in at the provider",
      "Sign in without asking for prompt=none"
    ),
    InteractionRequired: advice(
      3,
      "log in",
      "user",
      "the provider must ask the person something",
      "Sign in without asking for prompt=none"
    ),
    ConsentRequired: advice(
      3,
      "log in",
      "user",
      "the person has not agreed to this yet",
      "Sign in without asking for prompt=none"
    ),
    AccountSelectionRequired: advice(
      3,
      "log in",
      "user",
      "the person must say which account is meant",
      "Sign in without asking for prompt=none, or name the account as a login hint"
    ),
    UnmetAuthenticationRequirements: advice(
      4,
      "log in",
      "user",
      "the person cannot sign in as strongly as was asked",
      "Sign in with the factors that are asked for, or ask for fewer"
    ),
    InvalidProof: advice(
      2,
      "retry",
      "user",
      "the provider does not accept the proof of the token's key",
      "Check this machine's clock, then try again"
    ),
    Other: advice(
      4,
      "give up",
      "administrator",
      "the provider refused",
      "Ask the provider's administrator what the code means"
    )
  },
  AnswerRejected: {
    NotJson: advice(
      5,
      "retry",
      "provider",
      "the answer is not JSON",
      "Check the issuer, and whether a proxy or sign-in page of the network stands between"
    ),
    Truncated: advice(5, "retry", "nobody", "the answer is cut off or not valid JSON", "Try again"),
    TooLarge: advice(5, "give up", "provider", "the answer is larger than 512 KiB", tellProvider),
    Malformed: advice(5, "give up", "provider", "the answer is not what the RFC asks for", tellProvider),
    Redirected: advice(
      5,
      "fix configuration",
      "developer",
      "the answer is a redirect, which is never followed with credentials",
      "Use the final URL of the issuer"
    ),
    IssuerMismatch: advice(
      7,
      "fix configuration",
      "developer",
      "it states another issuer",
      "Give the issuer exactly as the provider states it"
    ),
    StateMismatch: advice(
      7,
      "log in",
      "user",
      "the answer does not belong to this login",
      "Do not use it; sign in again: keyfob login"
    ),
    InsecureEndpoint: advice(
      7,
      "give up",
      "provider",
      "the document names an endpoint that must not be used",
      "Tell the provider's administrator; do not sign in"
    ),
    SubjectMismatch: advice(
      7,
      "give up",
      "provider",
      "the answer is about somebody else",
      "Do not use it; sign in again: keyfob login"
    ),
    CertificateMismatch: advice(
      7,
      "give up",
      "provider",
      "the token is not bound to the client's certificate",
      "Check which certificate arrives at the provider (a proxy may present its own), and that the client is registered for bound tokens"
    )
  },
  TokenRejected: {
    Malformed: advice(
      7,
      "give up",
      "provider",
      "not a well-formed signed JWT",
      "Use a JWT (opaque tokens cannot be verified here)"
    ),
    Algorithm: advice(
      7,
      "give up",
      "provider",
      "its signature algorithm is not accepted",
      "Only asymmetric algorithms that were allowed are accepted"
    ),
    UnknownKey: advice(
      7,
      "retry",
      "provider",
      "its key is not among the provider's keys",
      "Check the issuer; after a key rotation try again in a minute"
    ),
    Signature: advice(7, "give up", "provider", "its signature does not verify", "Do not use it"),
    MissingClaim: advice(7, "give up", "provider", "a required claim is missing or has a wrong type", "Do not use it"),
    Issuer: advice(7, "give up", "developer", "it was issued by somebody else", "Check the issuer"),
    Audience: advice(7, "give up", "developer", "it is for another audience", "Check audience or client id"),
    AuthorizedParty: advice(7, "give up", "developer", "it was issued to another client", "Check the client id"),
    Expired: advice(7, "refresh", "nobody", "it has expired", "Renew it; if it is new, check this machine's clock"),
    NotYetValid: advice(7, "wait", "nobody", "it is not valid yet", "Check this machine's clock"),
    IssuedInFuture: advice(7, "wait", "nobody", "it was issued in the future", "Check this machine's clock"),
    Nonce: advice(7, "log in", "user", "its nonce is not the one that was sent", signInAgain),
    AccessTokenHash: advice(7, "log in", "user", "it does not belong to the access token it came with", signInAgain),
    Inactive: advice(
      7,
      "refresh",
      "user",
      "the provider says it is not active: it was revoked, has ended, or is not this client's",
      "Renew it: keyfob refresh"
    ),
    AuthenticationTime: advice(7, "log in", "user", "the person signed in longer ago than was asked", signInAgain),
    AuthenticationContext: advice(
      7,
      "log in",
      "user",
      "the person did not sign in as strongly as was asked",
      "Sign in with the factors that are asked for, or ask for others"
    )
  },
  LoginRequired: {
    NoCredential: advice(3, "log in", "user", "nobody is signed in", "Sign in: keyfob login"),
    NotRenewable: advice(3, "log in", "user", "the token has expired and cannot be renewed", signInAgain),
    RefreshRefused: advice(3, "log in", "user", "the provider ended the session", signInAgain),
    RefreshUnfinished: advice(
      3,
      "log in",
      "user",
      "the last refresh did not finish and its result is lost",
      signInAgain
    )
  },
  LoginFailed: {
    Denied: advice(
      4,
      "give up",
      "user",
      "the login was denied",
      "Try again and approve, or ask the provider's administrator"
    ),
    Expired: advice(3, "log in", "user", "the login was not completed in time", signInAgain),
    NoRedirect: advice(
      2,
      "fix configuration",
      "user",
      "no port of this machine could be opened for the provider's answer",
      "Choose another port, or sign in with a device code: keyfob login --flow device"
    ),
    Unanswered: advice(
      3,
      "log in",
      "user",
      "nobody answered the last logins, so nobody is asked again",
      "Sign in yourself: keyfob login"
    )
  },
  StepUpRequired: {
    InsufficientScope: advice(
      3,
      "log in",
      "user",
      "the API wants other scopes",
      "Sign in again with the scopes it names"
    ),
    InsufficientAuthentication: advice(
      3,
      "log in",
      "user",
      "the API wants a stronger or more recent sign-in",
      "Sign in again with what it names"
    )
  },
  StoreFailed: {
    Unreadable: advice(6, "give up", "user", "the credential cannot be read", "Check the owner and mode of the file"),
    Corrupt: advice(
      6,
      "log in",
      "user",
      "the stored credential is damaged and was left as it is",
      "Look at the file, move it away, then sign in again: keyfob login"
    ),
    ReadOnly: advice(
      6,
      "give up",
      "user",
      "the credential store cannot be written",
      "Make the folder writable, or set KEYFOB_HOME to one that is"
    ),
    Full: advice(6, "give up", "user", "there is no space left for the credential", "Free some space, then try again"),
    Busy: advice(6, "retry", "nobody", "another process holds the credential", "Try again"),
    WriteFailed: advice(6, "retry", "user", "the credential could not be written", "Check the folder, then try again"),
    Unavailable: advice(
      6,
      "retry",
      "administrator",
      "the credential store does not answer",
      "Check that its service runs and where it is configured, then try again"
    ),
    Locked: advice(
      6,
      "fix configuration",
      "user",
      "the credential store cannot be unlocked, and was left as it is",
      "Unlock the keychain, or give the key or passphrase the credentials were written with"
    )
  }
}

/** What follows from an error: retry class, who acts, remedy, exit code. */
export const adviceOf = (error: AuthError): Advice => {
  // The table's type pairs each tag with its own reasons; a union of pairs is beyond what an index can state.
  const rows: Readonly<Record<string, Advice>> = table[error._tag]
  return rows[error.reason] as Advice
}

/** Whether it may pass by itself: trying again, at once or later, is all there is to do (law 2). */
export const isTransient = (error: AuthError): boolean => {
  const { retry } = adviceOf(error)
  return retry === "retry" || retry === "wait"
}

/** Whether a value is one of these errors. */
export const isAuthError = (value: unknown): value is AuthError =>
  Predicate.hasProperty(value, "_tag") && Predicate.isString(value._tag) && Object.hasOwn(table, value._tag)

const sentence = (error: AuthError, about: string) => `${adviceOf(error).what}: ${about}`

const inBrackets = (text: string | undefined) => (text === undefined ? "" : ` (${text})`)

/** A text from outside, safe to show: no control characters (terminal escapes), at most 200 characters. */
export const printable = (text: string): string => {
  // oxlint-disable-next-line no-control-regex -- control characters are what it removes
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, " ").trim()
  return clean.length > 200 ? `${clean.slice(0, 199)}…` : clean
}

/** The error as one JSON value, as the command prints it (`cli.md`: tag, message, remedy, code, endpoint, retry). */
export const toJson = (error: AuthError) => {
  const { remedy, retry } = adviceOf(error)
  return {
    tag: error._tag,
    message: error.message,
    remedy,
    reason: error.reason,
    ...("code" in error && error.code !== undefined ? { code: error.code } : {}),
    ...("endpoint" in error ? { endpoint: error.endpoint } : {}),
    ...("retryAfter" in error && error.retryAfter !== undefined
      ? { retry_after: Duration.toSeconds(error.retryAfter) }
      : {}),
    retry
  }
}
