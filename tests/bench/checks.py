"""What a rate does not tell: many associations, silent peers, flat memory, the index's pace."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench import process_tree
from bench.data import Load
from bench.receivers import SENDERS, Running, Taqrir, storescu
from bench.rounds import run_fresh, send_at_once, wait_until_done
from bench.table import Target
from bench.wire import Sender, SmallImages, associate_request, data_pdu, store_command

_ASSOCIATIONS, _INSTANCES_EACH = 200, 20
_PACE_QUIET_SECONDS = 3.0
_STATE_POLL_SECONDS = 0.02
# Memory is compared once these are through: by then every buffer has been used.
_WARM_INSTANCES = 2_000
_FLAT_MB = 8.0
_STREAMS = 2

# Of one process: instances sent so far, resident MB.
_Series = list[tuple[int, float]]


def check_associations(folder: Path) -> Iterator[Target]:
    """Open 200 associations beside silent peers, then send 20 instances over each."""
    with run_fresh(Taqrir(durability="fsync").start, folder) as node:
        alone = _seconds_for_twenty(node)
        with _silent_peers(node.port):
            beside = _seconds_for_twenty(node)
            accepted, answered, slowest = _send_over_many(node.port)
        wait_until_done(node)
        stored = node.stored()[0]
    yield _count(f"{_ASSOCIATIONS} associations at once: accepted", accepted, _ASSOCIATIONS)
    wanted = _ASSOCIATIONS * _INSTANCES_EACH
    yield _count(f"{_ASSOCIATIONS} associations at once: answered Success", answered, wanted)
    yield _count(
        f"{_ASSOCIATIONS} associations at once: stored, 40 before",
        stored,
        wanted + 2 * _INSTANCES_EACH,
    )
    yield Target(
        name=f"{_ASSOCIATIONS} associations at once: slowest answer",
        value=slowest,
        wanted=None,
        unit=" s",
    )
    yield Target(
        name="20 instances beside silent peers take longer than alone by",
        value=beside - alone,
        # Whoever waited for one of them would wait for its time-out.
        wanted=1.0,
        is_most=True,
        unit=" s",
    )


def _count(name: str, value: float, wanted: float) -> Target:
    return Target(name=name, value=value, wanted=wanted)


def _seconds_for_twenty(node: Running) -> float:
    images = SmallImages()
    began = time.perf_counter()
    with Sender(node.port, SENDERS[0]) as sender:
        for _ in range(_INSTANCES_EACH):
            sender.store(*images.next())
    return time.perf_counter() - began


@contextlib.contextmanager
def _silent_peers(port: int) -> Iterator[None]:
    """Hold connections that say nothing, half a PDU, and half a C-STORE."""
    request = associate_request(SENDERS[0], "TAQRIR")
    with contextlib.ExitStack() as stack:
        for first_words in (b"", b"", b"", request[:3], request[: len(request) // 2]):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.sendall(first_words)
        half = Sender(port, SENDERS[0]).__enter__()
        stack.callback(half.connection.close)
        whole = data_pdu(store_command(1, "2.25.1"), 3) + data_pdu(bytes(1 << 16), 0)
        half.connection.sendall(whole[: len(whole) // 2])
        yield


def _send_over_many(port: int) -> tuple[int, int, float]:
    """Return how many associations were accepted, objects answered Success, the slowest answer."""
    everybody = threading.Barrier(_ASSOCIATIONS)

    def send(number: int) -> tuple[int, int, float]:
        images, answered, slowest = SmallImages(), 0, 0.0
        try:
            with Sender(port, SENDERS[1 + number % (len(SENDERS) - 1)]) as sender:
                everybody.wait(120)
                for _ in range(_INSTANCES_EACH):
                    image = images.next()
                    began = time.perf_counter()
                    answered += sender.store(*image) == 0
                    slowest = max(slowest, time.perf_counter() - began)
        except threading.BrokenBarrierError:
            return 1, 0, 0.0
        except OSError:
            everybody.abort()
            return 0, answered, slowest
        return 1, answered, slowest

    with ThreadPoolExecutor(_ASSOCIATIONS) as pool:
        done = list(pool.map(send, range(_ASSOCIATIONS)))
    accepted, answered, slowest = zip(*done, strict=True)
    return sum(accepted), sum(answered), max(slowest)


def check_flat_memory(folder: Path, instances: int) -> Iterator[Target]:
    """Send many small instances; compare the resident memory of each process over them."""
    with run_fresh(Taqrir(durability="fsync").start, folder) as node:
        warm = _send_small(node, _WARM_INSTANCES)[0]
        sent, samples = _send_small(node, instances)
        stored = node.stored()[0]
        names = {pid: process_tree.name_of(pid) for pid in samples}
    yield _count(f"{sent} small instances: stored (with {warm} before)", stored, sent + warm)
    for pid, series in samples.items():
        growth, slope = _growth(series)
        yield Target(
            name=f"{sent} small instances: growth of {names[pid]} ({slope:.0f} kB per 1,000)",
            value=growth,
            wanted=_FLAT_MB,
            is_most=True,
            unit=" MB",
        )


def _send_small(node: Running, instances: int) -> tuple[int, dict[int, _Series]]:
    """Send small instances; return how many, and each process's memory until all are indexed."""
    samples: dict[int, _Series] = {}
    sent = _Counter()
    streams = [
        threading.Thread(target=_stream, args=(node.port, title, instances // _STREAMS, sent))
        for title in SENDERS[1 : 1 + _STREAMS]
    ]
    for stream in streams:
        stream.start()
    while any(stream.is_alive() for stream in streams) or not node.is_done():
        time.sleep(0.25)
        for pid in process_tree.tree(node.pid):
            size = process_tree.resident_kb(pid)[1] / 1024
            samples.setdefault(pid, []).append((sent.value, size))
    process_tree.settled_cpu_seconds(node.pid, timeout=10)
    return sent.value, samples


class _Counter:
    def __init__(self) -> None:
        self.value = 0
        self._lock = threading.Lock()

    def add(self) -> None:
        with self._lock:
            self.value += 1


def _stream(port: int, calling: str, count: int, sent: _Counter) -> None:
    images = SmallImages()
    with Sender(port, calling) as sender:
        for _ in range(count):
            if sender.store(*images.next()) == 0:
                sent.add()


def _growth(series: _Series) -> tuple[float, float]:
    """Return a process's growth in MB, and its slope in kB per 1,000 instances."""
    counts, sizes = zip(*series, strict=True)
    slope = np.polyfit(np.array(counts) / 1000, sizes, 1)[0] if len(set(counts)) > 1 else 0.0
    return sizes[-1] - sizes[0], float(slope) * 1024


def check_index_pace(folder: Path, load: Load) -> Iterator[Target]:
    """Send a study; measure how long past its quiet time it is QUEUED."""
    node_settings = Taqrir(durability="fsync", quiet_seconds=_PACE_QUIET_SECONDS)
    with run_fresh(node_settings.start, folder) as node:
        failure = send_at_once([storescu("TAQRIR")(node.port, load.files)])
        sent_at = time.time()
        queued_at = _await_queued(node.folder / "data" / "taqrir.db", sent_at + 120)
    late = None if queued_at is None or failure else queued_at - sent_at - _PACE_QUIET_SECONDS
    yield Target(
        name=f"index pace: QUEUED after {load} and {_PACE_QUIET_SECONDS:g} s of quiet, late by",
        value=late,
        wanted=1.0,
        is_most=True,
        unit=" s",
    )


def _await_queued(path: Path, deadline: float) -> float | None:
    """Return when the only study became QUEUED, as its row says, in seconds since the epoch."""
    with contextlib.closing(
        sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
    ) as database:
        while time.time() < deadline:
            rows = database.execute("SELECT state, state_changed_at FROM study").fetchall()
            if rows and all(state == "QUEUED" for state, _ in rows):
                return max(_moment(changed_at) for _, changed_at in rows)
            time.sleep(_STATE_POLL_SECONDS)
    return None


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
