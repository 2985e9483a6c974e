import { Schema } from "effect"
import { Settings } from "../src/index.ts"
import { arnicaUrl, deviceClientId, issuer } from "./FakeArnica.ts"

/** Settings that lead to the fake. */
export const settingsOf = (overrides: Partial<typeof Settings.Encoded> = {}) =>
  Schema.decodeUnknownSync(Settings)({
    arnica_url: arnicaUrl,
    issuer,
    device_client_id: deviceClientId,
    ...overrides
  })
