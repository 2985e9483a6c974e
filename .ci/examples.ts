/** What docs.ts and packaging.ts share: finding the examples of a page, a provider for them to talk to, and running things. */
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { type DocsProvider, start } from "./docs-provider.ts"

/** A fenced ```ts block. `line` is the line of its fence, `name` comes from a first line `// file: NAME.ts`. */
export interface Example {
  readonly page: string
  readonly line: number
  readonly run: boolean
  readonly name: string | undefined
  readonly code: string
}

export const examplesOf = (page: string): ReadonlyArray<Example> => {
  const examples: Array<Example> = []
  let open:
    | { readonly fence: string; readonly info: string; readonly line: number; readonly code: Array<string> }
    | undefined
  for (const [index, text] of readFileSync(page, "utf8").split("\n").entries()) {
    if (open === undefined) {
      const [, fence, info = ""] = /^(`{3,})(.*)$/.exec(text) ?? []
      if (fence !== undefined) open = { fence, info, line: index + 1, code: [] }
    } else if (text.trimEnd() === open.fence) {
      const [language, ...words] = open.info.trim().split(/\s+/)
      if (language === "ts") {
        const name = /^\/\/ file: (\S+\.ts)\s*$/.exec(open.code[0] ?? "")?.[1]
        examples.push({ page, line: open.line, run: words.includes("run"), name, code: `${open.code.join("\n")}\n` })
      }
      open = undefined
    } else open.code.push(text)
  }
  if (open !== undefined) throw new Error(`${page}:${open.line}  this fence is never closed`)
  return examples
}

/** Brings the provider that running examples talk to. */
export const withProvider = async (use: (provider: DocsProvider) => Promise<void>) => {
  const provider = await start()
  try {
    await use(provider)
  } finally {
    await provider.stop()
  }
}

/** Runs a command to its end (not blocking the provider above): whether it exited 0, and all it printed. */
export const run = (cwd: string, command: string, args: ReadonlyArray<string>, provider?: DocsProvider) =>
  new Promise<{ readonly ok: boolean; readonly output: string }>((resolve, reject) => {
    const env = { ...process.env, ...provider?.env }
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], timeout: 180_000 })
    let output = ""
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text
        provider?.approve(output)
      })
    child.on("error", reject).on("close", (code) => resolve({ ok: code === 0, output }))
  })

/** The same, where anything but exit 0 ends the check. */
export const must = async (cwd: string, command: string, args: ReadonlyArray<string>, provider?: DocsProvider) => {
  const { ok, output } = await run(cwd, command, args, provider)
  if (!ok) throw new Error(`${[command, ...args].join(" ")}\n${output}`)
  return output
}

/** Ends a script with the sentence, not with a stack trace. */
export const main = (script: () => Promise<void>) =>
  script().catch((cause: unknown) => {
    console.error(cause instanceof Error ? cause.message : cause)
    process.exitCode = 1
  })
