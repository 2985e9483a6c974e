/** The operating system's word for what was caught from `node:fs`: `ENOENT`, `EACCES`, … */
export const errno = (cause: unknown) =>
  cause instanceof Error && "code" in cause ? String(cause.code) : String(cause)
