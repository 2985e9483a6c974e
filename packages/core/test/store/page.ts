/** What a page has, in Node: storage made here, and Node's own Web Locks. */
import type { BrowserCredentialStore } from "keyfob"

export const pageStorage = (): BrowserCredentialStore.PageStorage => {
  const items = new Map<string, string>()
  return {
    get length() {
      return items.size
    },
    key: (index) => [...items.keys()][index] ?? null,
    getItem: (name) => items.get(name) ?? null,
    setItem: (name, value) => void items.set(name, value),
    removeItem: (name) => void items.delete(name)
  }
}

export const pageLocks: BrowserCredentialStore.PageLocks = navigator.locks
