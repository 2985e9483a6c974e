/**
 * What it costs to ask for a token that is there and fresh, in one process and interleaved, as medians: beside a variable
 * that is read, beside the cache with an expiry that a program would write by hand, and beside what other clients do.
 *
 *     node packages/bench/src/cachedRead.ts [ROUNDS]        after a build; default 30 rounds
 */
import { ConfidentialClientApplication } from "@azure/msal-node"
import { SimulatedProvider } from "@keyfob/testing/Provider"
import { Effect, Layer, Redacted } from "effect"
import { OAuth2Client } from "google-auth-library"
import { ClientAuthentication, ClientCredentials, TokenSource } from "keyfob"

class Api extends TokenSource.Service<Api>()("bench/Api") {}

const flow = ClientCredentials.make({
  issuer: "https://id.simulated.test",
  clientId: "billing-post",
  authentication: ClientAuthentication.secretPost(Redacted.make("post s3cret&+%=/")),
  scopes: ["api:read"]
})

/** One whose network is a few lines: it asks once, and has the token in its cache from then on. */
const msalWith = (token: string) => {
  const answer = async <T>() => ({
    headers: {},
    status: 200,
    body: { token_type: "Bearer", expires_in: 3600, access_token: token } as T // what it asks for is this alone
  })
  const host = "https://login.microsoftonline.com/tenant"
  return new ConfidentialClientApplication({
    auth: {
      clientId: "billing",
      clientSecret: "secret",
      authority: host,
      authorityMetadata: JSON.stringify({
        issuer: `${host}/v2.0`,
        authorization_endpoint: `${host}/oauth2/v2.0/authorize`,
        token_endpoint: `${host}/oauth2/v2.0/token`,
        jwks_uri: `${host}/discovery/v2.0/keys`
      })
    },
    system: { networkClient: { sendGetRequestAsync: answer, sendPostRequestAsync: answer } }
  })
}

const rounds = Number(process.argv[2] ?? 30)
const calls = 2000

const program = Effect.gen(function* () {
  const api = yield* Api
  const fetched = yield* api.token
  const kept = { token: fetched, expiresAt: Date.now() + 3_600_000 }
  const byHand = async () => {
    if (Date.now() < kept.expiresAt - 30_000) return kept.token
    throw new Error("it would be fetched")
  }

  const variable = Effect.sync(() => {
    let seen = 0
    for (let call = 0; call < calls; call++) if (kept.token === fetched) seen++
    return seen
  })
  const asked = Effect.gen(function* () {
    let seen = 0
    for (let call = 0; call < calls; call++) if ((yield* api.token).value === fetched.value) seen++
    return seen
  })
  const succeeded = Effect.gen(function* () {
    let seen = 0
    for (let call = 0; call < calls; call++) if ((yield* Effect.succeed(kept.token)) === fetched) seen++
    return seen
  })
  const hand = Effect.promise(async () => {
    let seen = 0
    for (let call = 0; call < calls; call++) if ((await byHand()) === fetched) seen++
    return seen
  })
  const promised = Effect.promise(async () => {
    let seen = 0
    for (let call = 0; call < calls; call++) if ((await Effect.runPromise(api.token)).value === fetched.value) seen++
    return seen
  })

  const google = new OAuth2Client()
  google.setCredentials({ access_token: "a", refresh_token: "r", expiry_date: Date.now() + 3_600_000 })
  const googles = Effect.promise(async () => {
    let seen = 0
    for (let call = 0; call < calls; call++) if ((await google.getAccessToken()).token === "a") seen++
    return seen
  })
  const msal = msalWith("a")
  const scopes = ["https://api.example.com/.default"]
  const msals = Effect.promise(async () => {
    let seen = 0
    for (let call = 0; call < calls; call++) {
      if ((await msal.acquireTokenByClientCredential({ scopes }))?.accessToken === "a") seen++
    }
    return seen
  })

  const subjects = {
    "a variable": variable,
    "yield* of a value (Effect alone)": succeeded,
    "await of a cache by hand": hand,
    "yield* api.token": asked,
    "await Effect.runPromise(api.token)": promised,
    "google-auth-library: getAccessToken()": googles,
    "@azure/msal-node: acquireTokenByClientCredential()": msals
  }
  const taken = Object.entries(subjects).map(([name, work]) => ({ name, work, times: Array.of<number>() }))
  for (let round = -3; round < rounds; round++) {
    for (const { name, times, work } of taken) {
      const start = performance.now()
      if ((yield* work) !== calls) return yield* Effect.die(new Error(`${name} did not find the token`))
      if (round >= 0) times.push(((performance.now() - start) * 1e6) / calls)
    }
  }
  const medians = taken.map(({ name, times }) => ({
    name,
    nanos: times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? NaN
  }))
  const hands = medians.find(({ name }) => name.endsWith("by hand"))?.nanos ?? NaN
  for (const { name, nanos } of medians) {
    console.log(`${name.padEnd(52)} ${nanos.toFixed(0).padStart(7)} ns   ${(nanos / hands).toFixed(2)}`)
  }
  console.log(`${rounds} rounds of ${calls} calls, medians; the last column is against the cache by hand`)
})

await Effect.runPromise(Effect.provide(program, Api.layer(flow).pipe(Layer.provide(SimulatedProvider.layer()))))
