# The Worker of the matrix, which calls this process as the external service "remote".

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [
        (name = "worker.js", esModule = embed "worker.js"),
        (name = "values.js", esModule = embed "values.js"),
      ],
      compatibilityDate = "2026-08-01",
      compatibilityFlags = ["enable_abortsignal_rpc"],
      durableObjectNamespaces = [(className = "Keeper", uniqueKey = "capstan-matrix")],
      durableObjectStorage = (inMemory = void),
      bindings = [
        (name = "REMOTE", service = "remote"),
        (name = "KEEPER", durableObjectNamespace = "Keeper"),
      ],
    )),
    (name = "remote", external = (http = (capnpConnectHost = "rpc.test"))),
  ],
);
