# A Worker with a durable object and an entry point, both reachable by the debug port alone.

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
);
