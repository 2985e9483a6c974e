/** The page that shows what the provider knows and is in for. Secrets are on it as fingerprints alone. */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import { lookup, type State } from "../model/State.ts"
import type { RecordedRequest } from "../RecordedRequest.ts"
import type { Inside, SimulatedProvider } from "../SimulatedProvider.ts"
import type { Snapshot } from "../Snapshot.ts"
import { print } from "../Trouble.ts"
import { commands } from "./commands.ts"
import { asIs, html, type Html, page } from "./page.ts"
import { bounds, buttons, offset } from "./switches.ts"

/** As many requests as are shown; equal ones in a row count as one. */
const shownRequests = 20

export const statePage = Effect.fnUntraced(function* (provider: SimulatedProvider["Service"], inside: Inside) {
  const real = yield* Clock.currentTimeMillis
  const now = yield* inside.now
  const state = yield* inside.state
  const trouble = yield* inside.trouble
  const snapshot = yield* provider.snapshot
  const off = Math.round((yield* offset(trouble)) / 1000)
  return page(
    "State",
    html`<header>
        <h1>Keyfob playground</h1>
        <p><code>${provider.issuer}</code></p>
        <p class="quiet">as of ${time(now)} · <a href="/playground">Reload</a></p>
      </header>
      <main class="columns">
        <div>
          ${waiting(state, now)} ${signIns(snapshot, state, now)} ${accessTokens(snapshot, now)}
          ${requests(yield* provider.requests)} ${accounts(state, snapshot)} ${tryThis(provider.issuer)}
        </div>
        <div>${troubles(print(trouble, real))} ${tokenRequests} ${outage} ${tokensAndKeys(snapshot)} ${clock(off)}</div>
      </main>`,
    { wide: true }
  )
})

const section = (id: string, title: string, content: Html) =>
  html`<section aria-labelledby="${id}">
    <h2 id="${id}">${title}</h2>
    ${content}
  </section>`

const nothing = (sentence: string) => html`<p class="quiet">${sentence}</p>`

/** What counts stands first: a phone shows no more, until somebody scrolls. */
const table = (columns: ReadonlyArray<string>, rows: ReadonlyArray<Html>, otherwise: string) =>
  rows.length === 0
    ? nothing(otherwise)
    : html`<div class="scroll">
        <table>
          <thead>
            <tr>
              ${columns.map((column) => html`<th scope="col">${column}</th>`)}
            </tr>
          </thead>
          <tbody>
            ${rows}
          </tbody>
        </table>
      </div>`

/** Who stands at a sign-in page, or should. */
const waiting = (state: State, now: number) => {
  const devices = [...HashMap.values(state.devices)].filter(
    ({ decided, expiresAt, usedFor }) => decided === undefined && usedFor === undefined && now < expiresAt
  )
  const links = [
    ...devices.map(
      ({ clientId, userCode }) =>
        html`<li>
          <a href="/device?user_code=${encodeURIComponent(userCode)}">Answer for the device that shows ${userCode}</a>
          <span class="quiet">${clientId}</span>
        </li>`
    ),
    ...[...HashMap.entries(state.interactions)].map(
      ([id, { askedAt, clientId }]) =>
        html`<li>
          <a href="/interaction/${encodeURIComponent(id)}">Go on with the sign-in of ${time(askedAt)}</a>
          <span class="quiet">${clientId}</span>
        </li>`
    )
  ]
  return links.length === 0
    ? undefined
    : section(
        "waiting",
        "Waiting for a person",
        html`<ul>
          ${links}
        </ul>`
      )
}

const signIns = ({ families }: Snapshot, state: State, now: number) => {
  const since = (id: string) => lookup(state.families, id)?.signedInAt ?? 0
  const rows = [...families]
    .sort((a, b) => since(b.id) - since(a.id))
    .map(
      ({ client, id, person, refreshTokens, scope, state }) => html`<tr>
        <td>${time(since(id))}</td>
        <td>${person}</td>
        <td class="${state === "live" ? "good" : "bad"}">${state.replace(/ at .*$/, "")}</td>
        <td>
          ${
            refreshTokens.length === 0
              ? html`<span class="quiet">none</span>`
              : html`<ul>
                  ${refreshTokens.map((token) => html`<li class="${token.state === "live" ? "good" : "quiet"}"><code>${token.token}</code> ${token.state}${token.state === "live" ? html`, ends ${until(token.expiresAt, now)}` : undefined}</li>`)}
                </ul>`
          }
        </td>
        <td>${client}</td>
        <td>${scope}</td>
      </tr>`
    )
  const columns = ["Since", "Person", "State", "Refresh tokens", "Client", "Scopes"]
  return section("families", "Sign-ins (token families)", table(columns, rows, "Nobody has signed in yet."))
}

const accessTokens = (snapshot: Snapshot, now: number) => {
  const rows = snapshot.accessTokens.map(
    ({ client, expiresAt, subject, token }) => html`<tr>
      <td><code>${token}</code></td>
      <td>${subject}</td>
      <td>${client}</td>
      <td>${until(expiresAt, now)}</td>
    </tr>`
  )
  const columns = ["Token", "For", "Client", "Ends"]
  return section("tokens", "Live access tokens", table(columns, rows, "None."))
}

