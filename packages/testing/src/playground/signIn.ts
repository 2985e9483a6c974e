/** The pages where a person types a device's code, signs in and consents. */
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Device from "../model/Device.ts"
import type { Request, Response } from "../model/Http.ts"
import * as Machine from "../model/Machine.ts"
import { lookup, type State } from "../model/State.ts"
import type { Inside } from "../SimulatedProvider.ts"
import type { Deliver } from "../Transport.ts"
import { asIs, html, type Html, page } from "./page.ts"

/**
 * The model decides; its pages are too plain to look at. What it answers as a page goes out as one of ours, and whoever
 * is named in a form exists from then on.
 */
export const dressed =
  (deliver: Deliver, { change, now, state }: Inside): Deliver =>
  (request) =>
    Effect.gen(function* () {
      const { issuer } = (yield* state).settings
      const endpoint = Machine.endpointOf(issuer, request.url.replace(/\?.*$/, ""))
      const isForm = request.method === "POST" && (endpoint === "device_page" || endpoint === "sign_in_page")
      const form = isForm ? named(request) : undefined
      if (form !== undefined) yield* change(invite(form.get("person") ?? ""))
      const delivery = yield* deliver(form === undefined ? request : { ...request, body: form.toString() })
      if (delivery._tag === "Broken" || !/html/.test(delivery.response.headers["content-type"] ?? "")) return delivery
      const show = (endpoint === undefined ? undefined : pages[endpoint]) ?? plain
      return { ...delivery, response: show(delivery.response, request, yield* state, yield* now) }
    })

/** A form as the model has it: `other`, where something is typed there, is the person. */
const named = ({ body }: Request) => {
  const form = new URLSearchParams(body)
  const other = (form.get("other") ?? "").trim()
  if (other !== "") form.set("person", other)
  form.delete("other")
  return form
}

const longestName = 64

const invite =
  (name: string) =>
  (state: State): State => {
    const { people } = state.settings
    if (name === "" || name.length > longestName || Object.hasOwn(people, name)) return state
    const added = { ...people, [name]: { name, preferred_username: name } }
    return { ...state, settings: { ...state.settings, people: added } }
  }

type Show = (response: Response, request: Request, state: State, now: number) => Response

/** A page there is nothing to add to. */
const plain: Show = ({ body, status }) => {
  const [, title = "Keyfob", content = ""] = /<h1>(.*?)<\/h1>(.*)<\/main>/s.exec(body) ?? []
  return page(
    title,
    card(
      html`<h1>${asIs(title)}</h1>
        ${asIs(content)}`
    ),
    { status }
  )
}

const devicePage: Show = ({ status }, request, state, now) => {
  if (request.method === "POST") {
    if (status !== 200) return askForCode("That did not work: the code is unknown here, or nobody was named.", status)
    const denied = new URLSearchParams(request.body).get("decision") === "deny"
    return said(denied ? "Denied" : "Approved", "You can close this page and go back to your device.")
  }
  const typed = new URL(request.url, state.settings.issuer).searchParams.get("user_code") ?? ""
  if (typed === "") return askForCode()
  const device = [...HashMap.values(state.devices)].findLast(
    ({ userCode }) => Device.lettersOf(userCode) === Device.lettersOf(typed)
  )
  if (device === undefined) return askForCode("No device shows this code.")
  if (device.decided !== undefined || device.usedFor !== undefined) {
    return said("Answered already", "A code is good for one answer.")
  }
  if (now >= device.expiresAt) return said("Too late", "This code has expired. Ask your device for a new one.")
  return page(
    "Sign in",
    card(html`<h1>Sign in to ${clientName(state, device.clientId)}?</h1>
      <p>Your device should be showing this code:</p>
      <p><code class="big">${device.userCode}</code></p>
      ${question(state, device.scopes, html`<input type="hidden" name="user_code" value="${device.userCode}" />`)}`)
  )
}

const signInPage: Show = ({ status }, request, state) => {
  const id = request.url.replace(/\?.*$/, "").replace(/^.*\//, "")
  const interaction = lookup(state.interactions, id)
  if (interaction === undefined) {
    return said(
      "Nobody is expected here",
      "This sign-in is over, or never was. Begin again at the application.",
      status
    )
  }
  const { clientId, redirectUri, scopes } = interaction
  const failed = request.method === "POST" ? html`<p role="alert" class="bad">Nobody was named.</p>` : undefined
  return page(
    "Sign in",
    card(html`<h1>Sign in to ${clientName(state, clientId)}?</h1>
      ${failed}${question(state, scopes)}
      <p class="quiet">You come back to <code>${redirectUri.replace(/\?.*$/, "")}</code>.</p>`),
    { formTarget: sourceOf(redirectUri) }
  )
}

const pages: Partial<Record<Machine.Endpoint, Show>> = { device_page: devicePage, sign_in_page: signInPage }

/** An address as a source in a content security policy: its origin, or the scheme of an app's own. */
const sourceOf = (address: string) => {
  const { origin, protocol } = new URL(address)
  const source = origin === "null" ? protocol : origin
  return /^[\w.+:/[\]-]+$/.test(source) ? source : undefined
}

const card = (content: Html) => html`<main class="card">${content}</main>
  <p class="quiet">A <a href="/playground">playground</a>: nobody here is real, and no password is needed.</p>`

const said = (title: string, sentence: string, status = 200) =>
  page(
    title,
    card(
      html`<h1>${title}</h1>
        <p>${sentence}</p>`
    ),
    { status }
  )

const askForCode = (problem?: string, status?: number) =>
  page(
    "Connect a device",
    card(html`<h1>Connect a device</h1>
      ${problem === undefined ? undefined : html`<p role="alert" class="bad">${problem}</p>`}
      <form action="/device">
        <label
          >The code your device shows
          <input
            type="text"
            name="user_code"
            autocomplete="off"
            autocapitalize="characters"
            spellcheck="false"
            required
            autofocus
        /></label>
        <p><button class="main">Continue</button></p>
      </form>`),
    status === undefined ? {} : { status }
  )

const clientName = (state: State, id: string) => lookup(state.clients, id)?.client_name ?? id

const question = (state: State, scopes: ReadonlyArray<string>, hidden?: Html) => html`<form method="post">
  ${hidden}
  <fieldset>
    <legend>Who are you?</legend>
    ${Object.entries(state.settings.people).map(
      ([id, { name = id }], index) =>
        html`<label
          ><input
            type="radio"
            name="person"
            value="${id}"
            ${index === 0 ? asIs(" checked") : ""}
          />${name}${name === id ? "" : html` <span class="quiet">${id}</span>`}</label
        >`
    )}
    <label
      >or somebody else
      <input type="text" name="other" maxlength="${longestName}" autocomplete="off" spellcheck="false"
    /></label>
  </fieldset>
  <p>It asks for:</p>
  <ul>
    ${scopes.length === 0 ? html`<li class="quiet">nothing but to know that it is you</li>` : scopes.map((scope) => html`<li><code>${scope}</code></li>`)}
  </ul>
  <p class="row">
    <button class="main" name="decision" value="approve">Allow</button>
    <button name="decision" value="deny">Deny</button>
  </p>
</form>`
