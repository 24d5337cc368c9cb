"""An ORU reaches a RIS that is not ours: node-hl7-server, from npm."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from servers import free_port, program, running, wait_until

from core.errors import PeerRefusedError, TransientError
from core.report import (
    Language,
    ModelVersion,
    Narrative,
    Patient,
    Report,
    Section,
    SectionKind,
    StudyHeader,
    notices,
)
from hl7.mllp import send
from hl7.oru import build_oru

pytestmark = pytest.mark.peer

LISTENER = Path(__file__).parent / "mllp_listener"
ENGLISH = "No mass|nodule ^~\\& seen.\nOBX|9|TX|||not a segment\n\\X0D\\ 12 mm"
ARABIC = "الرئتان صافيتان|^~\\&.\n\u2067القلب\u2069 طبيعي؛ 12 مم"
REPORT = Report(
    narratives=tuple(
        Narrative(
            language=language,
            sections=tuple(
                Section(kind=kind, text=text)
                for kind in (SectionKind.FINDINGS, SectionKind.IMPRESSION, SectionKind.SUMMARY)
            ),
        )
        for language, text in ((Language.EN, ENGLISH), (Language.AR, ARABIC))
    ),
    model=ModelVersion(name="Demo", revision="0123456789ab", is_demonstration=True),
)
HEADER = StudyHeader(
    study_uid="1.2.3",
    patient=Patient(
        id="P&1", issuer="HOSP", name="Qabbani^Nizar=قباني^نزار", birth_date="19230321", sex="M"
    ),
    accession_number="A|1",
    study_date="20261122",
    modality="CR",
    description="صدر Chest ^ PA",
)
ORU = build_oru(
    report=REPORT,
    header=HEADER,
    control_id="PEER0001",
    created_at=datetime(2026, 11, 22, 9, 30, tzinfo=UTC),
    sending_application="TAQRIR",
    sending_facility="H",
    receiving_application="RIS",
    receiving_facility="H",
)


@dataclass(frozen=True, kw_only=True)
class Listener:
    port: int
    log: Path

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Callable[[str], Listener]]:
    """Start a foreign RIS that gives every message the same answer."""
    if not (LISTENER / "node_modules" / "node-hl7-server").is_dir():
        reason = "no node-hl7-server here: `make test-deps` installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    node = program("node")
    with ExitStack() as stack:

        def start(answer: str) -> Listener:
            found = Listener(port=free_port(), log=tmp_path / f"listener-{answer}.log")
            stack.enter_context(
                running(
                    [node, LISTENER / "listener.js", str(found.port), answer],
                    log=found.log,
                    is_ready=lambda: found.log.exists() and '"listening"' in found.log.read_text(),
                )
            )
            return found

        yield start


def field(segment: Any, number: int) -> Any:
    """Return repetitions of components of subcomponents; the listener leaves MSH-1 out."""
    place = number - (2 if segment["name"] == "MSH" else 1)
    return segment["fields"][place] if place < len(segment["fields"]) else []


def as_seen(text: str) -> str:
    # The package leaves line breaks as HL7 writes them.
    return text.replace("\n", "\\.br\\")


def test_a_foreign_ris_reads_every_word_of_both_languages(
    listener: Callable[[str], Listener],
) -> None:
    ris = listener("AA")
    ack = send("127.0.0.1", ris.port, ORU)
    assert (ack.code, ack.control_id) == ("AA", "PEER0001")
    segments = wait_until(lambda: ris.lines()[1:])[0]

    by_name = {s["name"]: s for s in segments}
    assert [s["name"] for s in segments][:4] == ["MSH", "PID", "ORC", "OBR"]
    assert field(by_name["MSH"], 10) == [[["PEER0001"]]]
    assert field(by_name["MSH"], 18) == [[["UNICODE UTF-8"]]]
    assert field(by_name["PID"], 3) == [[["P&1"], [], [], ["HOSP"]]]
    assert [name[:2] for name in field(by_name["PID"], 5)] == [
        [["Qabbani"], ["Nizar"]],
        [["قباني"], ["نزار"]],
    ]
    assert field(by_name["OBR"], 4) == [[[], ["صدر Chest ^ PA"]]]
    assert field(by_name["OBR"], 18) == [[["A|1"]]]
    assert field(by_name["OBR"], 25) == [[["R"]]]

    texts = [
        (field(s, 4)[0][0][0], field(s, 5)[0][0][0])
        for s in segments
        if s["name"] == "OBX" and field(s, 2) == [[["TX"]]]
    ]
    assert texts == [
        (f"{group}.{place}", as_seen(text))
        for group, language, body in ((1, Language.EN, ENGLISH), (2, Language.AR, ARABIC))
        for place, text in (
            (0, "\n".join(notices(REPORT, language))),
            (2, body),
            (3, body),
            (5, body),
        )
    ]
    assert {str(field(s, 11)) for s in segments if field(s, 2) == [[["TX"]]]} == {"[[['R']]]"}


@pytest.mark.parametrize(("answer", "error"), [("AE", TransientError), ("AR", PeerRefusedError)])
def test_a_foreign_ris_that_says_no_is_heard(
    listener: Callable[[str], Listener], answer: str, error: type[Exception]
) -> None:
    ris = listener(answer)
    with pytest.raises(error, match=answer):
        send("127.0.0.1", ris.port, ORU)
