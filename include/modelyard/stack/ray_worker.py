"""What each Ray worker of the stack does first."""

from __future__ import annotations

SETUP_HOOK = "__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR"
"""Where Ray's worker looks for the function to call; the official setting is one job's only."""
HOOK = "modelyard.stack.ray_worker.listen_on_loopback"
EVERYWHERE, LOOPBACK = "[::]", "127.0.0.1"


def listen_on_loopback() -> None:
    """Keep Serve's replicas to this machine.

    Each listens for the others on every interface, whatever the node's address is, and unpickles
    what it is sent: anybody on the network could run code.
    """
    from ray._common import tls_utils

    listen = tls_utils.add_port_to_grpc_server

    def on_loopback(server: object, address: str) -> int:
        return int(listen(server, address.replace(EVERYWHERE, LOOPBACK)))

    tls_utils.add_port_to_grpc_server = on_loopback
