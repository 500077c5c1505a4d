# A Worker with a durable object and an entry point, reachable by the debug port; the entry point by a socket, too.

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(
    name = "main",
    worker = (
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      compatibilityDate = "2026-08-01",
      durableObjectNamespaces = [(className = "Room", uniqueKey = "capstan-bridge-room")],
      durableObjectStorage = (inMemory = void),
      bindings = [(name = "ROOM", durableObjectNamespace = "Room")],
    ),
  )],
  sockets = [(
    name = "desk",
    address = "127.0.0.1:0",
    http = (capnpConnectHost = "rpc.test"),
    service = (name = "main", entrypoint = "Desk"),
  )],
);
