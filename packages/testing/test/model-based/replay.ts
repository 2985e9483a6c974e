/**
 * Runs the one program of a seed again, and shortens it if it fails.
 *
 *     node packages/testing/test/model-based/replay.ts SEED
 */
import { useSources } from "./register.ts"

useSources()
const { replay } = await import("./explore.ts")
const [seed = ""] = process.argv.slice(2)
console.log(await replay(seed))
