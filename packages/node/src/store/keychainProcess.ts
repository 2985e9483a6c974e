/** What the keychain's process is asked, what it answers, and its program. */

export interface Question {
  readonly operation: "get" | "set" | "remove"
  readonly service: string
  readonly name: string
  readonly text?: string
}

/** `text` of an entry that is there, `existed` of one that was removed. */
export type Answer = { readonly text?: string | null; readonly existed?: boolean } | Failed
export interface Failed {
  readonly failure: string
}

/**
 * The program. Its text is handed to a Node of its own (`node --eval`), so nothing in it may refer to this file; the
 * path of @napi-rs/keyring is its argument. On Linux it is the Secret Service or nothing: the library would fall back to
 * the kernel's keyring, which forgets.
 */
export const program = () => {
  const path = process.argv[1] ?? ""
  const load = (): typeof import("@napi-rs/keyring") => process.getBuiltinModule("module").createRequire(path)(path)
  const answer = async ({ name, operation, service, text }: Question): Promise<Answer> => {
    const { AsyncEntry } = load()
    const entry = new AsyncEntry(service, name, { linux: { store: "secret-service" } })
    if (operation === "get") return { text: await entry.getPassword() }
    if (operation === "remove") return { existed: await entry.deletePassword() }
    await entry.setPassword(text ?? "")
    return {}
  }
  process.on("message", (question: Question) => {
    answer(question).then(
      (it) => process.send?.(it),
      (cause) => process.send?.({ failure: cause instanceof Error ? cause.message : String(cause) })
    )
  })
}
