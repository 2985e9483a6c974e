import { clients } from "../model/Settings.ts"

/** A first tour, for a shell. */
export const commands = (issuer: string): ReadonlyArray<string> => [
  "export KEYFOB_HOME=$(mktemp -d)    # leaves your own settings alone",
  `keyfob login demo --issuer ${issuer} --client-id ${clients.cli.client_id} --flow device \\`,
  '  --scope "openid profile email offline_access api:read"',
  "keyfob status",
  `keyfob curl demo -- ${issuer}/api/me`,
  "keyfob refresh demo --force",
  "keyfob logout demo"
]
