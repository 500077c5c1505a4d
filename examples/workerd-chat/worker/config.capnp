# The Worker, as workerd runs it. Where "chat" is, and where to listen, the command line says.

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [
        (name = "worker.js", esModule = embed "worker.js"),
        (name = "page.html", text = embed "page.html"),
        (name = "page.js.txt", text = embed "page.js"),
      ],
      compatibilityDate = "2026-08-01",
      durableObjectNamespaces = [(className = "Tally", uniqueKey = "workerd-chat-tally")],
      durableObjectStorage = (inMemory = void),
      bindings = [
        (name = "CHAT", service = "chat"),
        (name = "TALLY", durableObjectNamespace = "Tally"),
      ],
    )),
    # The entry point of the Capstan host: calls of its binding are Cap'n Proto.
    (name = "chat", external = (http = (capnpConnectHost = "chat"))),
  ],
  sockets = [(name = "http", http = (), service = "main")],
);
