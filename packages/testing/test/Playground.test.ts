/** The playground's pages by plain HTTP over a real socket. What a browser makes of them is tested with the command. */
import { NodeHttpClient, NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { createServer } from "node:http"
import * as Playground from "../src/playground/Playground.ts"
import { seenAt } from "../src/playground/switches.ts"
import { clients } from "../src/provider.ts"
import * as Caller from "./Caller.ts"

const layer = Layer.mergeAll(
  NodeHttpClient.layerUndici,
  NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: "1 second" })
)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

/** A playground, with a browser's words for its own pages. */
const start = Effect.gen(function* () {
  const { issuer, page, provider } = yield* Playground.serve()
  const client = yield* HttpClient.HttpClient
  const send = Effect.fnUntraced(function* (request: HttpClientRequest.HttpClientRequest) {
    const response = yield* client.execute(request)
    return { status: response.status, headers: response.headers, text: yield* response.text }
  })
  const at = (path: string) => new URL(path, issuer)
  const get = (path: string, headers: Caller.Form = {}) =>
    send(HttpClientRequest.get(at(path)).pipe(HttpClientRequest.setHeaders(headers)))
  const post = (path: string, form: Caller.Form, headers: Caller.Form = { "sec-fetch-site": "same-origin" }) =>
    send(
      HttpClientRequest.post(at(path)).pipe(
        HttpClientRequest.setHeaders(headers),
        HttpClientRequest.bodyUrlParams(form)
      )
    )
  const cli = { client_id: clients.cli.client_id }
  const token = (form: Caller.Form) => Caller.post(`${issuer}/token`, { ...cli, ...form })
  const device = Effect.map(
    Caller.post(`${issuer}/device_authorization`, { ...cli, scope: "openid offline_access profile" }),
    ({ json }) => ({
      userCode: String(json["user_code"]),
      poll: token({ grant_type: deviceGrant, device_code: String(json["device_code"]) })
    })
  )
  return { issuer, page, provider, get, post, token, device }
})

const test = <E>(name: string, program: Effect.Effect<void, E, Layer.Success<typeof layer> | Scope.Scope>) =>
  it.live(name, () => program.pipe(Effect.scoped, Effect.provide(layer)))

describe("sign-in pages", () => {
  test(
    "a device's code is typed, confirmed and answered once, by whoever says so",
    Effect.gen(function* () {
      const { device, get, post, issuer } = yield* start
      const { poll, userCode } = yield* device
      assert.include((yield* get("/device")).text, "The code your device shows")
      assert.include((yield* get("/device?user_code=NOPE-NOPE")).text, "No device shows this code")
      const asked = yield* get(`/device?user_code=${userCode.toLowerCase().replace("-", "")}`)
      for (const part of [userCode, "Sign in to Keyfob?", "offline_access", "Alice Example"])
        assert.include(asked.text, part)
      const unnamed = yield* post("/device", { user_code: userCode, person: "", decision: "approve" })
      assert.strictEqual(unnamed.status, 400)
      const form = { user_code: userCode, person: "alice", other: " <b>Zoë</b> ", decision: "approve" }
      assert.include((yield* post("/device", form)).text, "Approved")
      assert.include((yield* get(`/device?user_code=${userCode}`)).text, "Answered already")
      const { json } = yield* poll
      const me = yield* Caller.get(`${issuer}/userinfo`, Caller.bearer(json["access_token"]))
      assert.deepStrictEqual(me.json, { sub: "<b>Zoë</b>", name: "<b>Zoë</b>", preferred_username: "<b>Zoë</b>" })
      const page = yield* get("/playground")
      assert.include(page.text, "&#60;b&#62;Zoë")
      assert.notInclude(page.text, "<b>")
    })
  )

  test(
    "consent brings the browser back to the client; a denial does so too",
    Effect.gen(function* () {
      const { get, post, token } = yield* start
      const callback = "http://127.0.0.1:9/callback"
      const verifier = "v".repeat(43)
      const ask = {
        client_id: clients.cli.client_id,
        response_type: "code",
        redirect_uri: callback,
        scope: "openid",
        state: "s",
        // The hash of the verifier (RFC 7636 section 4.2).
        code_challenge: yield* Effect.promise(async () =>
          Buffer.from(await crypto.subtle.digest("SHA-256", Buffer.from(verifier))).toString("base64url")
        ),
        code_challenge_method: "S256"
      }
      const open = Effect.gen(function* () {
        const { headers, status } = yield* get(`/authorize?${new URLSearchParams(ask)}`)
        assert.strictEqual(status, 303)
        return new URL(headers["location"] ?? "").pathname
      })
      const page = yield* open
      const asked = yield* get(page)
      assert.include(asked.text, "Sign in to Keyfob?")
      assert.include(asked.headers["content-security-policy"], "form-action 'self' http://127.0.0.1:9;")
      const allowed = yield* post(page, { person: "bob", other: "", decision: "approve" })
      const back = new URL(allowed.headers["location"] ?? "")
      assert.deepStrictEqual([`${back.origin}${back.pathname}`, back.searchParams.get("state")], [callback, "s"])
      const code = back.searchParams.get("code") ?? ""
      const granted = yield* token({
        grant_type: "authorization_code",
        code,
        redirect_uri: callback,
        code_verifier: verifier
      })
      assert.strictEqual(granted.status, 200, JSON.stringify(granted.json))
      const over = yield* get(page)
      assert.strictEqual(over.status, 400)
      assert.include(over.text, "This sign-in is over")
      const denied = yield* post(yield* open, { person: "bob", decision: "deny" })
      assert.include(denied.headers["location"], "error=access_denied")
      const wrong = yield* get(`/authorize?client_id=nobody&redirect_uri=${encodeURIComponent(callback)}`)
      assert.strictEqual(wrong.status, 400)
      assert.include(wrong.headers["content-security-policy"], "default-src 'none'")
    })
  )
})

