/** What a source says about some settings; `undefined` is silence. */
export type Partially<Settings> = { readonly [Name in keyof Settings]?: Settings[Name] | undefined }

/**
 * The settings that hold, where each later source outranks the ones before it:
 * `resolve(defaults, file, environment, flags)`.
 */
export const resolve = <Settings extends object>(
  defaults: Settings,
  ...sources: ReadonlyArray<Partially<NoInfer<Settings>>>
): Settings => sources.reduce<Settings>((settings, source) => ({ ...settings, ...spoken(source) }), defaults)

// Leaving out what is undefined is what turns the one type into the other; fromEntries cannot say so.
const spoken = <Settings>(source: Partially<Settings>) =>
  Object.fromEntries(Object.entries(source).filter(([, value]) => value !== undefined)) as Partial<Settings>
