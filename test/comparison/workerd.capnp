# A Worker that calls an entrypoint of its own over Workers RPC, behind HTTP on a Unix socket.

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(
    name = "main",
    worker = (
      modules = [
        (name = "worker.js", esModule = embed "worker.js"),
        (name = "probes.js", esModule = embed "probes.js"),
      ],
      compatibilityDate = "2026-08-01",
      bindings = [(name = "SERVED", service = (name = "main", entrypoint = "Served"))],
    ),
  )],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
