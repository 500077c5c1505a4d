# A server of objects: rooms where people say things and others watch.

@0x9f1ab36a2cbd1e55;

interface Lobby {
  room @0 (name :Text) -> (room :Room);
  # The room of that name; it comes into being when it is first asked for.
}

interface Room {
  say @0 (author :Text, text :Text) -> (number :UInt32);
  # Says something; the answer is how many things were said before it, and one.

  history @1 () -> (messages :List(Message));

  watch @2 (watcher :Watcher) -> (watching :Watching);
  # Calls the watcher for everything said from now on, until the answer is dropped.
}

interface Watcher {
  said @0 (message :Message) -> ();
}

interface Watching {}

struct Message {
  author @0 :Text;
  text @1 :Text;
}
