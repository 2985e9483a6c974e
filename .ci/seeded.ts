/**
 * Properties draw the same examples each time: what fails does so for everybody, and nothing does where nothing has changed.
 * `KEYFOB_SEED=1 npm run vitest -- packages/core` draws others.
 */
import { Arbitrary } from "effect"

Arbitrary.configureGlobal({ check: { seed: process.env["KEYFOB_SEED"] ?? "keyfob" } })
