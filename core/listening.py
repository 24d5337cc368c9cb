"""Listening sockets of the node: opened once, inherited by every process that receives."""

from __future__ import annotations

import socket

from core.settings_node import NodeSettings

_BACKLOG = 1024


def open_listeners(node: NodeSettings) -> dict[str, socket.socket]:
    """Return the node's listening sockets, ``plain`` and ``tls`` as far as they are wanted.

    Raises:
        OSError: An address is taken, or is not ours.
    """
    sockets = {"plain": _listen(node.host, node.port)} if node.plain else {}
    if node.tls is not None:
        sockets["tls"] = _listen(node.host, node.tls.port)
    return sockets


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server(
        (host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=host == "::"
    )
    listener.set_inheritable(True)
    return listener
