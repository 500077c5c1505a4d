// Faults that are planted in the collection: the model has to find each.

/** What each leaves out. */
export const FAULTS = {
  "a process is not asked": "the objects that another process holds are held by nobody",
  "no barrier": "nobody is asked again whether he was reached since he was condemned",
  "no second look": "the store is not read again after all were condemned",
  "pending writes": "values that the store does not show yet hold nobody",
  "reads under way": "what a read gives that began before the round is not waited for",
  "references on their way": "a reference that was sent is held by nobody until it arrives",
  attachments: "what is attached to a socket holds nobody",
  "parameters of facets": "a facet holds its object alone",
  alarms: "an alarm does not hold its object",
  "saved references": "a saved reference holds nobody",
  "candidates in the store": "who loses a holder in the store is not noted",
  "candidates in memory": "who loses a holder in a process is not noted",
  "ended processes": "nobody is looked at after a process has ended",
  "hook not noted": "that a hook is going to run is not written before it runs",
  "edges stay": "who is gone goes on holding others",
} as const;

export type Fault = keyof typeof FAULTS;
