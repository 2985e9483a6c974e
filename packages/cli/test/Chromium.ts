/** A real browser, without a window. */
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { type BrowserContextOptions, chromium } from "playwright-core"

const executablePath = process.env["KEYFOB_CHROMIUM"] ?? "/usr/bin/chromium"

// Nothing but what the test opens: no first-run pages, no updates, no QUIC, no sync.
const args = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync"
]

/** A limit for what hangs, as that of a test is, not for what is slow. */
const timeout = 60_000

/** Ends with the scope. Each launch has a new, empty profile. */
export const launch = Effect.acquireRelease(
  Effect.promise(() => {
    if (!existsSync(executablePath)) {
      throw new Error(
        `there is no ${executablePath}: install it (apt-get update && apt-get install -y chromium), as .ci/run does, or name another in KEYFOB_CHROMIUM`
      )
    }
    return chromium.launch({ executablePath, args, timeout })
  }),
  (browser) => Effect.promise(() => browser.close())
)

/** A page, and what went wrong on it or left for elsewhere. */
export const open = Effect.fnUntraced(function* (options: BrowserContextOptions = {}) {
  const browser = yield* launch
  return yield* Effect.promise(async () => {
    const context = await browser.newContext(options)
    context.setDefaultTimeout(timeout)
    const page = await context.newPage()
    const complaints: Array<string> = []
    page.on("console", (message) => complaints.push(message.text()))
    page.on("pageerror", (error) => complaints.push(error.message))
    return { page, complaints }
  })
})
