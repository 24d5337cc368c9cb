"""docs/hl7.md says what the code sends: every field, every code, every status, every event."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from harness.result_samples import ENVELOPE, ORDER, REPORT, result_of, signed, withdrawn

from core.report import Language, Report, ReportStatus, standing
from hl7 import result_profile
from hl7.er7 import parse
from hl7.layout import Layout
from hl7.mdm import build_mdm, next_document
from hl7.oru import build_oru
from hl7.result_profile import GROUPS, SECTIONS

PAGE = (Path(__file__).parents[2] / "docs" / "hl7.md").read_text(encoding="utf-8")
ADDENDED = signed(status=ReportStatus.ADDENDED)


def rows_under(heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    # A bar within a cell is written with a backslash before it.
    return [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def fields_of(data: bytes) -> set[str]:
    # MSH-1 and MSH-2 are the delimiters themselves.
    return {"MSH-1", "MSH-2"} | {
        f"{segment.name}-{number}"
        for segment in parse(data).segments
        for number in range(1, 60)
        if segment.repetitions(number)
    }


def test_the_page_lists_exactly_the_fields_that_are_sent() -> None:
    link = "https://x/{study_uid}"
    result = result_of(ADDENDED, order=ORDER, pdf=b"%PDF", link=link, asks_for_commit=True)
    before = build_mdm(result_of(signed()), replace(ENVELOPE, control_id="BEFORE"))
    sent = {
        "ORU": fields_of(build_oru(result, ENVELOPE)),
        "MDM": fields_of(build_mdm(result, ENVELOPE, before)),
    }
    wanted = {
        (field, ", ".join(kind for kind in ("ORU", "MDM") if field in sent[kind]))
        for field in sent["ORU"] | sent["MDM"]
    }
    rows = rows_under("Every field")
    assert {(field, kinds) for field, kinds, *_ in rows} == wanted
    assert len(rows) == len(wanted)


def test_the_page_lists_every_code_with_its_place() -> None:
    def place(number: int, language: Language) -> str:
        return f"{GROUPS[language].number}.{number}"

    languages = (Language.EN, Language.AR)
    wanted = {
        result_profile.STUDY: ["", ""],
        result_profile.LANGUAGE: [str(GROUPS[one].number) for one in languages],
        result_profile.NOTICE: [place(0, one) for one in languages],
        result_profile.ADDENDUM: [place(result_profile.FIRST_ADDENDUM, one) for one in languages],
        result_profile.PDF: ["", ""],
        result_profile.LINK: ["", ""],
    } | {code: [place(number, one) for one in languages] for code, number in SECTIONS.values()}
    rows = {cells[0]: cells[1:3] for cells in rows_under("The OBX segments")}
    assert rows == {f"`{'^'.join(code)}`": places for code, places in wanted.items()}


def test_the_page_tells_the_status_of_every_report() -> None:
    def told(cell: str) -> str:
        return cell.split("`")[1]

    rows = {
        cells[0]: (told(cells[1]), told(cells[2] if "`" in cells[2] else cells[1]), told(cells[3]))
        for cells in rows_under("Statuses")
    }
    layout = Layout()
    assert rows == {
        status.value: (
            layout.request_status(status),
            layout.text_status(status),
            standing(status).order_status,
        )
        for status in ReportStatus
    }


@pytest.mark.parametrize(
    ("has", "earlier"),
    [
        ("nothing", []),
        ("a draft", [REPORT]),
        ("a final report", [REPORT, signed()]),
        ("a cancelled document", [REPORT, withdrawn()]),
    ],
)
def test_the_page_tells_every_event(has: str, earlier: list[Report]) -> None:
    predecessor = None
    for report in earlier:
        predecessor = build_mdm(result_of(report), ENVELOPE, predecessor)
    columns = ["draft", "signed", "corrected, addended", "withdrawn"]
    row = next(cells for cells in rows_under("MDM: which event") if cells[0] == has)
    for column, event in zip(columns, row[1:], strict=True):
        for status in map(ReportStatus, column.split(", ")):
            document = next_document(status, control_id="NEW", predecessor=predecessor)
            assert document.event == event
