/** The configuration file: can it be read, and is there anything to say about it. */
import type * as Configuration from "@keyfob/node/Configuration"
import { type Finding, ok, warning } from "./finding.ts"

export const configuration = ({ contexts, path, warnings }: Configuration.Configuration): ReadonlyArray<Finding> => {
  const providers = [...contexts.values()].reduce((sum, context) => sum + context.providers.size, 0)
  return warnings.length === 0
    ? [ok("config", `${path}: contexts ${contexts.size}, providers ${providers}`)]
    : warnings.map((text) => warning("config", text, "Correct the file"))
}
