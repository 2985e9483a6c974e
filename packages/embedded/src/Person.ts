import { Effect, Schema } from "effect"
import type { PageName } from "./pages.ts"

/** Where a person is sent: the address in full, or the short one and a code to type. */
export type Target = string | { readonly verificationUri: string; readonly userCode: string }

export interface Visit {
  /** How it ended: on a page of the provider, or back at the client's redirect URI. */
  readonly end: "page" | "redirect"
  /** The address it ended at; for a redirect, with the parameters the client was given. */
  readonly url: string
}

export interface ApproveOptions {
  /** Default: alice. */
  readonly account?: string
  /** Whether the browser follows a redirect to the client. Default: true; without a receiver there, say false. */
  readonly followRedirect?: boolean
  /** How many seconds ago they have signed in: where the pages know them from elsewhere. Default: 0. */
  readonly ago?: number
  /** Default: one of its own, where nobody is signed in. */
  readonly window?: Window
}

/** The address did not answer. */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", { cause: Schema.Defect() }) {}
/** The provider showed a page saying that it will not go on: unknown or expired code, unknown account, … */
export class Refused extends Schema.TaggedError<Refused>()("Refused", { page: Schema.String, error: Schema.String }) {}
/** A page nobody told this person about. */
export class Lost extends Schema.TaggedError<Lost>()("Lost", { status: Schema.Finite }) {}

export class PersonError extends Schema.TaggedError<PersonError>()("PersonError", {
  /** Without its query, which may hold codes. */
  url: Schema.String,
  reason: Schema.Union([Unreachable, Refused, Lost])
}) {
  override get message() {
    return this.reason._tag === "Refused"
      ? `${this.url} said: ${this.reason.error}`
      : `the person got stuck at ${this.url}: ${this.reason._tag}`
  }
}

/** A browser window for several visits: who has signed in there still is. It follows no redirect to a client. */
export const openWindow = (origin: string) => makeBrowser(origin, false)

export type Window = ReturnType<typeof makeBrowser>

/** Signs in and allows everything. */
export const approve = Effect.fn("Person.approve")(function* (target: Target, options: ApproveOptions = {}) {
  return yield* walk(target, { ...options, decision: "yes" })
})

/** Says no at the first page that lets one do so. Something else may stand in the way, too: any other error code. */
export const deny = Effect.fn("Person.deny")(function* (
  target: Target,
  options: Pick<ApproveOptions, "followRedirect"> & { readonly because?: string } = {}
) {
  return yield* walk(target, { ...options, decision: "no" })
})

interface Intent extends ApproveOptions {
  readonly decision: "yes" | "no"
  readonly because?: string
}

const walk = Effect.fnUntraced(function* (target: Target, intent: Intent) {
  const start = typeof target === "string" ? target : target.verificationUri
  const browser = intent.window ?? makeBrowser(new URL(start).origin, intent.followRedirect ?? true)
  let page = yield* browser.get(start)
  let pressedNo = false
  for (let step = 0; step < 12; step++) {
    // a full sign-in is five pages; more means going in circles
    if (page.end === "redirect") return { end: page.end, url: page.url } satisfies Visit
    // having said no, the person is told so on a page that shows an error: that is the wanted end
    if (page.error !== undefined && !pressedNo)
      return yield* stuck(page.url, new Refused({ page: page.name ?? "", error: page.error }))
    if (page.name === "done" || pressedNo) return { end: "page", url: page.url } satisfies Visit

    const answer = answerTo(page, target, intent)
    if (answer === undefined) break
    pressedNo = answer.no
    page = yield* browser.post(page.action, { ...page.hidden, ...answer.fields })
  }
  return yield* stuck(page.url, new Lost({ status: page.status }))
})

const answerTo = (page: Page, target: Target, { account = "alice", ago = 0, because, decision }: Intent) => {
  const no = decision === "no"
  const reason = because === undefined ? {} : { because }
  switch (page.name) {
    case "device-code":
      return typeof target === "string" ? undefined : { no: false, fields: { user_code: target.userCode } }
    case "device-confirm":
      return { no, fields: no ? { abort: "yes" } : {} }
    case "login":
      return { no, fields: { decision, account, ago: String(ago), ...reason } }
    case "consent":
      return { no, fields: { decision, ...reason } }
    // a form the provider's own script would post at once; a person without scripts presses its only button
    case undefined:
      return Object.keys(page.hidden).length > 0 ? { no: false, fields: {} } : undefined
    default:
      return undefined
  }
}

