import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { PlaceSettings } from "@keyfob/node/ProviderSettings"
import { printable, ProviderType } from "keyfob"
import { answer, stringify } from "../../output.ts"
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

/** As in config.toml, but of a secret only that it is there. Of a type that nobody knows, any setting may be a secret. */
const shown = ({ name: provider, settings }: workspace.Configured): Readonly<Record<string, unknown>> => {
  const { invalid, store = "file", storeUrl, table, type } = settings
  if (invalid !== undefined) return { provider, type, error: invalid.message }
  const { keys = [], secrets = [] } = types.find(({ name }) => name === type) ?? {}
  const isSecret = (key: string) => secrets.some((secret) => secret === key)
  const said = Object.entries(Redacted.value(table))
    .filter(([key]) => keys.includes(key) && !beside.includes(key))
    .map(([key, value]) => (isSecret(key) ? [`has_${key}`, true] : [key, value]))
  return {
    provider,
    type,
    ...(type === "oauth" ? { flow: "auto" } : {}),
    ...Object.fromEntries(said),
    store,
    // The host alone: a password may be in the rest.
    store_host: storeUrl === undefined ? undefined : URL.parse(Redacted.value(storeUrl))?.host
  }
}

/** What is shown of every provider, whatever its type. */
const beside = ["type", ...ProviderType.keysOf(PlaceSettings)]

const paragraph = ({ provider, ...settings }: Readonly<Record<string, unknown>>) =>
  [
    printable(String(provider)),
    ...Object.entries(settings).flatMap(([key, value]) =>
      value === undefined
        ? []
        : [`  ${key.padEnd(17)} ${typeof value === "string" ? printable(value) : stringify(value)}`]
    )
  ].join("\n")
