/** `keyfob playground` as a person meets it: the real commands on one side, a real browser on the other. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { createInterface } from "node:readline"
import type { Page } from "playwright-core"
import * as Chromium from "./Chromium.ts"
import * as Keyfob from "./Keyfob.ts"

type Command = Effect.Success<typeof Keyfob.make>

/** Set to make the picture in the docs anew. */
const wantsPicture = process.env["KEYFOB_SCREENSHOT"] !== undefined
const picture = join(import.meta.dirname, "../../../docs/playground.png")

/** `keyfob playground` in a process of its own, until it gets a signal; one is sent when the scope ends. */
const playground = Effect.fnUntraced(function* (keyfob: Command) {
  const ready = yield* Deferred.make<string>()
  let interrupt = () => {}
  const onLine = (line: string, signal: (name: NodeJS.Signals) => void) => {
    interrupt = () => signal("SIGINT")
    const [page] = /http:\S+\/playground$/.exec(line) ?? []
    if (page !== undefined) Deferred.doneUnsafe(ready, Effect.succeed(page))
  }
  const running = yield* Effect.forkScoped(keyfob.run(["playground"], { onLine }))
  const page = yield* Deferred.await(ready)
  const end = Effect.andThen(
    Effect.sync(() => interrupt()),
    Fiber.join(running)
  )
  return { page, issuer: new URL(page).origin, end }
})

/** Signs in with the real command; the person approves by clicking, at the address the command shows. */
const login = Effect.fnUntraced(function* (keyfob: Command, issuer: string, answer: (uri: string) => Promise<void>) {
  const shown = yield* Deferred.make<string>()
  const onLine = (line: string) => {
    const { event, verification_uri_complete } = line.startsWith("{") ? JSON.parse(line) : {}
    if (event === "device_code") Deferred.doneUnsafe(shown, Effect.succeed(String(verification_uri_complete)))
  }
  const flags = ["--issuer", issuer, "--client-id", "keyfob-cli", "--flow", "device", "-o", "json"]
  const scope = "openid profile email offline_access api:read"
  const running = yield* Effect.forkChild(keyfob.run(["login", "demo", ...flags, "--scope", scope], { onLine }))
  const uri = yield* Deferred.await(shown)
  yield* Effect.promise(() => answer(uri))
  return yield* Fiber.join(running)
})

const section = (page: Page, name: string) => page.getByRole("region", { name })
const click = (page: Page, name: string) => page.getByRole("button", { name, exact: true }).click()