interface Page {
  readonly end: "page" | "redirect"
  readonly url: string
  readonly status: number
  readonly name: PageName | undefined
  readonly error: string | undefined
  readonly action: string
  readonly hidden: Readonly<Record<string, string>>
}

/** As much of a browser as the sign-in pages need: cookies by path, redirects, one form a page. */
const makeBrowser = (origin: string, followRedirect: boolean) => {
  const cookies = new Map<string, { readonly path: string; readonly pair: string }>()

  const keep = (header: string) => {
    const [pair = "", ...attributes] = header.split(/; */)
    const path = attributes.find((attribute) => /^path=/i.test(attribute))?.slice(5) ?? "/"
    const key = `${path} ${pair.split("=", 1)[0]}`
    if (/expires=Thu, 01 Jan 1970/i.test(header)) cookies.delete(key)
    else cookies.set(key, { path, pair })
  }

  const request = Effect.fnUntraced(function* (url: string, init: RequestInit) {
    const { pathname } = new URL(url)
    const cookie = [...cookies.values()]
      .filter(({ path }) => pathname.startsWith(path))
      .map(({ pair }) => pair)
      .join("; ")
    const { body, response } = yield* Effect.tryPromise({
      try: async (signal) => {
        const response = await fetch(url, {
          ...init,
          signal,
          redirect: "manual",
          headers: { accept: "text/html", cookie }
        })
        return { response, body: await response.text() }
      },
      catch: (cause) => new PersonError({ url: withoutQuery(url), reason: new Unreachable({ cause }) })
    })
    for (const header of response.headers.getSetCookie()) keep(header)
    return { response, body }
  })

  const visit: (url: string, init: RequestInit) => Effect.Effect<Page, PersonError> = Effect.fnUntraced(
    function* (url, init) {
      const { body, response } = yield* request(url, init)
      const location = response.headers.get("location")
      if (location === null) return read(url, response.status, body)
      const next = new URL(location, url).href
      if (new URL(next).origin === origin) return yield* visit(next, {})
      // the client's own page is none of the provider's: its cookies stay here, and the visit ends there
      if (followRedirect) {
        cookies.clear()
        yield* request(next, {})
      }
      return {
        end: "redirect",
        url: next,
        status: response.status,
        name: undefined,
        error: undefined,
        action: next,
        hidden: {}
      }
    }
  )

  return {
    get: (url: string) => visit(url, {}),
    post: (url: string, form: Readonly<Record<string, string>>) =>
      visit(url, { method: "POST", body: new URLSearchParams(form) })
  }
}

const read = (url: string, status: number, html: string): Page => {
  const hidden: Record<string, string> = {}
  for (const [input] of html.matchAll(/<input\b[^>]*\btype="hidden"[^>]*>/g)) {
    const name = attribute(input, "name")
    if (name !== undefined) hidden[name] = attribute(input, "value") ?? ""
  }
  const main = /<main\b[^>]*>/.exec(html)?.[0] ?? ""
  return {
    end: "page",
    url,
    status,
    name: attribute(main, "data-page") as PageName | undefined, // `pages.ts` writes nothing else there
    error: attribute(main, "data-error"),
    action: new URL(attribute(/<form\b[^>]*>/.exec(html)?.[0] ?? "", "action") ?? url, url).href,
    hidden
  }
}

const plain: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" }

const attribute = (tag: string, name: string) =>
  new RegExp(` ${name}="([^"]*)"`)
    .exec(tag)?.[1]
    ?.replace(/&(amp|lt|gt|quot|#39);/g, (_, entity: string) => plain[entity] ?? "")

const withoutQuery = (url: string) => url.replace(/[?#].*$/, "")

const stuck = (url: string, reason: PersonError["reason"]) => new PersonError({ url: withoutQuery(url), reason })
