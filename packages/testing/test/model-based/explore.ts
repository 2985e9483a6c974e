/** Random programs one after the other, and what to say when one of them breaks a law. */
import { print, type Program, random } from "./Program.ts"
import { type Result, run } from "./run.ts"

export const programLength = 120

/** The program without every step it can do without, as long as it breaks the same law. */
export const shorten = async (program: Program, law: string): Promise<Program> => {
  let best = program
  const breaks = async (candidate: Program) => (await run(candidate)).violation?.law === law
  const result = await run(best)
  const cut = { ...best, steps: best.steps.slice(0, (result.violation?.step ?? best.steps.length) + 1) }
  if (await breaks(cut)) best = cut
  for (let size = Math.ceil(best.steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let index = 0; index < best.steps.length;) {
      const candidate = { ...best, steps: best.steps.toSpliced(index, size) }
      if (await breaks(candidate)) best = candidate
      else index += size
    }
  }
  return best
}

const describe = async (seed: string, { violation }: Result): Promise<string> => {
  if (violation === undefined) return `seed ${seed}: no law was broken`
  const short = await shorten(random(seed, programLength), violation.law)
  const again = await run(short)
  return [
    `seed ${seed} broke a law: ${violation.law}`,
    `  ${violation.what}`,
    `again: node packages/testing/test/model-based/replay.ts "${seed}"`,
    `shortened to ${short.steps.length} steps (${again.violation?.what ?? "?"}):`,
    print(short)
  ].join("\n")
}

export const replay = async (seed: string): Promise<string> => describe(seed, await run(random(seed, programLength)))

export interface Exploration {
  readonly seed: string
  readonly steps: number
  readonly onProgress?: (steps: number, counts: Result["counts"]) => void
  /** What to do with a program that broke a law, before going on. Without it the first one ends the exploration. */
  readonly onFound?: (text: string) => void
}

export const explore = async ({ onFound, onProgress, seed, steps }: Exploration) => {
  let done = 0
  let operations = 0
  let programs = 0
  let broken = 0
  const total: Record<string, number> = {}
  while (done < steps) {
    const name = `${seed}/${programs}`
    const result = await run(random(name, programLength))
    programs++
    done += result.steps
    operations += result.operations
    for (const [what, count] of Object.entries(result.counts)) total[what] = (total[what] ?? 0) + count
    if (result.violation !== undefined) {
      const text = await describe(name, result)
      if (onFound === undefined) return { failed: true, steps: done, text }
      broken++
      onFound(text)
    }
    if (programs % 500 === 0) onProgress?.(done, { ...result.counts, ...total })
  }
  const text = `${done} steps in ${programs} programs, ${operations} operations; ${JSON.stringify(total)}; ${broken === 0 ? "no law was broken" : `${broken} programs broke a law`}`
  return { failed: broken > 0, steps: done, text }
}
