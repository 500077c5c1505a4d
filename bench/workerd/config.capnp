# What the benchmark of the bridge calls: one class of durable objects, by the debug port.

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(
    name = "main",
    worker = (
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      compatibilityDate = "2026-08-01",
      durableObjectNamespaces = [(className = "Bench", uniqueKey = "capstan-bench-bridge")],
      durableObjectStorage = (inMemory = void),
    ),
  )],
);
