"""Long work that goes on where it was broken off: a line for each thing done, several at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Event, Lock
from typing import Any, TypeVar

from core.errors import PermanentError, TransientError

_Item = TypeVar("_Item")


class LineFile:
    """A file of JSON lines that grows while several threads add to it."""

    def __init__(self, file: Path, first_key: str) -> None:
        """Remove what a kill left of a last line.

        Args:
            file: Need not be there.
            first_key: What every line of ours begins with, so that nothing else is removed.

        Raises:
            PermanentError: The file cannot be read or written.
        """
        self.file = file
        self._lock = Lock()
        try:
            data = file.read_bytes() if file.exists() else b""
            whole, _, rest = data.rpartition(b"\n")
            if rest and not _is_json(rest) and rest.startswith(f'{{"{first_key}"'.encode()):
                file.write_bytes(whole + b"\n" if whole else b"")
            elif rest:
                file.write_bytes(data + b"\n")
        except OSError as error:
            raise self._unusable(error) from None

    def add(self, record: dict[str, Any]) -> None:
        """Append a line.

        Raises:
            PermanentError: The file cannot be written.
        """
        line = json.dumps(record, ensure_ascii=False) + "\n"
        try:
            with self._lock, self.file.open("a", encoding="utf-8") as stream:
                stream.write(line)
        except OSError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: OSError) -> PermanentError:
        return PermanentError(f"{self.file} cannot be used: {error.strerror}.")


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def work_off(
    items: Mapping[str, _Item],
    work: Callable[[_Item, Event], None],
    *,
    at_once: int,
    kept: Path,
    on_done: Callable[[int], None] = lambda _: None,
) -> None:
    """Work on all items, several at once; the first error ends the run.

    What is in work when the run ends is finished, and nothing is begun any more.

    Args:
        items: By the names that an error tells.
        work: Given an item, and an event that is set when the run ends.
        at_once: Most items at the same time.
        kept: Where the work adds what is done.
        on_done: Told after each item how many are done.

    Raises:
        TransientError, PermanentError: What the work raised, with the item's name.
    """
    stopped = Event()

    def begin(item: _Item) -> bool:
        if stopped.is_set():
            return False
        try:
            work(item, stopped)
        except BaseException:
            stopped.set()
            raise
        return True

    with ThreadPoolExecutor(at_once, thread_name_prefix="evaluate") as threads:
        begun = {threads.submit(begin, item): name for name, item in items.items()}
        done = 0
        try:
            for future in as_completed(begun):
                name = begun[future]
                if future.result():
                    done += 1
                    on_done(done)
        except (TransientError, PermanentError) as error:
            kind = TransientError if isinstance(error, TransientError) else PermanentError
            raise kind(
                f"Question {name}: {error} {kept} keeps what is done; the same command does the "
                "rest."
            ) from None
        finally:
            stopped.set()
            threads.shutdown(wait=False, cancel_futures=True)
