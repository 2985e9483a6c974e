/** The whole command: its tree, what it runs on, and how it ends. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as UserDirectories from "effect/persistence/UserDirectories"
import * as CliConfig from "effect/cli/CliConfig"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import { context } from "./commands/context/context.ts"
import { decode } from "./commands/decode.ts"
import { doctor } from "./commands/doctor.ts"
import { header } from "./commands/header.ts"
import { login } from "./commands/login.ts"
import { logout } from "./commands/logout.ts"
import { playground } from "./commands/playground.ts"
import { refresh } from "./commands/refresh.ts"
import { status } from "./commands/status.ts"
import { token } from "./commands/token.ts"
import { userinfo } from "./commands/userinfo.ts"
import { verify } from "./commands/verify.ts"
import * as globalFlags from "./globalFlags.ts"
import { outputModeOf } from "./globals.ts"
import * as help from "./help.ts"
import * as logging from "./logging.ts"
import { complain } from "./output.ts"
import { reportOfCause } from "./report.ts"
import { teardown } from "./teardown.ts"

/** Put in by the bundler. */
declare const KEYFOB_VERSION: string

const keyfob = Command.make("keyfob").pipe(
  Command.withDescription("Sign in to any OAuth 2 / OpenID Connect provider, get a valid token, sign out"),
  Command.withSubcommands([
    login,
    logout,
    status,
    token,
    refresh,
    header,
    userinfo,
    decode,
    verify,
    context,
    doctor,
    playground
  ]),
  Command.withGlobalFlags(globalFlags.flags)
)

// An error may come before the flags are understood, and is still told the way they ask for.
const mode = outputModeOf(process.argv.slice(2), process.env["KEYFOB_OUTPUT"])

Command.run(keyfob, { version: KEYFOB_VERSION }).pipe(
  Effect.tapCause((cause) => {
    const report = reportOfCause(cause)
    return report === undefined ? Effect.void : complain(mode, report)
  }),
  Effect.provide([
    NodeServices.layer,
    UserDirectories.layer,
    logging.layer(mode),
    help.layer,
    CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions, GlobalFlag.LogLevel] })
  ]),
  NodeRuntime.runMain({ disableErrorReporting: true, teardown })
)