describe("the state page", () => {
  test(
    "shows accounts, sign-ins, tokens and requests, and not one secret",
    Effect.gen(function* () {
      const { device, get, post, token } = yield* start
      const { poll, userCode } = yield* device
      assert.include((yield* get("/playground")).text, `/device?user_code=${userCode}`)
      yield* post("/device", { user_code: userCode, person: "alice", decision: "approve" })
      const first = (yield* poll).json
      const second = (yield* token({ grant_type: "refresh_token", refresh_token: String(first["refresh_token"]) })).json
      const { text } = yield* get("/playground")
      for (const part of ["alice", "keyfob-cli", "offline_access", "refresh_token", "device_code", "live", "spent"]) {
        assert.include(text, part)
      }
      for (const json of [first, second]) {
        for (const name of ["access_token", "refresh_token", "id_token"]) assert.notInclude(text, String(json[name]))
      }
      assert.notInclude(text, "s3cret")
      assert.strictEqual((yield* get("/")).headers["location"], "/playground")
      yield* post("/playground", { switch: "forget" })
      assert.include((yield* get("/playground")).text, "None so far")
    })
  )

  test(
    "each switch does what it says",
    Effect.gen(function* () {
      const { device, get, issuer, page, post, provider, token } = yield* start
      const { poll, userCode } = yield* device
      yield* post("/device", { user_code: userCode, person: "alice", decision: "approve" })
      const { json } = yield* poll
      let refreshToken = String(json["refresh_token"])
      const refresh = Effect.gen(function* () {
        const reply = yield* token({ grant_type: "refresh_token", refresh_token: refreshToken })
        if (reply.status === 200) refreshToken = String(reply.json["refresh_token"])
        return reply
      })
      const next = (does: string, more: Caller.Form = {}) =>
        post("/playground", { switch: "token", does, of: "every grant", times: "1", seconds: "1", ...more })
      const trouble = Effect.map(get("/playground"), ({ text }) =>
        [...(/id="trouble"(.*?)<\/section>/s.exec(text)?.[1] ?? "").matchAll(/<li>(.*?)<\/li>/gs)].map(
          ([, line]) => line
        )
      )
      const broken = Effect.map(Effect.flip(refresh), (error) => ("reason" in error ? error.reason._tag : error))

      assert.strictEqual((yield* next("503", { times: "2", of: "refresh_token" })).status, 303)
      assert.deepStrictEqual(yield* trouble, ["the next 2 requests (token, refresh_token): answered 503"])
      assert.strictEqual((yield* refresh).status, 503)
      assert.deepStrictEqual(yield* trouble, ["the next request (token, refresh_token): answered 503"])
      assert.strictEqual((yield* refresh).status, 503)
      assert.strictEqual((yield* refresh).status, 200)
      yield* next("429", { seconds: "7" })
      assert.strictEqual((yield* refresh).headers["retry-after"], "7")
      yield* next("no connection")
      assert.strictEqual(yield* broken, "TransportError")
      yield* next("late")
      assert.strictEqual((yield* refresh).status, 200)
      yield* next("half an answer")
      assert.strictEqual(yield* broken, "DecodeError")
      assert.deepStrictEqual(yield* trouble, [])

      yield* post("/playground", { switch: "outage", as: "unavailable", seconds: "60" })
      assert.strictEqual((yield* get("/jwks")).status, 503)
      yield* post("/playground", { switch: "outage", as: "unreachable", seconds: "60" })
      assert.strictEqual((yield* get("/jwks")).status, 503, "the first one counts")
      yield* post("/playground", { switch: "recover" })
      assert.strictEqual((yield* get("/jwks")).status, 200)
      assert.strictEqual((yield* HttpClient.head(`${issuer}/jwks`)).status, 200)
      yield* post("/playground", { switch: "outage", as: "unreachable", seconds: "60" })
      assert.isTrue((yield* Effect.exit(get("/jwks")))._tag === "Failure")
      assert.strictEqual((yield* get("/playground")).status, 200, "the page outlives it")
      assert.strictEqual((yield* HttpClient.head(page)).status, 200)

      const seconds = (yield* provider.snapshot).now
      for (const offset of ["3600", "-60", "0"]) {
        yield* post("/playground", { switch: "clock", offset })
        const ahead = (Date.parse((yield* provider.snapshot).now) - Date.parse(seconds)) / 1000
        assert.approximately(ahead, Number(offset), 20)
      }
      yield* post("/playground", { switch: "recover" })

      const keys = (yield* provider.snapshot).keys.length
      yield* post("/playground", { switch: "rotate" })
      assert.strictEqual((yield* provider.snapshot).keys.length, keys + 1)
      const other = yield* device
      yield* post("/device", { user_code: other.userCode, person: "bob", decision: "approve" })
      const access = (yield* other.poll).json["access_token"]
      assert.isTrue(yield* provider.accepts(String(access)))
      yield* post("/playground", { switch: "expire" })
      assert.isFalse(yield* provider.accepts(String(access)))
      assert.isAbove(yield* provider.liveRefreshTokens, 0)
      yield* post("/playground", { switch: "revoke" })
      assert.strictEqual(yield* provider.liveRefreshTokens, 0)

      const { headers } = yield* post("/playground", { switch: "rotate" })
      assert.strictEqual(headers["location"], "/playground#keys")
      const { text } = yield* get("/playground")
      for (const id of Object.values(seenAt)) assert.include(text, `id="${id}"`)

      for (const wrong of [{}, { switch: "nothing" }, { switch: "clock", offset: "1e9" }, { switch: "clock" }]) {
        assert.strictEqual((yield* post("/playground", { ...wrong })).status, 400)
      }
    })
  )
})

