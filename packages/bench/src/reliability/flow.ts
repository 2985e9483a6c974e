import { DeviceCode } from "keyfob"

/** How Alice signs in; kept as the command keeps it for provider `alice` of the context `default`. */
export const flowOf = (issuer: string) =>
  DeviceCode.make({ issuer, clientId: "keyfob-cli", account: "default/alice", scopes: ["openid", "offline_access"] })
