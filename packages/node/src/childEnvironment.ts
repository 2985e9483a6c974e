/** The environment of programs that have no business with what was meant for Keyfob: secrets above all. */
export const withoutSecrets = (): Readonly<Record<string, string | undefined>> =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("KEYFOB_")))
