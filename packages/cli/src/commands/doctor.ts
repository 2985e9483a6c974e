import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Command from "effect/cli/Command"
import * as Configuration from "@keyfob/node/Configuration"
import { Directories } from "@keyfob/node/Directories"
import { budget } from "../doctor/budget.ts"
import { configuration } from "../doctor/configuration.ts"
import { credentials } from "../doctor/credentials.ts"
import { environment } from "../doctor/environment.ts"
import { type Finding, problem } from "../doctor/finding.ts"
import { locks } from "../doctor/locks.ts"
import { provider } from "../doctor/provider.ts"
import { stores } from "../doctor/stores.ts"
import { ProblemsFound } from "../failure.ts"
import { Globals } from "../globalFlags.ts"
import type * as globals from "../globals.ts"
import { answer } from "../output.ts"
import { types } from "../types.ts"
import * as workspace from "../workspace.ts"

/** Ends with 0 where there is no problem, else with the code of the first one; warnings change nothing. */
export const doctor = Command.make(
  "doctor",
  {},
  Effect.fnUntraced(function* () {
    const globals = yield* Globals
    const findings = yield* examine(globals)
    yield* answer(
      globals,
      findings.map(({ check, detail, remedy, status }) => ({ check, status, detail, remedy })),
      () => findings.map(paragraph).join("\n")
    )
    const problems = findings.filter(({ status }) => status === "problem")
    const [first] = problems
    if (first !== undefined) {
      return yield* new ProblemsFound({ count: problems.length, exitCode: first.exitCode ?? 2 })
    }
  })
).pipe(Command.withDescription("Look for what could stand in the way: configuration, files, stores, network, clocks"))

const examine = Effect.fnUntraced(function* (globals: globals.Globals) {
  const directories = yield* Directories.make
  const around = [
    ...(yield* environment(globals)),
    ...(yield* credentials(directories.credentials)),
    ...(yield* locks(directories.credentials))
  ]
  const read = yield* Effect.result(Configuration.read(globals.configFile ?? directories.configFile, types))
  if (Result.isFailure(read)) return [problem("config", read.failure), ...around]
  const opened = workspace.from(globals, directories, read.success)
  const providers = yield* Effect.result(workspace.providers(opened))
  if (Result.isFailure(providers)) {
    return [...configuration(read.success), ...around, problem("context", providers.failure)]
  }
  const kept = yield* stores(opened, providers.success)
  const seen = yield* Effect.forEach(
    providers.success,
    (one) => Effect.zipWith(provider(one, globals), budget(opened, one), (a, b) => [...a, ...b]),
    { concurrency: 8 }
  )
  return once([...configuration(read.success), ...around, ...kept, ...seen.flat()])
})

/** `auto` has plain files among its own. */
const once = (findings: ReadonlyArray<Finding>) => [
  ...new Map(findings.map((finding) => [`${finding.check}: ${finding.detail}`, finding])).values()
]

const paragraph = ({ check, detail, remedy, status }: Finding) =>
  `${status.padEnd(9)}${check}: ${detail}${remedy === undefined ? "" : `\n${" ".repeat(9)}${remedy}`}`
