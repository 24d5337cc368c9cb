"""How far the audit trail was sent: read by the shipper, `taqrir status` and the metrics.

Every file has an offset of its own, so that nothing depends on when a day ends: a process that is
late may still add to yesterday's file. A file that the site has moved away is forgotten.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.audit_files import AuditFiles
from core.settings import Settings

_LINE_END = b"\n"
_WHOLE_LINE = re.compile(rb"<AuditMessage>.*</AuditMessage>")
_MOMENT = re.compile(rb' EventDateTime="([0-9T:.+-]+)"')
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class ShippingState:
    """What an operator must know of the trail.

    Attributes:
        is_shipped: An audit repository is configured.
        messages: How many messages wait for it.
        oldest_seconds: How old the oldest of them is; 0 where none waits.
        unwritten_since: Since when messages could not even be written; None where all were.
    """

    is_shipped: bool
    messages: int = 0
    oldest_seconds: float = 0.0
    unwritten_since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Whole messages of one file, and where the file goes on behind them.

    Attributes:
        torn: Lines that are no message: a process was killed while it wrote them.
    """

    path: Path
    lines: tuple[bytes, ...]
    torn: int
    end: int


class Backlog:
    """What of the files waits to be sent."""

    def __init__(self, files: AuditFiles) -> None:
        self._files = files
        self._state = files.folder / "shipped.json"

    def next_batch(self, longest_bytes: int) -> Batch | None:
        """Return the oldest messages that were not sent, None where all were.

        Memory is bounded by `longest_bytes`; no message of ours comes near it.
        """
        for path, start in self._waiting(self._offsets()):
            with path.open("rb") as file:
                file.seek(start)
                chunk = file.read(longest_bytes)
            # What no line feed ends is still being written; a chunk without any is not ours.
            cut = chunk.rfind(_LINE_END) + 1 or (len(chunk) if len(chunk) == longest_bytes else 0)
            if not cut:
                continue
            lines = [line for line in chunk[:cut].split(_LINE_END) if line]
            whole = tuple(line for line in lines if _WHOLE_LINE.fullmatch(line))
            torn = len(lines) - len(whole)
            return Batch(path=path, lines=whole, torn=torn, end=start + cut)
        return None

    def mark_sent(self, batch: Batch) -> None:
        """Remember, through any crash, that a batch need not be sent again.

        Raises:
            OSError: It could not be remembered; the batch will be sent twice.
        """
        present = {path.name for path in self._files.days()}
        kept = {name: end for name, end in self._offsets().items() if name in present}
        kept[batch.path.name] = batch.end
        written = self._state.with_suffix(".new")
        descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(kept, file)
        written.replace(self._state)

    def count(self) -> tuple[int, datetime | None]:
        """Return how many messages wait, and when the oldest of them happened."""
        messages = 0
        oldest: datetime | None = None
        for path, start in self._waiting(self._offsets()):
            with path.open("rb") as file:
                file.seek(start)
                while chunk := file.read(_CHUNK_BYTES):
                    if oldest is None and (found := _MOMENT.search(chunk)):
                        oldest = datetime.fromisoformat(found[1].decode("ascii"))
                    messages += chunk.count(_LINE_END)
        return messages, oldest

    def _waiting(self, offsets: dict[str, int]) -> Iterator[tuple[Path, int]]:
        """Yield the files that hold more than was sent, with how far that is."""
        for path in self._files.days():
            try:
                size = path.stat().st_size
            except FileNotFoundError:
                continue
            sent = offsets.get(path.name, 0)
            # A file that became shorter was begun anew by somebody else.
            start = sent if sent <= size else 0
            if size > start:
                yield path, start

    def _offsets(self) -> dict[str, int]:
        """Return how far each file was sent; where nobody knows, everything is sent again."""
        try:
            offsets = json.loads(self._state.read_text(encoding="ascii"))
            return {str(name): int(end) for name, end in offsets.items()}
        except (FileNotFoundError, ValueError, AttributeError, TypeError):
            return {}


def shipping_state(settings: Settings, *, at: datetime) -> ShippingState:
    """Return how the audit trail fares: what waits for the repository, what is missing."""
    files = AuditFiles(settings.data_dir)
    since = files.unwritten_since()
    if settings.audit.syslog is None:
        return ShippingState(is_shipped=False, unwritten_since=since)
    messages, oldest = Backlog(files).count()
    return ShippingState(
        is_shipped=True,
        messages=messages,
        oldest_seconds=max((at - oldest).total_seconds(), 0.0) if oldest else 0.0,
        unwritten_since=since,
    )
