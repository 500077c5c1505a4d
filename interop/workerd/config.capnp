# A Worker with one Durable Object class, reachable by the debug port alone: no socket.

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(
    name = "main",
    worker = (
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      compatibilityDate = "2026-08-01",
      durableObjectNamespaces = [(className = "Room", uniqueKey = "capstan-interop-room")],
      durableObjectStorage = (inMemory = void),
    ),
  )],
);
