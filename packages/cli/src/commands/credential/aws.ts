/**
 * A `credential_process` of AWS's tools and SDKs, in `~/.aws/config`:
 *
 *     [profile deploy]
 *     credential_process = keyfob credential aws work --role-arn arn:aws:iam::123456789012:role/deploy
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Flag from "effect/cli/Flag"
import * as Redacted from "effect/Redacted"
import * as fresh from "../../fresh.ts"
import { here } from "../../here.ts"
import { print, stringify } from "../../output.ts"
import * as secret from "../../secret.ts"
import * as target from "../../target.ts"
import { iso } from "../../text/time.ts"

export const aws = Command.make(
  "aws",
  {
    provider: target.argument,
    arn: Flag.String("role-arn").pipe(Flag.withMetavar("ARN"), Flag.withDescription("The role to assume")),
    sessionName: Flag.String("role-session-name").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("How its user is called in AWS's logs"),
      Flag.withDefault("keyfob")
    ),
    endpoint: Flag.String("endpoint-url").pipe(
      Flag.withMetavar("URL"),
      Flag.withDescription("Where STS is; a region's own is https://sts.REGION.amazonaws.com"),
      Flag.withDefault("https://sts.amazonaws.com")
    ),
    ...secret.flags
  },
  Effect.fnUntraced(function* ({ arn, endpoint, sessionName, ...flags }) {
    const opened = yield* here
    const provider = yield* target.one(opened, flags.provider, flags)
    const { AccessKeyId, Expiration, SecretAccessKey, SessionToken } = yield* fresh.awsCredentials(opened, provider, {
      arn,
      endpoint,
      sessionName
    })
    yield* print(
      stringify({
        Version: 1,
        AccessKeyId,
        SecretAccessKey: Redacted.value(SecretAccessKey),
        SessionToken: Redacted.value(SessionToken),
        Expiration: iso(Expiration)
      })
    )
  })
).pipe(Command.withDescription("A credential_process of AWS's tools: a role's credentials for the provider's token"))
