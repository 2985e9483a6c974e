import { assert, it } from "@effect/vitest"
import { resolve } from "../../src/config/Precedence.ts"

interface Settings {
  readonly context: string
  readonly output: "text" | "json"
  readonly nonInteractive: boolean
  readonly caFile?: string
}
const defaults: Settings = { context: "default", output: "text", nonInteractive: false }

it("defaults < file < environment < flags, and silence outranks nothing", () => {
  const file = { context: "file" }
  const environment = { context: "environment", output: undefined, nonInteractive: true, caFile: "/ca.pem" }
  const flags = { context: undefined, nonInteractive: false, caFile: undefined }
  assert.deepStrictEqual(resolve(defaults), defaults)
  assert.deepStrictEqual(resolve(defaults, file).context, "file")
  assert.deepStrictEqual(resolve(defaults, file, environment, flags), {
    context: "environment",
    output: "text",
    nonInteractive: false,
    caFile: "/ca.pem"
  })
})
