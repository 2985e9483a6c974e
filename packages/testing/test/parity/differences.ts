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
      "registration_endpoint",
      "revocation_endpoint_auth_methods_supported",
      "revocation_endpoint_auth_signing_alg_values_supported",
      "tls_client_certificate_bound_access_tokens"
    ]
  },
  theirs: { members: [] },
  because:
    "the embedded provider has registration and client certificates switched off; and where RFC 8414 section 2 means client_secret_basic by silence, ours says what it takes"
}

const unauthorized = {
  ours: { error: "unauthorized_client" },
  theirs: { error: "invalid_request" },
  because:
    "RFC 6749 section 5.2 has a code for a client that may not use a grant; oidc-provider uses a more general one"
}

const scopeMember = (scope: string) => ({
  ours: { members: [], scope: undefined },
  theirs: { members: ["scope"], scope },
  because: "oidc-provider names the missing scope in the body as well; no RFC has that member in an error"
})

export const differences: ReadonlyArray<Difference> = [
  { scenario: "discovery and keys", step: "metadata", ...metadata },
  { scenario: "discovery and keys", step: "RFC 8414 metadata", ...metadata },
  { scenario: "device login", step: "another client", ...unauthorized },
  { scenario: "device login", step: "client without this grant", ...unauthorized },
  { scenario: "refresh with rotation and reuse", step: "wider scope", ...scopeMember("api:write") },
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
  }
]
