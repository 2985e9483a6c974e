/** The `keyfob` command. A token that is fresh is printed by as little code as it takes; all else is the whole command's. */
import { cached } from "./cached.ts"

if (!(await cached(process.argv.slice(2)))) await import("./cli.ts")
