/** The whole command: its tree, and how a run of it reports its end. Its caller provides the platform. */
import * as Effect from "effect/Effect"
import * as CliConfig from "effect/cli/CliConfig"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as behind from "./behind.ts"
import { aqt } from "./commands/aqt/aqt.ts"
import { context } from "./commands/context/context.ts"
import { credential } from "./commands/credential/credential.ts"
import { curl } from "./commands/curl.ts"
import { decode } from "./commands/decode.ts"
import { doctor } from "./commands/doctor.ts"
import { exec } from "./commands/exec.ts"
import { explain } from "./commands/explain.ts"
import { header } from "./commands/header.ts"
import { introspect } from "./commands/introspect.ts"
import { keepalive } from "./commands/keepalive.ts"
import { login } from "./commands/login.ts"
import { logout } from "./commands/logout.ts"
import { playground } from "./commands/playground.ts"
import { provider } from "./commands/provider/provider.ts"
import { refresh } from "./commands/refresh.ts"
import { sansIo } from "./commands/sansIo.ts"
import { schedule } from "./commands/schedule.ts"
import { status } from "./commands/status.ts"
import { store } from "./commands/store/store.ts"
import { token } from "./commands/token.ts"
import { userinfo } from "./commands/userinfo.ts"
import { verify } from "./commands/verify.ts"
import * as globalFlags from "./globalFlags.ts"
import { outputModeOf } from "./globals.ts"
import * as help from "./help.ts"
import * as logging from "./logging.ts"
import { complain } from "./output.ts"
import { reportOfCause } from "./report.ts"

const keyfob = Command.make("keyfob").pipe(
  Command.withDescription("Sign in to any OAuth 2 / OpenID Connect provider, get a valid token, sign out"),
  Command.withSubcommands([
    login,
    logout,
    status,
    token,
    refresh,
    keepalive,
    schedule,
    explain,
    sansIo,
    header,
    exec,
    curl,
    userinfo,
    introspect,
    decode,
    verify,
    context,
    provider,
    aqt,
    credential,
    store,
    doctor,
    playground
  ]),
  Command.withGlobalFlags(globalFlags.flags)
)

/** Runs a command line. `output` is what `KEYFOB_OUTPUT` says. */
export const run = (
  args: ReadonlyArray<string>,
  { output, version }: { readonly output: string | undefined; readonly version: string }
) => {
  // Also for errors that come before the flags are parsed.
  const mode = outputModeOf(args, output)
  return Command.runWith(keyfob, { version })(args).pipe(
    Effect.tapCause((cause) => {
      const report = reportOfCause(cause)
      return report === undefined ? Effect.void : complain(mode, report)
    }),
    Effect.provideService(behind.Behind, behind.of(args)),
    Effect.provide([
      logging.layer(mode),
      help.layer,
      CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, globalFlags.Completions, GlobalFlag.LogLevel] })
    ])
  )
}
