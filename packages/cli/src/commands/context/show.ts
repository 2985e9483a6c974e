import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { printable } from "keyfob"
import { answer, stringify } from "../../output.ts"
import { oauthOf } from "../../provider.ts"
import { types } from "../../types.ts"
import { here } from "../../here.ts"
import * as workspace from "../../workspace.ts"

export const show = Command.make(
  "show",
  {
    name: Argument.String("name").pipe(
      Argument.withDescription("A context; default: the current one"),
      Argument.optional
    )
  },
  Effect.fnUntraced(function* ({ name }) {
    const opened = yield* here
    const context = Option.getOrElse(name, () => opened.context)
    yield* workspace.known(opened, context)
    const providers = (yield* workspace.providers(opened, context)).map(shown)
    const plugins = [...(opened.configuration.contexts.get(context)?.plugins ?? [])]
    const current = context === opened.context
    const said = plugins.length === 0 ? {} : { plugins: Object.fromEntries(plugins) }
    yield* answer(opened.globals, { context, current, providers, ...said }, () =>
      [
        [
          `context ${printable(context)}`,
          ...plugins.map(([plugin, name]) => `  ${printable(plugin)} uses ${printable(name)}`)
        ].join("\n"),
        ...providers.map(paragraph)
      ].join("\n\n")
    )
  })
).pipe(Command.withDescription("A context's providers and their settings, without secrets"))

/** As in config.toml, but that a secret is only said to be there. The tables of types that nobody knows stay closed. */
const shown = (configured: workspace.Configured): Readonly<Record<string, unknown>> => {
  const { name: provider, settings: entry } = configured
  if (entry.invalid !== undefined) return { provider, type: entry.type, error: entry.invalid.message }
  const settings = oauthOf(entry)
  return settings === undefined
    ? { provider, type: entry.type, ...tableOf(configured) }
    : {
        provider,
        type: settings.type,
        issuer: settings.issuer,
        client_id: settings.clientId,
        client_auth: settings.clientAuth,
        has_client_secret: settings.clientSecret === undefined ? undefined : true,
        has_private_key: settings.privateKey === undefined ? undefined : true,
        assertion_file: settings.assertionFile,
        private_key_file: settings.privateKeyFile,
        private_key_id: settings.privateKeyId,
        cert_file: settings.certFile,
        key_file: settings.keyFile,
        client_assertion_file: settings.clientAssertionFile,
        client_assertion_url: settings.clientAssertionUrl,
        client_assertion_command: settings.clientAssertionCommand,
        client_assertion_platform: settings.clientAssertionPlatform,
        client_assertion_audience: settings.clientAssertionAudience,
        scopes: settings.scopes,
        audience: settings.audience,
        resource: settings.resource,
        flow: settings.flow ?? "auto",
        store: settings.store ?? "file",
        // The host alone: a password may be in the rest.
        store_host: settings.storeUrl === undefined ? undefined : URL.parse(Redacted.value(settings.storeUrl))?.host,
        redirect_port: settings.redirectPort,
        profile: settings.profile,
        bearer: settings.bearer,
        params: settings.params,
        endpoints: settings.endpoints
      }
}

const tableOf = ({ settings }: workspace.Configured): Readonly<Record<string, unknown>> => {
  const type = types.find(({ name }) => name === settings.type)
  if (type === undefined) return {}
  const secrets: ReadonlyArray<string> = type.secrets
  const entries = Object.entries(Redacted.value(settings.table)).filter(([key]) => type.keys.includes(key))
  return Object.fromEntries(
    entries.map(([key, value]) => (secrets.includes(key) ? [`has_${key}`, true] : [key, value]))
  )
}

const paragraph = ({ provider, ...settings }: Readonly<Record<string, unknown>>) =>
  [
    printable(String(provider)),
    ...Object.entries(settings).flatMap(([key, value]) =>
      value === undefined
        ? []
        : [`  ${key.padEnd(18)}${typeof value === "string" ? printable(value) : stringify(value)}`]
    )
  ].join("\n")
