# A Worker with an entrypoint and a Durable Object class that both serve fetch, reached by the debug port alone.

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(
    name = "main",
    worker = (
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      compatibilityDate = "2026-08-01",
      durableObjectNamespaces = [(className = "Room", uniqueKey = "capstan-http-room")],
      durableObjectStorage = (inMemory = void),
    ),
  )],
);
