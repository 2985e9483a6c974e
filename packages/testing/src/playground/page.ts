/** What all pages of the playground share: one file each, no script, nothing from elsewhere. */
import { escape, type Response } from "../model/Http.ts"

/** HTML that was put together from escaped parts. Anything else that goes into a page is escaped first. */
export interface Html {
  readonly html: string
}

type Part = Html | string | number | undefined | ReadonlyArray<Html>

const render = (part: Part): string =>
  part === undefined
    ? ""
    : typeof part === "string" || typeof part === "number"
      ? escape(String(part))
      : "html" in part
        ? part.html
        : part.map(({ html }) => html).join("")

/** A template: texts in it are escaped, lists of HTML are joined, what is undefined is nothing. */
export const html = (strings: TemplateStringsArray, ...parts: ReadonlyArray<Part>): Html => ({
  html: strings.reduce((text, string, index) => `${text}${render(parts[index - 1])}${string}`)
})

/** HTML of the model's own. */
export const asIs = (html: string): Html => ({ html })

/**
 * No script, no frame, nothing from anywhere; forms go to us.
 *
 * @param formTarget where else the answer to a form may lead the browser, which holds redirects against this as well
 */
const policy = (formTarget?: string) =>
  [
    "default-src 'none'",
    "style-src 'unsafe-inline'",
    "img-src data:",
    `form-action 'self'${formTarget === undefined ? "" : ` ${formTarget}`}`,
    "base-uri 'none'",
    "frame-ancestors 'none'"
  ].join("; ")

export interface PageOptions {
  readonly status?: number
  /** For more than a question: uses the whole window. */
  readonly wide?: boolean
  readonly formTarget?: string | undefined
}

export const page = (title: string, content: Html, { formTarget, status = 200, wide }: PageOptions = {}): Response => ({
  status,
  headers: {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy": policy(formTarget),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY"
  },
  body: html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} – Keyfob playground</title>
        <link
          rel="icon"
          href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ctext y='13' font-size='13'%3E🗝%3C/text%3E%3C/svg%3E"
        />
        <style>
          ${asIs(style)}
        </style>
      </head>
      <body class="${wide === true ? "wide" : "narrow"}">
        ${content}
      </body>
    </html> `.html
})

const style = `
:root {
  color-scheme: light dark;
  --ground: #f3f4f7; --card: #fff; --text: #1b1f27; --quiet: #5a6272; --line: #d9dde5;
  --accent: #3346c2; --on-accent: #fff; --good: #0a6b3d; --bad: #b3261e; --code: #eceff5;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12151b; --card: #1b2029; --text: #e7eaf0; --quiet: #a3acbd; --line: #333b49;
    --accent: #a9b6ff; --on-accent: #12151b; --good: #6fd6a0; --bad: #ff9d94; --code: #262d39;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem; background: var(--ground); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
body.narrow { max-width: 32rem; padding-top: 10vh; }
body.wide { max-width: 90rem; }
h1 { margin: 0 0 .5rem; font-size: 1.5rem; line-height: 1.2; }
h2 { margin: 0 0 .5rem; font-size: 1.05rem; }
p { margin: .5rem 0; }
a { color: var(--accent); }
code, pre { font: .9em/1.5 ui-monospace, monospace; background: var(--code); border-radius: .3rem; }
code { padding: .1em .35em; }
pre { margin: .5rem 0; padding: .6rem .8rem; overflow-x: auto; }
.card, section { min-width: 0; padding: 1rem 1.2rem; background: var(--card); border: 1px solid var(--line); border-radius: .6rem; }
.quiet { color: var(--quiet); }
.good { color: var(--good); }
.bad { color: var(--bad); }
.big { font-size: 1.7rem; letter-spacing: .1em; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; margin-bottom: 1rem; }
header h1, header p { margin: 0; }
.columns { display: grid; gap: 1rem; align-items: start; }
.columns > div { display: grid; gap: 1rem; min-width: 0; }
@media (min-width: 64rem) { .columns { grid-template-columns: minmax(0, 5fr) minmax(18rem, 2fr); } }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; }
th, td { padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { color: var(--quiet); font-weight: 600; white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
section td ul { margin: 0; padding: 0; list-style: none; }
time, td.fixed { white-space: nowrap; font-variant-numeric: tabular-nums; }
form { margin: .6rem 0 0; }
fieldset { margin: .8rem 0; padding: 0; border: 0; }
legend { padding: 0; font-weight: 600; }
label { display: block; margin: .4rem 0; }
.row { display: flex; flex-wrap: wrap; gap: .5rem; align-items: end; }
.row label { margin: 0; font-size: .85rem; color: var(--quiet); }
.row input, .row select { display: block; }
input, select, button { font: inherit; color: inherit; padding: .4rem .7rem; border: 1px solid var(--quiet); border-radius: .4rem; background: var(--card); }
input[type=number] { width: 4.5rem; }
.row input, .row select, .row button { height: 2.2rem; }
section input, section select, section button { padding: .3rem .6rem; font-size: .9rem; }
section ul { margin: .5rem 0; padding-left: 1.2rem; }
input[type=text] { width: 100%; }
input[type=radio] { margin: 0 .4rem 0 0; accent-color: var(--accent); }
button { cursor: pointer; border-color: var(--accent); color: var(--accent); }
button.main { background: var(--accent); color: var(--on-accent); font-weight: 600; }
button:hover { text-decoration: underline; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
`
