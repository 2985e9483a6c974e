import type { Seen } from "./scenarios.ts"

/** `undefined`: the other one has it. */
type Part = { readonly [K in keyof Seen]?: Seen[K] | undefined }

/** One step where the simulator and `oidc-provider` are seen to answer differently, and why that is right. */
export interface Difference {
  readonly scenario: string
  readonly step: string
  /** What is seen otherwise, and only that; of members, those the other one does not have. */
  readonly ours: Part
  readonly theirs: Part
  readonly because: string
}

const metadata = {
  ours: {
    members: [
      "introspection_endpoint_auth_methods_supported",
      "introspection_endpoint_auth_signing_alg_values_supported",
      "prompt_values_supported",
      "registration_endpoint",
      "revocation_endpoint_auth_methods_supported",
      "revocation_endpoint_auth_signing_alg_values_supported",
      "tls_client_certificate_bound_access_tokens"
    ]
  },
  theirs: { members: [] },
  because:
    "the embedded provider has registration and client certificates switched off; and where RFC 8414 section 2 means client_secret_basic by silence, ours says what it takes; and it takes prompt=create, which is told there"
}

const unauthorized = {
  ours: { error: "unauthorized_client" },
  theirs: { error: "invalid_request" },
  because:
    "RFC 6749 section 5.2 has a code for a client that may not use a grant; oidc-provider uses a more general one"
}

const replayed = (challenge?: string) => ({
  ours: {
    error: "invalid_dpop_proof",
    ...(challenge === undefined ? {} : { challenge: "DPoP invalid_dpop_proof algs" })
  },
  theirs: {
    error: challenge ?? "invalid_grant",
    ...(challenge === undefined ? {} : { challenge: `DPoP ${challenge} algs` })
  },
  because:
    "RFC 9449 section 5 has a code for a proof that is not good; oidc-provider uses more general ones for a used one"
})

const forTheApi = {
  ours: { scope: "openid offline_access api:read" },
  theirs: { scope: "api:read" },
  because: "oidc-provider is told which scopes are an API's, and names those alone; the simulator is not"
}

const scopeMember = (scope: string) => ({
  ours: { members: [], scope: undefined },
  theirs: { members: ["scope"], scope },
  because: "oidc-provider names the missing scope in the body as well; no RFC has that member in an error"
})

export const differences: ReadonlyArray<Difference> = [
  { scenario: "discovery and keys", step: "metadata", ...metadata },
  { scenario: "discovery and keys", step: "RFC 8414 metadata", ...metadata },
  { scenario: "device login", step: "client without this grant", ...unauthorized },
  { scenario: "refresh with rotation and reuse", step: "wider scope", ...scopeMember("api:write") },
  { scenario: "refresh with rotation and reuse", step: "client without this grant", ...unauthorized },
  { scenario: "client authentication", step: "client without this grant", ...unauthorized },
  {
    scenario: "client authentication",
    step: "GET",
    ours: { status: 405 },
    theirs: { status: 404 },
    because: "the path is there, the method is wrong (RFC 9110 section 15.5.6)"
  },
  {
    scenario: "client authentication by a signed JWT",
    step: "not a JWT",
    ours: { status: 401, error: "invalid_client" },
    theirs: { status: 400, error: "invalid_request" },
    because: "RFC 7521 section 4.2.1: an assertion that is not valid is invalid_client, whatever is wrong with it"
  },
  { scenario: "userinfo", step: "without openid", ...scopeMember("openid") },
  {
    scenario: "authorization requests that are wrong",
    step: "unknown request_uri",
    ours: { status: 400, error: undefined, members: [], contentType: undefined },
    theirs: { status: 303, error: "invalid_request_uri", members: ["error", "iss", "state"], contentType: "" },
    because:
      "RFC 9126 section 4: what stands beside a request_uri does not count, so ours knows of nowhere to redirect to"
  },
  {
    scenario: "pushed authorization",
    step: "pushed by reference",
    ours: { error: "invalid_request" },
    theirs: { error: "request_uri_not_supported" },
    because: "RFC 9126 section 2.1: a request_uri must not be pushed; oidc-provider says that it takes none of its own"
  },
  {
    scenario: "DPoP",
    step: "old",
    ours: { error: "invalid_dpop_proof" },
    theirs: { error: "use_dpop_nonce" },
    because: "oidc-provider offers a nonce to whose clock differs; ours has nonces where a test wants them (dpopNonces)"
  },
  { scenario: "DPoP", step: "the same proof again", ...replayed() },
  { scenario: "DPoP", step: "the same proof again at userinfo", ...replayed("invalid_token") },
  { scenario: "tokens for an API", step: "tokens", ...forTheApi },
  { scenario: "tokens for an API", step: "refresh", ...forTheApi }
]
