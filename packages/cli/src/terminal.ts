import { isatty } from "node:tty"

/** Whether somebody runs this on a terminal: one of the three streams is seldom taken off it with the others. */
export const isAtTerminal = () => [0, 1, 2].some((descriptor) => isatty(descriptor))
