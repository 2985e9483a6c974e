/** A name somebody gives on the command line. An empty one is a variable of a script that was never set, and names nobody. */
export const isName = (text: string) => text !== ""

export const emptyName = "a name that is not empty"
