"""Ports for servers that are to be started: no two processes of tests are given the same."""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Iterator
from itertools import cycle

# Below what a kernel gives to outgoing connections (Linux from 32768, others from 49152), so that
# no connection takes a port between the choice of it and the start of its server.
_FIRST, _LAST, _BLOCK = 20_000, 32_000, 100


def free_port() -> int:
    """Return a TCP port of the loopback that nobody listens on right now.

    Each process has a block of its own and goes through it, so that a port returns late.

    Raises:
        OSError: All are in use.
    """
    for port in _next_ports():
        if _is_free(port):
            return port
    raise OSError("every port of this process's block is in use")


def _next_ports() -> Iterator[int]:
    ports = _ports(os.getpid())
    return (next(ports) for _ in range(_BLOCK - 1))


@functools.cache
def _ports(process: int) -> Iterator[int]:
    """Claim a block for a process: a child that was forked claims another."""
    blocks = range(_FIRST, _LAST, _BLOCK)
    # Processes that start together look at different blocks first.
    at = process % len(blocks)
    for first in (*blocks[at:], *blocks[:at]):
        if _claim(first):
            return cycle(range(first + 1, first + _BLOCK))
    raise OSError("every block of ports is claimed by other processes")


# Kept open: the kernel gives a claim back when its process has ended, however that was.
_claims: list[socket.socket] = []


def _claim(first: int) -> bool:
    """Say whether the block was claimed now, by the UDP port of its first number."""
    claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        claim.bind(("127.0.0.1", first))
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
