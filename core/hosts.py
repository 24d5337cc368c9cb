"""Whether a peer's address is a host that the settings name."""

from __future__ import annotations

import ipaddress
import socket


def is_same_host(configured: str, address: str) -> bool:
    """Tell whether a peer's address is one of a configured host's."""
    try:
        known = {row[4][0] for row in socket.getaddrinfo(configured, None)}
    except OSError:
        return False
    return address.removeprefix("::ffff:") in known


def is_loopback(address: str) -> bool:
    """Tell whether an address is this machine's own, as only its own programs have it."""
    try:
        return ipaddress.ip_address(address.removeprefix("::ffff:")).is_loopback
    except ValueError:
        return False
