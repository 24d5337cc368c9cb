"""Processes that never outlive the one that started them."""

from __future__ import annotations

import ctypes
import os
import signal
import socket

_PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with_parent(parent: int | None = None) -> None:
    """Ask the kernel to kill this process when its parent dies, however that happens.

    Everything of ours survives a kill: files are durable before they are answered, work is leased.
    On systems without prctl(2) nothing happens.

    Args:
        parent: Its process id. If that one has died since it forked, before the kernel was asked,
            this process ends at once: nobody would ever end it, and it would keep its ports.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def name_of_process(role: str) -> str:
    """Return a name that tells this process from all others: role, host and pid."""
    return f"{role}@{socket.gethostname()}:{os.getpid()}"


def usable_cores() -> int:
    """Return how many cores this process may run on, which a container may have limited."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
