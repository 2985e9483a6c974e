import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type { ProviderType } from "keyfob"
import { Globals } from "../../globalFlags.ts"
import { answer } from "../../output.ts"
import { types } from "../../types.ts"

export const list = Command.make(
  "list",
  {},
  Effect.fnUntraced(function* () {
    const rows = types.map((type) => ({
      type: type.name,
      description: type.description,
      settings: settingsOf(type)
    }))
    yield* answer(yield* Globals, rows, () => rows.map(paragraph).join("\n\n"))
  })
).pipe(Command.withDescription("The types that a provider may be of, and what can be set for each"))

/** The keys of its table, what each takes (JSON Schema), and whether it must be there. */
const settingsOf = ({ keys, secrets, settings }: ProviderType.KnownType) => {
  const { schema } = Schema.toJsonSchemaDocument(settings)
  const { properties, required } = schema
  const needed = Array.isArray(required) ? required : []
  const hidden: ReadonlyArray<string> = secrets
  return keys
    .filter((key) => key !== "type")
    .map((key) => ({
      key,
      required: needed.includes(key),
      secret: hidden.includes(key),
      schema: Predicate.hasProperty(properties, key) ? properties[key] : {}
    }))
}

type Setting = ReturnType<typeof settingsOf>[number]

const paragraph = ({
  description,
  settings,
  type
}: {
  readonly type: string
  readonly description: string
  readonly settings: ReadonlyArray<Setting>
}) => [`${type}  ${description}`, ...settings.map(line)].join("\n")

const line = ({ key, required, schema, secret }: Setting) => {
  const notes = [...(required ? ["required"] : []), ...(secret ? [`secret, KEYFOB_${key.toUpperCase()}`] : [])]
  const values = Predicate.hasProperty(schema, "enum") && Array.isArray(schema.enum) ? schema.enum.join(" | ") : ""
  return `  ${key.padEnd(28)}${[values, ...notes].filter((note) => note !== "").join(", ")}`.trimEnd()
}