const requests = (all: ReadonlyArray<RecordedRequest>) => {
  const rows = inARow([...all].reverse()).slice(0, shownRequests)
  const cells = rows.map(
    ({ count, request: { at, client, endpoint, error, grant, method, outcome, path } }) => html`<tr>
      <td>${time(DateTime.toEpochMillis(at))}</td>
      <td class="${typeof outcome === "number" && outcome < 400 ? "good" : "bad"}">
        ${outcome} ${error}${count > 1 ? ` (${count} times)` : undefined}
      </td>
      <td>${method}</td>
      <td>${endpoint ?? path}</td>
      <td>${grant?.replace(/^urn:ietf:params:oauth:grant-type:/, "")}</td>
      <td>${client}</td>
    </tr>`
  )
  const columns = ["Time", "Status", "Method", "Endpoint", "Grant", "Client"]
  return section(
    "requests",
    "Last requests",
    html`${table(columns, cells, "None so far.")}
    ${all.length === 0 ? undefined : html`<form method="post"><button name="switch" value="forget">Forget them</button></form>`}`
  )
}

/** Polls come in dozens: of those that ended alike, the first with their number. */
const inARow = (all: ReadonlyArray<RecordedRequest>) => {
  const rows: Array<{ readonly request: RecordedRequest; count: number }> = []
  const looks = ({ client, endpoint, error, grant, method, outcome, path }: RecordedRequest) =>
    [method, endpoint ?? path, grant, client, outcome, error].join(" ")
  for (const request of all) {
    const last = rows.at(-1)
    if (last !== undefined && looks(last.request) === looks(request)) last.count++
    else rows.push({ request, count: 1 })
  }
  return rows
}

const accounts = ({ clients, settings: { people } }: State, { families }: Snapshot) => {
  const rows = Object.entries(people).map(([id, { email, name }]) => {
    const live = families.filter(({ person, state }) => person === id && state === "live").length
    return html`<tr>
      <td>${id}</td>
      <td>${live === 0 ? html`<span class="quiet">no</span>` : `${live} times`}</td>
      <td>${name}</td>
      <td>${email}</td>
    </tr>`
  })
  const known = [...HashMap.keys(clients)].sort().map((id) => html`<li><code>${id}</code></li>`)
  return section(
    "accounts",
    "Accounts",
    html`${table(["Subject", "Signed in", "Name", "Email"], rows, "Nobody.")}
      <details>
        <summary>Clients</summary>
        <ul>
          ${known}
        </ul>
      </details>`
  )
}

const troubles = (lines: ReadonlyArray<string>) =>
  section(
    "trouble",
    "Faults in force",
    lines.length === 0
      ? nothing("None: everything works.")
      : html`<ul class="bad">
            ${lines.map((line) => html`<li>${line}</li>`)}
          </ul>
          <form method="post"><button class="main" name="switch" value="recover">Take all away</button></form>`
  )

const number = (label: string, name: keyof typeof bounds, value: number) =>
  html`<label
    >${label}
    <input type="number" name="${name}" value="${value}" min="${bounds[name].min}" max="${bounds[name].max}" required
  /></label>`

const kind = (name: string) => html`<input type="hidden" name="switch" value="${name}" />`

const tokenRequests = section(
  "token-requests",
  "The next token requests",
  html`<form method="post">
    ${kind("token")}
    <div class="row">
      <label
        >which
        <select name="of">
          <option>every grant</option>
          <option>refresh_token</option>
        </select></label
      >
      ${number("how many", "times", 1)} ${number("seconds", "seconds", 5)}
    </div>
    <p class="row">
      ${Object.entries(buttons).map(([does, label]) => html`<button name="does" value="${does}">${label}</button> `)}
    </p>
    <p class="quiet">Seconds are those of Retry-After, and how late an answer is.</p>
  </form>`
)

const outage = section(
  "outage",
  "Outage",
  html`<form method="post">
    ${kind("outage")}
    <div class="row">
      ${number("seconds", "seconds", 30)}
      <button name="as" value="unreachable">Break connections</button>
      <button name="as" value="unavailable">Answer 503</button>
    </div>
  </form>`
)

const tokensAndKeys = ({ keys }: Snapshot) =>
  section(
    "keys",
    "Tokens and keys",
    html`<form method="post" class="row">
        <button name="switch" value="expire">Expire access tokens</button>
        <button name="switch" value="revoke">Revoke everything</button>
        <button name="switch" value="rotate">Rotate keys</button>
      </form>
      ${
        keys.length === 0
          ? undefined
          : html`<ul>
              ${keys.map(({ algorithm, kid, signs }) => html`<li><code>${kid}</code> ${algorithm}${signs ? undefined : html` <span class="quiet">retired</span>`}</li>`)}
            </ul>`
      }`
  )

const clock = (off: number) =>
  section(
    "clock",
    "The provider's clock",
    html`<form method="post" class="row">
        ${kind("clock")} ${number("seconds ahead", "offset", off)} <button>Set</button>
      </form>
      <p class="quiet">Negative is behind, 0 is right.</p>`
  )

const tryThis = (issuer: string) =>
  section("try", "Try this", html`<pre tabindex="0" aria-label="commands">${commands(issuer).join("\n")}</pre>`)

const time = (millis: number) =>
  html`<time datetime="${iso(millis)}"
    >${asIs(new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" }).format(millis))}</time
  >`

const until = (end: string, now: number) =>
  html`<time datetime="${end}">in ${rough(DateTime.toEpochMillis(DateTime.makeUnsafe(end)) - now)}</time>`

/** The largest unit says enough. */
const rough = (millis: number) => Duration.format(Duration.millis(Math.max(0, millis))).split(" ")[0]

const iso = (millis: number) => DateTime.formatIso(DateTime.makeUnsafe(millis))
