/** What a person's browser shows when it has brought the answer: how the login ended, and nothing of what it brought. */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import { adviceOf, isAuthError } from "keyfob"
import { createHash } from "node:crypto"

export interface LandingPage {
  readonly status: number
  readonly html: string
}

/** The page for the end of a login. */
export const of = (exit: Exit.Exit<unknown, unknown>): LandingPage => {
  if (Exit.isSuccess(exit)) {
    return {
      status: 200,
      html: page("You are signed in", "You can close this page and go back to where you came from.")
    }
  }
  if (Cause.hasInterruptsOnly(exit.cause)) {
    return { status: 400, html: page("The sign-in was cancelled", "You are not signed in. You can close this page.") }
  }
  const error = Cause.squash(exit.cause)
  const what = isAuthError(error) ? `${adviceOf(error).what}.` : "something went wrong."
  return {
    status: 400,
    html: page(
      "You are not signed in",
      `${what.charAt(0).toUpperCase()}${what.slice(1)}`,
      "Where you came from, it says what to do. You can close this page."
    )
  }
}

const style = `:root{color-scheme:light dark}
body{font:1.1rem/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;place-items:center;background:Canvas;color:CanvasText}
main{max-width:32rem;padding:2rem}
h1{font-size:1.6rem;margin:0 0 1rem}`

/** The code has been used and is no secret any more, but neither does it belong in the address bar. */
const script = `history.replaceState(null,"",location.pathname)`

const hash = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

/** Nothing is loaded, sent, framed or remembered, and nobody is told where the browser came from. */
export const headers = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": `default-src 'none'; style-src ${hash(style)}; script-src ${hash(script)}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin"
} as const

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" }
const escape = (text: string) => text.replace(/[&<>]/g, (character) => entities[character] ?? character)

const page = (title: string, ...paragraphs: ReadonlyArray<string>) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escape(title)}</h1>
${paragraphs.map((text) => `<p>${escape(text)}</p>`).join("\n")}
</main>
<script>${script}</script>
</body>
</html>
`
