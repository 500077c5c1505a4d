// Role: the error of a command that was called wrongly: exit status 2. State: none. Must not know: any command.

/** What was wrong with the arguments, in one line. */
export class Misuse extends Error {}