describe.concurrent("keyfob playground", () => {
  for (const javaScriptEnabled of [true, false]) {
    it.live(
      `in Chromium ${javaScriptEnabled ? "as it is" : "without JavaScript"}: sign in, look, break, mend`,
      () =>
        Effect.gen(function* () {
          const keyfob = yield* Keyfob.make
          const { end, issuer, page: address } = yield* playground(keyfob)
          const { complaints, page } = yield* Chromium.open({
            javaScriptEnabled,
            viewport: { width: 1280, height: 900 }
          })
          const asked: Array<string> = []
          page.on("request", (request) => asked.push(new URL(request.url()).origin))

          const denied = yield* login(keyfob, issuer, async (uri) => {
            await page.goto(uri)
            await click(page, "Deny")
            await page.getByRole("heading", { name: "Denied" }).waitFor()
          })
          assert.strictEqual(denied.code, 4, denied.stderr)

          const signedIn = yield* login(keyfob, issuer, async (uri) => {
            // As a person would: from the state page, where the device waits.
            await page.goto(address)
            await section(page, "Waiting for a person").getByRole("link").click()
            assert.strictEqual(page.url(), uri)
            await page.getByLabel("Bob Example").check()
            await click(page, "Allow")
            await page.getByRole("heading", { name: "Approved" }).waitFor()
            await page.getByRole("link", { name: "playground" }).click()
          })
          assert.strictEqual(signedIn.code, 0, signedIn.stderr)
          assert.strictEqual(JSON.parse(signedIn.stdout).account.sub, "bob")

          const reload = () => page.getByRole("link", { name: "Reload" }).click()
          const row = section(page, "Sign-ins (token families)").getByRole("row").filter({ hasText: "bob" })
          yield* Effect.promise(async () => {
            await reload()
            assert.match(await row.innerText(), /live[^]*#[0-9a-f]{8} live[^]*keyfob-cli[^]*offline_access/)
            await page.getByLabel("how many").fill("9")
            await click(page, "503")
            assert.match(
              await section(page, "Faults in force").innerText(),
              /the next 9 requests \(token\): answered 503/
            )
          })
          Keyfob.failsWith(yield* keyfob.run(["refresh", "demo", "--force"]), 5, /./)
          yield* Effect.promise(async () => {
            await reload()
            const requests = section(page, "Last requests")
            assert.match(
              await requests.getByRole("row").nth(1).innerText(),
              /503[^]*POST\s+token\s+refresh_token\s+keyfob-cli/
            )
            if (wantsPicture && javaScriptEnabled) await page.screenshot({ path: picture, fullPage: false })
            await click(page, "Take all away")
            await section(page, "Faults in force").getByText("everything works").waitFor()
          })
          const renewed = yield* keyfob.json(["refresh", "demo", "--force"])
          assert.strictEqual(renewed[0].outcome, "renewed")
          yield* Effect.promise(async () => {
            await reload()
            assert.match(await row.innerText(), /spent[^]*live/)
            await click(page, "Revoke everything")
            assert.match(await row.innerText(), /revoked/)
          })
          Keyfob.failsWith(yield* keyfob.run(["refresh", "demo", "--force"]), 3, /./)

          assert.deepStrictEqual([...new Set(asked)], [issuer], "the pages ask nobody else for anything")
          assert.deepStrictEqual(complaints, [])
          assert.strictEqual((yield* end).code, 130)
        }).pipe(Effect.scoped),
      240_000
    )
  }

  it.live(
    "in Chromium: fits a phone and a night, has labels, keeps other sites out, and leads back to an application",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const { issuer, page: address } = yield* playground(keyfob)
        // An application on this machine; as another port it is another origin, of the same site.
        const app = createServer((request, response) => {
          const attack = `<form method="post" action="${address}"><button name="switch" value="revoke">Win</button></form>`
          response.writeHead(200, { "content-type": "text/html" })
          response.end(request.url === "/attack" ? attack : "<h1>Back</h1>")
        })
        yield* Effect.acquireRelease(
          Effect.promise(() => new Promise<void>((resolve) => app.listen(0, "127.0.0.1", resolve))),
          () =>
            Effect.sync(() => {
              app.closeAllConnections()
              app.close()
            })
        )
        const other = `http://127.0.0.1:${(app.address() as AddressInfo).port}` // TCP, so never a string or null
        const { page } = yield* Chromium.open({ viewport: { width: 360, height: 740 }, colorScheme: "dark" })
        const query = new URLSearchParams({
          client_id: "keyfob-cli",
          response_type: "code",
          redirect_uri: `${other}/callback`,
          scope: "openid api:read",
          code_challenge: "c".repeat(43),
          code_challenge_method: "S256"
        })
        yield* Effect.promise(async () => {
          await page.goto(`${issuer}/authorize?${query}`)
          await page.getByLabel("or somebody else").fill("Zoë")
          await page.keyboard.press("Enter")
          await page.getByRole("heading", { name: "Back" }).waitFor()
          assert.match(page.url(), /\/callback\?code=/)

          for (const path of ["/playground", "/device"]) {
            await page.goto(`${issuer}${path}`)
            const { background, unlabelled, wide } = await page.evaluate(() => ({
              wide: document.documentElement.scrollWidth > innerWidth,
              background: getComputedStyle(document.body).backgroundColor,
              unlabelled: [...document.querySelectorAll<HTMLInputElement>("input:not([type=hidden]), select")].filter(
                ({ labels }) => labels?.length !== 1
              ).length
            }))
            assert.deepStrictEqual({ wide, unlabelled }, { wide: false, unlabelled: 0 }, path)
            assert.strictEqual(background, "rgb(18, 21, 27)")
          }
          await page.keyboard.press("Tab")

          await page.goto(`${other}/attack`)
          await click(page, "Win")
          await page.getByText("only a page of").waitFor()
          await page.goto(address)
          assert.match(await section(page, "Accounts").innerText(), /Zoë/)
          assert.notMatch(await section(page, "Sign-ins (token families)").innerText(), /revoked/)
        })
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "tells a program where it is, and ends at once, whoever is waiting",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const child = yield* Effect.acquireRelease(
          Effect.sync(() => spawn(process.execPath, [Keyfob.bundle, "playground", "-o", "json"], { env: {} })),
          (child) => Effect.sync(() => child.kill("SIGKILL"))
        )
        const [line] = yield* Effect.promise(() => once(createInterface(child.stdout), "line"))
        const { client_id, issuer, page } = JSON.parse(line)
        assert.deepStrictEqual([client_id, page], ["keyfob-cli", `${issuer}/playground`])
        assert.match(issuer, /^http:\/\/127\.0\.0\.1:\d+$/)
        const { port } = new URL(issuer)
        const taken = yield* keyfob.run(["playground", "--port", port])
        Keyfob.failsWith(taken, 2, /cannot listen on 127\.0\.0\.1:\d+ \(EADDRINUSE\)/)

        const form = { method: "POST", headers: { origin: issuer } }
        const hang = new URLSearchParams({
          switch: "token",
          does: "no answer",
          of: "every grant",
          times: "1",
          seconds: "1"
        })
        yield* Effect.promise(async () => {
          await fetch(page, { ...form, body: hang })
          const waits = fetch(`${issuer}/token`, { method: "POST", body: new URLSearchParams() }).then(
            () => "answered",
            () => "cut"
          )
          while (!/>\s*hang\s/.test(await (await fetch(page)).text())) continue
          const ended = once(child, "exit")
          child.kill("SIGINT")
          assert.deepStrictEqual(await ended, [130, null])
          assert.strictEqual(await waits, "cut")
        })
      }).pipe(Effect.scoped),
    120_000
  )
})