describe("other web sites", () => {
  test(
    "cannot change anything",
    Effect.gen(function* () {
      const { device, issuer, post, provider } = yield* start
      const { userCode } = yield* device
      const approve = { user_code: userCode, person: "alice", decision: "approve" }
      const foreign: ReadonlyArray<Caller.Form> = [
        { "sec-fetch-site": "cross-site" },
        { "sec-fetch-site": "same-site" },
        { "sec-fetch-site": "none" },
        { "sec-fetch-site": "cross-site", origin: issuer },
        { origin: "https://evil.example" },
        { origin: "null" },
        {}
      ]
      for (const headers of foreign) {
        assert.strictEqual((yield* post("/playground", { switch: "revoke" }, headers)).status, 403)
        assert.strictEqual((yield* post("/device", approve, headers)).status, 403)
        assert.strictEqual((yield* post("/interaction/x", approve, headers)).status, 403)
      }
      assert.deepStrictEqual(
        (yield* provider.requests).map(({ endpoint }) => endpoint),
        ["device_authorization"]
      )
      assert.strictEqual((yield* post("/playground", { switch: "recover" }, { origin: issuer })).status, 303)
    })
  )

  test(
    "are not answered by a name of theirs",
    Effect.gen(function* () {
      const { get, issuer } = yield* start
      const { port } = new URL(issuer)
      for (const host of [`evil.example:${port}`, "127.0.0.1", `127.0.0.1.:${port}`, `localhost:${port}`]) {
        for (const path of ["/playground", "/device", "/.well-known/openid-configuration"]) {
          assert.strictEqual((yield* get(path, { host })).status, 421, host)
        }
      }
    })
  )

  test(
    "cannot frame a page, and a page asks nothing of them",
    Effect.gen(function* () {
      const { get } = yield* start
      for (const path of ["/playground", "/device", "/interaction/x"]) {
        const { headers, text } = yield* get(path)
        const policy = headers["content-security-policy"] ?? ""
        for (const part of ["default-src 'none'", "form-action 'self'", "frame-ancestors 'none'"])
          assert.include(policy, part)
        assert.strictEqual(headers["x-frame-options"], "DENY")
        assert.strictEqual(headers["referrer-policy"], "no-referrer")
        assert.notMatch(text, /<script|\son\w+=|(src|href)="(https?:)?\/\//)
      }
    })
  )
})

test(
  "every colour of words stands out from what is behind it, by day and by night (WCAG 2.2 section 1.4.3)",
  Effect.gen(function* () {
    const { text } = yield* Effect.flatMap(start, ({ get }) => get("/playground"))
    const themes = [...text.matchAll(/:root \{(.*?)\}/gs)].map(([, css = ""]) =>
      Object.fromEntries([...css.matchAll(/--([\w-]+): (#\w+)/g)].map(([, name = "", value = ""]) => [name, value]))
    )
    assert.lengthOf(themes, 2)
    for (const theme of themes) {
      for (const front of ["text", "quiet", "accent", "good", "bad"]) {
        for (const back of ["ground", "card", "code"])
          assert.isAtLeast(contrast(theme[front], theme[back]), 4.5, `${front} on ${back}`)
      }
      assert.isAtLeast(contrast(theme["on-accent"], theme["accent"]), 4.5)
    }
  })
)

const contrast = (one = "", other = "") => {
  const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a)
  return (light + 0.05) / (dark + 0.05)
}

const luminance = (colour: string) => {
  const short = colour.slice(1)
  const hex = short.length === 3 ? [...short].map((digit) => digit + digit).join("") : short
  const [r = 0, g = 0, b = 0] = [0, 2, 4].map((at) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}
