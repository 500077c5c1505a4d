// Three calls, each on the result of the one before, in one round trip; and the same three awaited one by one.
// node build/programs/examples/pipelining/main.js

import { connect, listen, RpcStub, RpcTarget, serve } from "capstan/node";

class Author extends RpcTarget {
  readonly name: string;
  constructor(name: string) {
    super();
    this.name = name;
  }
  books(): string[] {
    return [`${this.name}'s first`, `${this.name}'s second`];
  }
}

class Library extends RpcTarget {
  author(name: string): Author {
    return new Author(name);
  }
  review(title: string): string {
    return `"${title}": a fine book`;
  }
}

await using listener = await listen("tcp://:0", { bootstrap: serve(new Library()) });
await using session = await connect(listener.url);
using library = session.bootstrap(RpcStub<Library>);
await library.review("nothing"); // the connection is warm: what follows is counted alone

/** Runs `act`, and says how often something was sent. A program that waits for answers sends once a round trip. */
async function counted(what: string, act: () => Promise<string>): Promise<void> {
  const before = session.writes;
  const answer = await act();
  const trips = session.writes - before;
  console.log(`${what}: ${trips} round trip${trips === 1 ? "" : "s"}: ${answer}`);
}

await counted("pipelined", async () => {
  using author = library.author("Ada"); // not awaited: something to call, which is not here yet
  using books = author.books();
  return library.review(books[0]!); // a promise as an argument: the library's side puts its value there
});

await counted("awaited", async () => {
  using author = await library.author("Ada");
  const books = await author.books();
  return library.review(books[0]!);
});

await counted("for each book", async () => {
  using author = library.author("Ada");
  // The callback is written down, and run at the other side, once for each element.
  return (await author.books().map((title) => library.review(title))).join("; ");
});
