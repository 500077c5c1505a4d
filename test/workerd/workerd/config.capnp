# A Worker with one Durable Object class, reached by the debug port alone, that echoes, makes and describes values. A second one of
# an older date, whose errors go in V8's own form.

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      compatibilityDate = "2026-08-01",
      durableObjectNamespaces = [(className = "Values", uniqueKey = "capstan-values")],
      durableObjectStorage = (inMemory = void),
      bindings = [(name = "VALUES", durableObjectNamespace = "Values")],
    )),
    (name = "older", worker = (
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      compatibilityDate = "2025-08-01",
      durableObjectNamespaces = [(className = "Values", uniqueKey = "capstan-values-older")],
      durableObjectStorage = (inMemory = void),
    )),
  ],
);
