"""An ORU reaches a RIS that is not ours: node-hl7-server, from npm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from servers import wait_until
from servers.mllp import MllpListener, field, running_mllp_listener

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
from hl7.result import Envelope, Result

pytestmark = pytest.mark.peer

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
    Result(report=REPORT, header=HEADER),
    Envelope(
        control_id="PEER0001",
        created_at=datetime(2026, 11, 22, 9, 30, tzinfo=UTC),
        sending_facility="H",
        receiving_application="RIS",
        receiving_facility="H",
    ),
)


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Callable[[str], MllpListener]]:
    """Start a foreign RIS that gives every message the same answer."""
    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(running_mllp_listener(tmp_path, answer))


def as_seen(text: str) -> str:
    # The package leaves line breaks as HL7 writes them.
    return text.replace("\n", "\\.br\\")


def test_a_foreign_ris_reads_every_word_of_both_languages(
    listener: Callable[[str], MllpListener],
) -> None:
    ris = listener("AA")
    ack = send("127.0.0.1", ris.port, ORU)
    assert (ack.code, ack.control_id) == ("AA", "PEER0001")
    segments = wait_until(ris.messages)[0]

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
    listener: Callable[[str], MllpListener], answer: str, error: type[Exception]
) -> None:
    ris = listener(answer)
    with pytest.raises(error, match=answer):
        send("127.0.0.1", ris.port, ORU)
