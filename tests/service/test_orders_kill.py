"""kill -9 at random moments: what was answered AA is followed once, each MSH-10 arrives once.

As a program it goes on for as long as wished:
`python -m service.test_orders_kill --seeds 50` with `tests` on the path.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import socket
import tempfile
import threading
import time
from collections import defaultdict
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from harness import ScriptedRis, Site, Timing, film
from harness.feed import order
from harness.orders_process import start_process
from servers import free_port, wait_until
from servers.process import is_listening
from sqlalchemy import select

from core import messages, migration, ordering
from core.database import reading
from core.lifecycle import DeliveryState, MessageState, OrderState
from core.order_tables import Hl7Message, Order
from core.tables import Delivery
from hl7.ack import read_ack
from hl7.er7 import parse
from hl7.frame import FrameReader, frame

_MESSAGES, _STUDIES, _PATIENTS = 60, 6, 2
_KILLS = 3
_SETTLE_SECONDS = 60.0


class Victim:
    """The process that is killed, and its log."""

    def __init__(self, site: Site) -> None:
        self.port = free_port()
        self._config, self._log = site.config, site.folder / "victim.log"
        self._process: BaseProcess | None = None

    def start(self) -> None:
        process = self._process = start_process(self._config, self.port, self._log)
        wait_until(lambda: not process.is_alive() or is_listening(self.port), timeout=60)
        assert process.is_alive(), self._log.read_text()[-2000:]

    def told(self) -> str:
        is_alive = self._process is not None and self._process.is_alive()
        return f"alive: {is_alive}; its log ends:\n{self._log.read_text()[-4000:]}"

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.join(10)
        self._process.close()


def _send_all(port: int, contents: list[bytes], acknowledged: set[str]) -> None:
    """Send each message until it is answered AA, as a RIS does: in order, pipelined a little."""
    waiting = dict(enumerate(contents))
    while waiting:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as peer:
            peer.settimeout(10)
            reader = FrameReader(1 << 20)
            for numbers in _in_fives(sorted(waiting)):
                peer.sendall(b"".join(frame(waiting[n]) for n in numbers))
                missing = len(numbers)
                while missing:
                    chunk = peer.recv(1 << 16)
                    if not chunk:
                        raise OSError
                    for answer in reader.feed(chunk):
                        ack = read_ack(answer)
                        assert ack.code == "AA"
                        acknowledged.add(ack.control_id)
                        missing -= 1
                for number in numbers:
                    waiting.pop(number)
        time.sleep(0.02)


def _in_fives(numbers: list[int]) -> list[list[int]]:
    return [numbers[i : i + 5] for i in range(0, len(numbers), 5)]


def run(folder: Path, seed: int) -> None:
    """Kill the process some times while messages come and results go; then count."""
    chance = random.Random(seed)  # noqa: S311  moments, not secrets
    with ScriptedRis() as ris:
        # A busy machine answers late now and then: waits that double would outlast the test.
        timing = Timing(timeout_seconds=0.5, retry_seconds=0.1, retry_max_seconds=1)
        site = Site(folder, ris={"main": ris.port}, timing=timing)
        migration.migrate(site.engine)
        site.receive(
            *(
                film(PatientID=f"P{n % _PATIENTS}", AccessionNumber=f"ACC{n}")
                for n in range(_STUDIES)
            )
        )
        site.go_quiet()
        for study in range(1, _STUDIES + 1):
            site.draft(study)
        contents = [
            order(
                accession=f"ACC{n % _STUDIES}",
                patient=f"P{n % _STUDIES % _PATIENTS}",
                number=f"O{n}",
                control_id=f"ID{n}",
            )
            for n in range(_MESSAGES)
        ]
        acknowledged: set[str] = set()
        victim = Victim(site)
        victim.start()
        sender = threading.Thread(target=_send_all, args=(victim.port, contents, acknowledged))
        sender.start()
        for _ in range(_KILLS):
            time.sleep(chance.uniform(0.05, 0.6))
            victim.kill()
            victim.start()
        sender.join(_SETTLE_SECONDS)
        assert not sender.is_alive()

        def is_done() -> bool:
            with reading(site.engine) as session:
                counts = messages.count_messages(session)
            return not counts[MessageState.RECEIVED] and all(
                site.are_all(DeliveryState.SENT, study) for study in range(1, _STUDIES + 1)
            )

        try:
            wait_until(is_done, timeout=_SETTLE_SECONDS)
        except AssertionError as error:
            raise AssertionError(_told(site, victim)) from error
        victim.kill()
        _count(site, contents, acknowledged, ris.received)
        site.close()


def _told(site: Site, victim: Victim) -> str:
    """Return what is known where the process comes to no end."""
    with reading(site.engine) as session:
        rows = [
            (row.id, row.state, row.attempts, row.lease_until, row.next_attempt_at)
            for row in session.scalars(select(Delivery))
        ]
        counts = messages.count_messages(session)
    return f"{counts}\n{rows}\n{victim.told()}"


def _count(site: Site, contents: list[bytes], acknowledged: set[str], results: list[bytes]) -> None:
    with reading(site.engine) as session:
        rows = session.scalars(select(Hl7Message).order_by(Hl7Message.id)).all()
        orders = session.scalars(select(Order)).all()
        assert ordering.count_orders(session)[OrderState.ATTACHED] == _MESSAGES
    assert acknowledged == {f"ID{n}" for n in range(_MESSAGES)}
    assert sorted(row.content for row in rows) == sorted(contents)
    assert {(row.state, row.attempts) for row in rows} == {(MessageState.APPLIED, 1)}
    assert sorted(row.placer_number for row in orders) == sorted(f"O{n}" for n in range(_MESSAGES))
    sent: dict[str, set[bytes]] = defaultdict(set)
    in_order: dict[str, list[str]] = defaultdict(list)
    for result in results:
        parsed = parse(result)
        control_id = parsed.text("MSH", 10)
        if control_id not in sent:
            in_order[parsed.text("PID", 3)].append(parsed.text("OBR", 18))
        sent[control_id].add(result)
    # Each once; what was sent again was the same bytes; a patient's in their order.
    assert len(sent) == _STUDIES
    assert all(len(versions) == 1 for versions in sent.values())
    assert dict(in_order) == {
        f"P{p}": [f"ACC{n}" for n in range(p, _STUDIES, _PATIENTS)] for p in range(_PATIENTS)
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_was_acknowledged_is_followed_once_and_results_arrive_once(
    tmp_path: Path, seed: int
) -> None:
    run(tmp_path / "site", seed)


def main() -> None:
    """Run with as many seeds as are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    for seed in range(parser.parse_args().seeds):
        with tempfile.TemporaryDirectory() as folder:
            run(Path(folder) / "site", seed)
        print(f"seed {seed}: nothing lost, nothing twice")


if __name__ == "__main__":
    main()
