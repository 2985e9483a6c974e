/** An exec plugin of Kubernetes clients (client.authentication.k8s.io): a token, and until when it may be kept. */
import * as Command from "effect/cli/Command"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { UsageError } from "../../failure.ts"
import * as fresh from "../../fresh.ts"
import { here } from "../../here.ts"
import { print, stringify } from "../../output.ts"
import * as level from "../../level.ts"
import * as secret from "../../secret.ts"
import * as target from "../../target.ts"
import { iso } from "../../text/time.ts"

export const kubectl = Command.make(
  "kubectl",
  {
    provider: target.argument,
    ...level.flags,
    ...secret.flags
  },
  Effect.fnUntraced(function* (flags) {
    const apiVersion = yield* asked
    const opened = yield* here
    const { expiresAt, value } = yield* fresh.bearer(opened, yield* target.one(opened, flags.provider, flags), flags)
    const until = expiresAt === undefined ? {} : { expirationTimestamp: iso(expiresAt) }
    yield* print(stringify({ apiVersion, kind: "ExecCredential", status: { token: Redacted.value(value), ...until } }))
  })
).pipe(Command.withDescription("An exec plugin of Kubernetes clients: users[].user.exec of a kubeconfig"))

const Info = Schema.fromJsonString(
  Schema.Struct({
    apiVersion: Schema.Literals(["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"])
  })
)

/** The version that the client speaks; by hand, without one, the latest. */
const asked = Effect.gen(function* () {
  const info = yield* Effect.option(Config.String("KUBERNETES_EXEC_INFO"))
  if (Option.isNone(info)) return "client.authentication.k8s.io/v1"
  const { apiVersion } = yield* Effect.mapError(
    Schema.decodeEffect(Info)(info.value),
    () =>
      new UsageError({
        message: "KUBERNETES_EXEC_INFO asks for a version of the protocol that this keyfob does not speak",
        remedy: "Set apiVersion: client.authentication.k8s.io/v1 in the kubeconfig"
      })
  )
  return apiVersion
})
