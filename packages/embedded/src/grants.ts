/// <reference path="./oidc-provider.d.ts" />
import { createLocalJWKSet, decodeJwt, type JSONWebKeySet, jwtVerify } from "jose"
import { errors, type GrantContext, type Provider } from "oidc-provider"

/** Somebody else whose JWTs are taken as grants (RFC 7523, 2.1). */
export interface TrustedIssuer {
  readonly issuer: string
  readonly jwks: JSONWebKeySet
}

const jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"
const tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
const accessToken = "urn:ietf:params:oauth:token-type:access_token"
const idToken = "urn:ietf:params:oauth:token-type:id_token"

/** Who acts for the subject of a token (RFC 8693, 4.1); the provider asks for it when it makes the token. */
export type Acting = WeakMap<object, string>

/**
 * The grants that `oidc-provider` leaves to whoever embeds it, on its own clients, tokens and errors: those that bring a
 * token on somebody's word. Access tokens are exchanged for access and ID tokens; other types it has no use for.
 */
export const register = (
  provider: Provider,
  { acting, issuer, trusted }: { acting: Acting; issuer: string; trusted: ReadonlyArray<TrustedIssuer> }
) => {
  const issue = async (context: GrantContext, accountId: string, scope: string | undefined, grantId: string) => {
    const { client, params } = context.oidc
    const token = new provider.AccessToken({ accountId, client, grantId, gty: params["grant_type"], scope })
    if (params["actor_token"] !== undefined) acting.set(token, (await subjectOf(params["actor_token"])).sub)
    return {
      access_token: await token.save(),
      token_type: "Bearer",
      expires_in: token.expiration,
      ...(scope === undefined ? {} : { scope })
    }
  }

  /** A token of this provider's, whosever it is; a bad one is `invalid_request` here (RFC 8693, 2.2.2). */
  const subjectOf = async (value = "") => {
    const found = (await provider.AccessToken.find(value)) ?? (await provider.ClientCredentials.find(value))
    const isLive = found?.grantId === undefined || (await provider.Grant.find(found.grantId)) !== undefined
    if (found === undefined || !found.isValid || !isLive) throw new errors.InvalidRequest("the token is not valid")
    return { scopes: (found.scope ?? "").split(" "), sub: found.accountId ?? found.clientId }
  }

  /** A grant of the account's to this client, which is what the provider hangs a token on. */
  const granting = async ({ oidc: { client } }: GrantContext, accountId: string, scope: string | undefined) => {
    const grant = new provider.Grant({ accountId, clientId: client.clientId })
    if (scope !== undefined) grant.addOIDCScope(scope)
    return grant.save()
  }

  const byJwt = async (context: GrantContext) => {
    const { assertion = "", scope } = context.oidc.params
    const sub = await verified(assertion)
    context.body = await issue(context, sub, scope, await granting(context, sub, scope))
  }

  const verified = async (assertion: string) => {
    try {
      const from = trusted.find((one) => one.issuer === decodeJwt(assertion).iss)
      const { payload } = await jwtVerify(assertion, createLocalJWKSet(from?.jwks ?? { keys: [] }), {
        issuer: from?.issuer ?? "",
        audience: [issuer, `${issuer}/token`],
        requiredClaims: ["iss", "sub", "aud", "exp"]
      })
      return payload.sub ?? ""
    } catch {
      throw new errors.InvalidGrant("the assertion does not verify")
    }
  }

  const aboutWhom = async (ctx: GrantContext, sub: string) => {
    const token = new provider.IdToken({ sub }, { ctx })
    token.scope = "openid"
    return token.issue({ use: "idtoken" })
  }

  const byExchange = async (context: GrantContext) => {
    const { actor_token, actor_token_type, requested_token_type, scope, subject_token, subject_token_type } =
      context.oidc.params
    const types = [subject_token_type, actor_token === undefined ? accessToken : actor_token_type]
    if (types.some((type) => type !== accessToken)) {
      throw new errors.InvalidRequest("access tokens alone are exchanged here")
    }
    const subject = await subjectOf(subject_token)
    if (requested_token_type === idToken) {
      context.body = {
        access_token: await aboutWhom(context, subject.sub),
        token_type: "N_A",
        issued_token_type: idToken
      }
      return
    }
    if (requested_token_type !== undefined && requested_token_type !== accessToken) {
      throw new errors.InvalidRequest("for access and ID tokens alone")
    }
    const wanted = scope ?? subject.scopes.join(" ")
    if (!wanted.split(" ").every((one) => subject.scopes.includes(one)))
      throw new errors.InvalidScope("not among its own", wanted)
    const grantId = await granting(context, subject.sub, wanted)
    context.body = { ...(await issue(context, subject.sub, wanted, grantId)), issued_token_type: accessToken }
  }

  provider.registerGrantType(jwtBearer, byJwt, ["assertion", "scope"])
  provider.registerGrantType(tokenExchange, byExchange, [
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "requested_token_type",
    "scope"
  ])
}
