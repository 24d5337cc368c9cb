"""Disk use and retention as `status` tells them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from core import retention
from core.disk import DiskGauge
from core.retention import HOLDS, Hold, RetentionPolicy
from core.settings import Settings

_STEP = 1024


def describe_disk(session: Session, settings: Settings) -> dict[str, Any]:
    """Return what the data folder holds and what the disk has left, in bytes."""
    use = DiskGauge(settings).measure(session)
    return asdict(use) | {"is_full": use.is_full}


def describe_retention(session: Session, settings: Settings, *, at: datetime) -> dict[str, Any]:
    """Return how many studies go next, and what holds the others."""
    policy = RetentionPolicy.of(settings)
    found = retention.overview(session, policy, at=at)
    return {
        "days": policy.days,
        "oldest": found.oldest,
        "purged": found.purged,
        "due": found.holds[Hold.DUE],
        "held": {hold: found.holds[hold] for hold in HOLDS if hold is not Hold.DUE},
    }


def disk_lines(disk: dict[str, Any], kept: dict[str, Any]) -> list[str]:
    """Return both for a person at a terminal."""
    folders = ", ".join(
        f"{name} {in_words(use['bytes'])}" for name, use in disk["folders"].items() if use["files"]
    )
    watermark = in_words(disk["minimum_free_bytes"])
    free = f"{in_words(disk['free_bytes'])} free of {in_words(disk['total_bytes'])}"
    full = ": FULL, nothing is taken any more" if disk["is_full"] else ""
    lines = [f"Disk        {folders or 'nothing kept'}; {free}, at least {watermark} wanted{full}"]
    if kept["oldest"] is None:
        return lines
    oldest = f"the oldest of {kept['oldest'].astimezone():%Y-%m-%d}"
    held = [f"{HOLDS[hold]}: {number}" for hold, number in kept["held"].items() if number]
    held += [f"{HOLDS[Hold.DUE]}: {kept['due']}"] if kept["due"] else []
    lines.append(f"Kept        {oldest}, {kept['days']} days, {kept['purged']} purged")
    return [*lines, *(f"            {words}" for words in held)]


def in_words(size_bytes: float) -> str:
    """Return a size with a unit that fits it."""
    for unit in ("B", "KB", "MB", "GB"):
        if size_bytes < _STEP:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= _STEP
    return f"{size_bytes:.1f} TB"
