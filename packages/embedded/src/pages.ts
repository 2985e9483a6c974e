/// <reference path="./oidc-provider.d.ts" />
import type { Context } from "oidc-provider"
import type { Claims } from "./Directory.ts"

/**
 * The pages a person meets. Plain HTML and form posts, no script. `data-page` names the page for those who walk it
 * without eyes (`Person`); its text is for the others.
 */
export type PageName =
  | "device-code"
  | "device-confirm"
  | "login"
  | "consent"
  | "done"
  | "signed-out"
  | "sign-out"
  | "error"

const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" }
const escape = (text: string) => text.replace(/[&<>"']/g, (char) => entities[char] ?? char)

const page = (name: PageName, title: string, body: string, error?: string) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)} – Keyfob's embedded provider</title>
<style>
:root { color-scheme: light dark; }
body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 30rem; margin: 3rem auto; padding: 0 1rem; }
button, input { font: inherit; padding: .5rem 1rem; }
label, fieldset { display: block; margin: 1rem 0; }
code { font-size: 1.6rem; letter-spacing: .1em; }
</style>
</head>
<body>
<main data-page="${name}"${error === undefined ? "" : ` data-error="${escape(error)}"`}>
<h1>${escape(title)}</h1>
${error === undefined ? "" : `<p role="alert"><strong>${escape(error)}</strong></p>\n`}${body}
</main>
</body>
</html>
`

const hidden = (fields: Readonly<Record<string, string>>) =>
  Object.entries(fields)
    .map(([name, value]) => `<input type="hidden" name="${name}" value="${escape(value)}">`)
    .join("\n")

const xsrf = (context: Context) => context.oidc?.session?.state?.secret ?? ""

const appOf = (client: { readonly clientId: string; readonly clientName?: string } | undefined) =>
  client?.clientName ?? client?.clientId ?? "an application"

const html = (context: Context, body: string) => {
  context.type = "html"
  context.body = body
}

export const deviceCode = (context: Context, _form: string, _out?: unknown, error?: Error) =>
  html(
    context,
    page(
      "device-code",
      "Connect a device",
      `<form method="post" action="${context.oidc?.urlFor("code_verification")}">
${hidden({ xsrf: xsrf(context) })}
<label>The code your device shows
<input name="user_code" autocomplete="off" autocapitalize="characters" spellcheck="false" required autofocus></label>
<button>Continue</button>
</form>`,
      error?.message
    )
  )

export const deviceConfirm = (
  context: Context,
  _form: string,
  client: { readonly clientId: string; readonly clientName?: string },
  _device: unknown,
  userCode: string
) =>
  html(
    context,
    page(
      "device-confirm",
      "Is this your device?",
      `<p>${escape(appOf(client))} should be showing this code:</p>
<p><code>${escape(userCode)}</code></p>
<form method="post" action="${context.oidc?.urlFor("code_verification")}">
${hidden({ xsrf: xsrf(context), user_code: userCode, confirm: "yes" })}
<button>Yes, continue</button>
<button name="abort" value="yes">No, cancel</button>
</form>`
    )
  )

export const deviceDone = (context: Context) =>
  html(context, page("done", "Signed in", "<p>You can close this page and go back to your device.</p>"))

/** @param hint whose account is chosen beforehand (`login_hint`) */
export const login = (accounts: Readonly<Record<string, Claims>>, app: string, hint?: string, error?: string) => {
  const known = Object.entries(accounts)
  const hinted = known.findIndex(([sub, { email }]) => hint === sub || hint === email)
  return page(
    "login",
    "Sign in",
    `<p>${escape(app)} wants to know who you are.</p>
<form method="post">
<fieldset><legend>Account</legend>
${known
  .map(
    ([sub, claims], index) =>
      `<label><input type="radio" name="account" value="${escape(sub)}" required${index === Math.max(0, hinted) ? " checked" : ""}> ${escape(
        claims.name ?? sub
      )} (${escape(sub)})</label>`
  )
  .join("\n")}
</fieldset>
<button name="decision" value="yes">Sign in</button>
<button name="decision" value="no">Cancel</button>
</form>`,
    error
  )
}

export const consent = (app: string, account: string, scopes: ReadonlyArray<string>) =>
  page(
    "consent",
    "Allow access?",
    `<p>${escape(app)} asks for this, as ${escape(account)}:</p>
<ul>${scopes.map((scope) => `<li>${escape(scope)}</li>`).join("")}</ul>
<form method="post">
<button name="decision" value="yes">Allow</button>
<button name="decision" value="no">Deny</button>
</form>`
  )

export const signOut = (context: Context) =>
  html(
    context,
    page(
      "sign-out",
      "Sign out?",
      `<form method="post" action="${context.oidc?.urlFor("end_session_confirm")}">
${hidden({ xsrf: xsrf(context) })}
<button name="logout" value="yes">Sign out</button>
<button>Stay signed in</button>
</form>`
    )
  )

export const signedOut = (context: Context) =>
  html(context, page("signed-out", "Signed out", "<p>You can close this page.</p>"))

export const failed = (context: Context, out: { readonly error: string; readonly error_description?: string }) =>
  html(context, error(out.error, out.error_description ?? ""))

export const error = (code: string, description: string) =>
  page("error", "That did not work", `<p>${escape(description)}</p>`, code)
