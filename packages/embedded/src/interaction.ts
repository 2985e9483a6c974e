/// <reference path="./oidc-provider.d.ts" />
import type { IncomingMessage, ServerResponse } from "node:http"
import { text } from "node:stream/consumers"
import type { Interaction, Provider } from "oidc-provider"
import type { Claims } from "./Directory.ts"
import * as pages from "./pages.ts"

/** The pages between "the provider must ask the person" and "the person has answered": sign in, then allow. */
export const make = (
  provider: Provider,
  accounts: Readonly<Record<string, Claims>>,
  acrValues: ReadonlyArray<string>
) => {
  const show = (response: ServerResponse, status: number, html: string) => {
    response.writeHead(status, { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" })
    response.end(html)
  }

  const ask = async (interaction: Interaction, error?: string) => {
    const client = await provider.Client.find(interaction.params.client_id)
    const app = client?.clientName ?? interaction.params.client_id
    return interaction.prompt.name === "login"
      ? pages.login(accounts, app, interaction.params.login_hint, error)
      : pages.consent(app, interaction.session?.accountId ?? "", interaction.params.scope?.split(" ") ?? [])
  }

  /** All that was asked for is allowed: these pages know yes and no, not "some of it". */
  const allow = async ({ grantId, params, prompt: { details }, session }: Interaction) => {
    const grant =
      (grantId === undefined ? undefined : await provider.Grant.find(grantId)) ??
      new provider.Grant({ accountId: session?.accountId ?? "", clientId: params.client_id })
    if (details.missingOIDCScope) grant.addOIDCScope(details.missingOIDCScope.join(" "))
    if (details.missingOIDCClaims) grant.addOIDCClaims(details.missingOIDCClaims)
    for (const [resource, scopes] of Object.entries(details.missingResourceScopes ?? {})) {
      grant.addResourceScope(resource, scopes.join(" "))
    }
    return grant.save()
  }

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const interaction = await provider.interactionDetails(request, response)
    if (request.method !== "POST") return show(response, 200, await ask(interaction))

    const form = new URLSearchParams(await text(request))
    if (form.get("decision") !== "yes") {
      const refusal = { error: form.get("because") ?? "access_denied", error_description: "the sign-in ended here" }
      return provider.interactionFinished(request, response, refusal, { mergeWithLastSubmission: false })
    }
    if (interaction.prompt.name !== "login") {
      return provider.interactionFinished(request, response, { consent: { grantId: await allow(interaction) } })
    }
    const accountId = form.get("account") ?? ""
    if (!Object.hasOwn(accounts, accountId))
      return show(response, 400, await ask(interaction, "nobody goes by that name"))
    const wanted = interaction.params.acr_values?.split(" ") ?? []
    const acr = acrValues.find((one) => wanted.includes(one)) ?? acrValues[0]
    const ts = Math.floor(Date.now() / 1000) - Number(form.get("ago") ?? 0)
    const login = { accountId, ts, ...(acr === undefined ? {} : { acr }) }
    return provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false })
  }

  return (request: IncomingMessage, response: ServerResponse): void => {
    answer(request, response).catch((cause: unknown) =>
      show(
        response,
        400,
        pages.error("invalid_request", cause instanceof Error ? cause.message : "the sign-in is not known here")
      )
    )
  }
}
