/**
 * Lets plain Node run the library from its sources, as vitest does: `keyfob` is what stands in packages/core/src now, or
 * in another folder that KEYFOB_SOURCES names (an older one, or one with a mistake put in on purpose).
 */
import { registerHooks } from "node:module"
import { pathToFileURL } from "node:url"

const folder = process.env["KEYFOB_SOURCES"]
const sources =
  folder === undefined
    ? new URL("../../../core/src/index.ts", import.meta.url).href
    : pathToFileURL(`${folder}/index.ts`).href

export const useSources = () =>
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === "keyfob" ? { url: sources, shortCircuit: true } : next(specifier, context)
  })
