/** Other tools' protocols, by those tools themselves where they are here. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { clients, EmbeddedProvider, Person } from "@keyfob/embedded"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { join } from "node:path"
import * as FakeSts from "../../aws/test/FakeSts.ts"
import { configured } from "./configured.ts"
import * as Keyfob from "./Keyfob.ts"

const bin = join(import.meta.dirname, "../dist/keyfob.js")

const scene = Effect.gen(function* () {
  const { home, keyfob } = yield* configured('[contexts.work.providers.git]\ntype = "static"\n')
  const jwt = `e30.${Buffer.from(JSON.stringify({ exp: 4_000_000_000 })).toString("base64url")}.x`
  assert.strictEqual((yield* keyfob("login git", { KEYFOB_TOKEN: jwt })).exitCode, 0)
  return { home, jwt, keyfob }
})

it.live(
  "git asks its helper, and tells the host that it was set up for, and no other",
  () =>
    Effect.gen(function* () {
      const { home, jwt } = yield* scene
      const helper = `!${process.execPath} ${bin} credential git --host git.example`
      const fill = (description: string) =>
        Effect.promise(
          () =>
            new Promise<string>((resolve) => {
              const env = {
                PATH: process.env["PATH"],
                HOME: home,
                KEYFOB_HOME: home,
                GIT_CONFIG_NOSYSTEM: "1",
                GIT_TERMINAL_PROMPT: "0"
              }
              const args = ["-c", `credential.helper=${helper}`, "credential", "fill"]
              const child = execFile("git", args, { env, cwd: home }, (_, stdout) => resolve(stdout))
              child.stdin?.end(`${description}\n\n`)
            })
        )
      const told = yield* fill("protocol=https\nhost=git.example")
      assert.include(told, `username=oauth2\npassword=${jwt}\n`)
      assert.notInclude(yield* fill("protocol=https\nhost=evil.example"), jwt)
      assert.notInclude(yield* fill("protocol=http\nhost=git.example"), jwt)
    }).pipe(Effect.scoped),
  240_000
)

it.live("git: the end of the token; erase, what is not known and a host that was written into another are quiet", () =>
  Effect.gen(function* () {
    const { jwt, keyfob } = yield* scene
    const asked = "protocol=https\nhost=git.example:8443\n"
    const get = yield* keyfob("credential git --host git.example:8443 --username x get", {}, asked)
    assert.strictEqual(get.stdout, `username=x\npassword=${jwt}\npassword_expiry_utc=4000000000\n`)
    const known = `capability[]=authtype\ncapability[]=state\n${asked}\n`
    assert.include((yield* keyfob("credential git --host git.example:8443 get", {}, known)).stdout, jwt)
    for (const written of [
      "protocol=https\nhost=evil.example\nhost=git.example:8443\n",
      "protocol=https\nhost=evil.example\n\nhost=git.example:8443\n",
      "protocol=http\nhost=git.example:8443\nprotocol=https\n",
      "protocol=https\nhost=git.example:8443\r\n",
      "protocol=https\nhost=evil.example\rhost=git.example:8443\n",
      "host=git.example:8443\n",
      ""
    ]) {
      const none = yield* keyfob("credential git --host git.example:8443 get", {}, written)
      assert.deepInclude(none, { exitCode: 0, stdout: "", stderr: "" }, JSON.stringify(written))
    }
    for (const action of ["store", "erase", "capability"]) {
      const { exitCode, stderr, stdout } = yield* keyfob(`credential git --host git.example:8443 ${action}`, {}, asked)
      assert.deepStrictEqual([exitCode, stdout, stderr], [0, "", ""])
    }
  }).pipe(Effect.scoped)
)

it.live("docker: a name and a token for the registry that it was set up for, and for no other", () =>
  Effect.gen(function* () {
    const { jwt, keyfob } = yield* scene
    const docker = (action: string, stdin = "") =>
      keyfob(`credential docker --host registry.example:5000 --provider git ${action}`, {}, stdin)
    for (const ServerURL of [
      "registry.example:5000",
      "https://registry.example:5000",
      "https://registry.example:5000/v2/"
    ]) {
      const told = JSON.parse((yield* docker("get", `${ServerURL}\n`)).stdout)
      assert.deepStrictEqual(told, { ServerURL, Username: "oauth2", Secret: jwt })
    }
    for (const other of [
      "registry.example",
      "https://registry.example:5000@evil.example/",
      "https://registry.example:5000\\@evil.example/",
      "https://registry.example:5000\\.evil.example/",
      "https://registry.example:5000?@evil.example/",
      "https://registry.example:5000#@evil.example/",
      "https://registry.example:5000.evil.example/",
      "https://registry.example:50001/",
      "https:/registry.example:5000",
      "https:\\\\registry.example:5000",
      "https://registry\n.example:5000",
      "http://registry.example:5000"
    ]) {
      const none = yield* docker("get", other)
      assert.deepInclude(none, { exitCode: 1, stdout: "credentials not found in native keychain\n", stderr: "" })
    }
    assert.deepStrictEqual(JSON.parse((yield* docker("list")).stdout), { "registry.example:5000": "oauth2" })
    const erased = yield* docker("erase", "registry.example:5000")
    assert.deepInclude(erased, { exitCode: 0, stdout: "", stderr: "" })
    const kept = yield* docker("store", JSON.stringify({ ServerURL: "registry.example:5000", Secret: "canary" }))
    assert.strictEqual(kept.exitCode, 2)
    assert.notInclude(`${kept.stdout}${kept.stderr}`, "canary")
    yield* keyfob("logout git")
    assert.strictEqual((yield* docker("get", "registry.example:5000")).exitCode, 3)
  }).pipe(Effect.scoped)
)

it.live("kubectl: a token and its end, in the version that is spoken", () =>
  Effect.gen(function* () {
    const { jwt, keyfob } = yield* scene
    const latest = JSON.parse((yield* keyfob("credential kubectl git")).stdout)
    assert.deepStrictEqual(latest, {
      apiVersion: "client.authentication.k8s.io/v1",
      kind: "ExecCredential",
      status: { token: jwt, expirationTimestamp: "2096-10-02T07:06:40.000Z" }
    })
    const ask = (version: string) =>
      keyfob("credential kubectl", {
        KUBERNETES_EXEC_INFO: JSON.stringify({
          apiVersion: `client.authentication.k8s.io/${version}`,
          kind: "ExecCredential",
          spec: { interactive: false }
        })
      })
    assert.match((yield* ask("v1beta1")).stdout, /"apiVersion":"client.authentication.k8s.io\/v1beta1"/)
    const unknown = yield* ask("v9")
    assert.deepStrictEqual([unknown.exitCode, unknown.stdout], [2, ""])
    yield* keyfob("logout git")
    assert.strictEqual((yield* keyfob("credential kubectl git")).exitCode, 3)
  }).pipe(Effect.scoped)
)

it.live(
  "aws: a role's credentials for the ID token, as credential_process wants them; the second time without asking anybody",
  () =>
    Effect.gen(function* () {
      const keyfob = yield* Keyfob.make
      const { clearRequests, issuer, requests } = yield* EmbeddedProvider.start({ deviceInterval: "1 second" })
      const sts = FakeSts.make({ issuer, audience: clients.cli.id })
      const endpoint = yield* sts.serve
      const scopes = ["--scope", "openid offline_access", "--bearer", "id_token"]
      const login = ["login", "demo", "--issuer", issuer, "--client-id", clients.cli.id, "--flow", "device", ...scopes]
      const onLine = (line: string) => {
        const [uri] = /http:\S+user_code=\S+/.exec(line) ?? []
        if (uri !== undefined) Effect.runFork(Person.approve(uri))
      }
      yield* keyfob.done(login, { onLine })
      yield* clearRequests
      const ask = ["credential", "aws", "demo", "--endpoint-url", endpoint, "--role-arn"]
      const told = yield* keyfob.json([...ask, FakeSts.arn])
      assert.deepInclude(told, {
        Version: 1,
        AccessKeyId: "ASIA1",
        SecretAccessKey: "canary-secret-1",
        SessionToken: "canary-session-1"
      })
      assert.match(told.Expiration, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
      assert.deepStrictEqual(yield* keyfob.json([...ask, FakeSts.arn]), told)
      assert.strictEqual(sts.asked.length, 1)
      // Nor the provider: its keys were for AWS, which was asked once.
      const asked = (yield* requests).map(({ path }) => path)
      assert.deepStrictEqual(asked, ["/.well-known/openid-configuration", "/jwks"])
      Keyfob.failsWith(yield* keyfob.run([...ask, "arn:aws:iam::123456789012:role/admin"]), 4, /denies access: 127/)
      yield* keyfob.done(["logout", "demo"])
      Keyfob.failsWith(yield* keyfob.run([...ask, FakeSts.arn]), 3, /nobody is signed in/)
    }).pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerUndici)),
  120_000
)
