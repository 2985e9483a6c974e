/** What is to be done when, earliest first: a binary heap, so that a hundred thousand cost no more than a few. */
export interface DueQueue<A> {
  readonly push: (due: number, value: A) => void
  /** When the next one is due; never, if there is none. */
  readonly next: () => number
  readonly pop: () => A | undefined
}

export const make = <A>(): DueQueue<A> => {
  const heap: Array<{ readonly due: number; readonly value: A }> = []
  const dueAt = (index: number) => heap[index]?.due ?? Infinity
  const swap = (one: number, other: number) => {
    const [a, b] = [heap[one], heap[other]]
    if (a !== undefined && b !== undefined) [heap[one], heap[other]] = [b, a]
  }
  return {
    push: (due, value) => {
      heap.push({ due, value })
      for (let index = heap.length - 1; index > 0;) {
        const parent = (index - 1) >> 1
        if (dueAt(parent) <= due) return
        swap(index, parent)
        index = parent
      }
    },
    next: () => dueAt(0),
    pop: () => {
      swap(0, heap.length - 1)
      const first = heap.pop()
      for (let index = 0; ;) {
        const left = 2 * index + 1
        const child = dueAt(left + 1) < dueAt(left) ? left + 1 : left
        if (dueAt(index) <= dueAt(child)) return first?.value
        swap(index, child)
        index = child
      }
    }
  }
}
