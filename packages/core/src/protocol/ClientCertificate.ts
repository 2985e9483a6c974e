/** A client's certificate in TLS (RFC 8705): by it a client is known, and to it tokens may be bound. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type * as Redacted from "effect/Redacted"
import * as HttpClient from "effect/http/HttpClient"
import { ConfigurationInvalid } from "../AuthError.ts"

/** A certificate and its key: `Certificate` of `@keyfob/node` reads one. */
export interface ClientCertificate {
  /** PEM: the certificate, then those of the authorities above it, as far as the server needs them. */
  readonly certificate: string
  /** PEM, not encrypted. */
  readonly key: Redacted.Redacted
  /** SHA-256 over the certificate, base64url: what `x5t#S256` of a token that is bound to it says (RFC 8705 section 3.1). */
  readonly thumbprint: string
}

/** A certificate, or where to read it from (once, when the client is made). */
export type CertificateSource = ClientCertificate | Effect.Effect<ClientCertificate, ConfigurationInvalid>

/** The certificate to be presented with a request, should the server ask for one: read by the HTTP client, each time. */
export const Presented = Context.Reference<ClientCertificate | undefined>("keyfob/ClientCertificate/Presented", {
  defaultValue: () => undefined
})

/** Whether the HTTP client at hand heeds {@link Presented}: `HttpTransport` of `@keyfob/node` does, `fetch` cannot. */
export const IsPresentable = Context.Reference<boolean>("keyfob/ClientCertificate/IsPresentable", {
  defaultValue: () => false
})

/** Reads the certificate, if there is one; fails where nobody would present it. */
export const resolve = Effect.fnUntraced(function* (
  source: CertificateSource | undefined
): Effect.fn.Return<ClientCertificate | undefined, ConfigurationInvalid> {
  if (source === undefined) return undefined
  if (!(yield* IsPresentable)) {
    const detail = "client certificates with this HTTP client; HttpTransport of @keyfob/node presents them"
    return yield* new ConfigurationInvalid({ reason: "NotSupported", detail })
  }
  return Effect.isEffect(source) ? yield* source : source
})

/** Whose tokens are judged: what it presents, and whether its tokens have to be bound to that. */
export interface Presenter {
  readonly certificate?: ClientCertificate
  readonly certificateBoundAccessTokens?: boolean
}

/** Whether what is said of a token (its claims, or an introspection's) shows that it is not for our certificate (RFC 8705 section 3). */
export const isMisbound = (
  { certificate, certificateBoundAccessTokens }: Presenter,
  { cnf }: Readonly<Record<string, unknown>>
): boolean => {
  if (certificate === undefined) return false
  const bound = Predicate.hasProperty(cnf, "x5t#S256") ? cnf["x5t#S256"] : undefined
  return bound === undefined ? certificateBoundAccessTokens === true : bound !== certificate.thumbprint
}

/** An HTTP client whose every request is sent with the certificate. */
export const presenting = <E>(
  http: HttpClient.HttpClient.With<E>,
  certificate: ClientCertificate | undefined
): HttpClient.HttpClient.With<E> =>
  certificate === undefined ? http : HttpClient.transform(http, Effect.provideService(Presented, certificate))
