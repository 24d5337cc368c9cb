"""What a message asks for: orders in several dialects, reports, updates, merges; and nonsense."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from order_messages import SAMPLES, STUDY_UID, Sample, joined, seg

from core.errors import UnreadableMessageError
from core.instructions import MergePatients, NoteReport, PlaceOrder, UpdatePatient
from core.report import Patient
from hl7 import kinds, orders
from hl7.er7 import parse
from hl7.escape import Delimiters, escape, unescape
from hl7.header import read_header
from hl7.orders import read_instructions

HEADER = "MSH|^~\\&|RIS|HOSP|||20261122||{kind}|1|P|2.5.1||||||UNICODE UTF-8"
PID = "PID|||P1^^^HOSP||Qabbani^Nizar||19700101|M"


def message(kind: str, *segments: str) -> bytes:
    return joined(HEADER.format(kind=kind), *segments).encode()


def described(order: PlaceOrder) -> dict[str, Any]:
    leading, reference = order.patients[0], order.reference
    return {
        "patient": (leading.id, leading.issuer, leading.name, leading.birth_date, leading.sex),
        "study_uid": order.key.study_uid,
        "accession": (order.key.accession_number, order.key.accession_issuer),
        "step": order.key.scheduled_step_id,
        "procedure_id": reference.requested_procedure_id,
        "placer": (reference.placer_number, reference.placer_issuer),
        "filler": (reference.filler_number, reference.filler_issuer),
        "procedure": (
            reference.procedure.code,
            reference.procedure.meaning,
            reference.procedure.scheme,
        ),
        "provider": (reference.ordering_provider_id, reference.ordering_provider),
        "priority": order.priority,
        "modality": order.modality,
        "reason": reference.reason,
        "class": reference.patient_class,
        "visit": (reference.visit_number, reference.visit_issuer),
        "cancelled": order.is_cancelled,
    }


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_dialect_maps_to_the_expected_orders(sample: Sample) -> None:
    found = read_instructions(sample.content)

    assert len(found) == len(sample.expected)
    for order, expected in zip(found, sample.expected, strict=True):
        assert isinstance(order, PlaceOrder)
        whole = described(order)
        assert {name: whole[name] for name in expected} == expected


def test_the_page_names_the_fields_that_the_code_reads() -> None:
    page = (Path(__file__).parents[2] / "docs" / "orders.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([a-z ]+) \| ((?:`[A-Z0-9.-]+`(?:, )?)+) \|", page, re.MULTILINE))
    written = {name: tuple(re.findall("`([^`]+)`", fields)) for name, fields in rows.items()}

    assert written == orders.FIELDS
    for kind in kinds.ORDERS | kinds.REPORTS | kinds.UPDATES | kinds.MERGES:
        assert f"`{kind}`" in page


@pytest.mark.parametrize(
    ("fields", "removed"),
    [
        ({27: '""'}, {"priority"}),
        # A part of a field that is null says nothing of its other parts.
        ({27: '""^^^20240101'}, set()),
        ({27: '""^^^20240101^^S'}, set()),
        ({27: '1^^^^^""'}, {"priority"}),
        ({31: '""^cough'}, set()),
        ({31: '""'}, {"reason"}),
        ({31: '""^""'}, {"reason"}),
        # The first field that says anything counts, as it does for what an item is.
        ({13: "cough", 31: '""'}, {"reason"}),
        ({13: '""', 31: "^cough"}, set()),
        ({13: '""'}, {"reason"}),
        ({16: '""'}, {"ordering_provider"}),
        ({16: '""^Roe^Al'}, set()),
        ({4: '""'}, {"procedure"}),
        ({4: '""^Chest'}, set()),
    ],
)
def test_null_takes_away_what_the_first_field_that_says_anything_takes(
    fields: dict[int, str], removed: set[str]
) -> None:
    (order,) = read_instructions(message("ORM^O01", PID, "ORC|SC|1", seg("OBR", fields)))

    assert isinstance(order, PlaceOrder)
    assert order.removed == removed


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ('""', ("12", "Doe^Jo")),
        ('""^""', ("12", "Doe^Jo")),
        (' "" ', ("12", "Doe^Jo")),
        ("", ("12", "Doe^Jo")),
        ('""^Roe^Al', ("", "Roe^Al")),
        ('7^""', ("7", "")),
    ],
)
def test_a_provider_that_is_null_is_nobody(provider: str, expected: tuple[str, str]) -> None:
    content = message("ORM^O01", PID, seg("ORC", {1: "NW", 2: "1", 12: "12^Doe^Jo"}))
    (order,) = read_instructions(content + seg("OBR", {16: provider}).encode() + b"\r")

    assert isinstance(order, PlaceOrder)
    reference = order.reference
    assert (reference.ordering_provider_id, reference.ordering_provider) == expected


def test_a_final_report_elsewhere_is_noted_with_its_impression() -> None:
    content = message(
        "ORU^R01^ORU_R01",
        PID,
        seg("OBR", {3: "ACC1^RIS", 4: "7^Chest", 7: "20250301101500", 24: "CR", 25: "F"}),
        f"OBX|1|ST|113014^DICOM Study^DCM||{STUDY_UID}||||||O",
        "OBX|2|TX|59776-5^Findings^LN||Not this one.||||||F",
        "OBX|3|TX|19005-8^Impression^LN||No \\T\\ pneumonia.\\.br\\Stable.~More.||||||F",
    )

    (report,) = read_instructions(content)

    assert isinstance(report, NoteReport)
    assert (report.status, report.modality, report.observed_at) == ("F", "CR", "20250301101500")
    assert report.key.study_uid == STUDY_UID
    assert (report.key.accession_number, report.key.accession_issuer) == ("ACC1", "RIS")
    assert report.impression == "No & pneumonia.\nStable.\nMore."


@pytest.mark.parametrize("status", ["P", "R", "S", ""])
def test_a_report_that_is_not_final_asks_nothing(status: str) -> None:
    content = message("ORU^R01", PID, seg("OBR", {3: "ACC1", 25: status}))
    assert read_instructions(content) == ()


def test_our_own_result_that_comes_back_asks_nothing() -> None:
    own = message("ORU^R01", PID, seg("OBR", {3: "ACC1", 25: "F"})).replace(b"|RIS|", b"|TAQRIR|")
    assert read_instructions(own) == ()


@pytest.mark.parametrize("kind", sorted(kinds.UPDATES))
def test_an_update_names_the_patient_under_each_number(kind: str) -> None:
    (update,) = read_instructions(
        message(kind, "PID|||P1^^^HOSP^MR~7^^^CITY^PI~784^^^STATE^SS||A^B||1970|F")
    )

    assert isinstance(update, UpdatePatient)
    words = {"name": "A^B", "sex": "F"}
    assert update.patients == (
        Patient(id="P1", issuer="HOSP", **words),
        Patient(id="7", issuer="CITY", **words),
    )


@pytest.mark.parametrize("kind", sorted(kinds.MERGES))
def test_a_merge_pairs_numbers_of_one_authority(kind: str) -> None:
    found = read_instructions(
        message(
            kind,
            "PID|||9^^^CITY~P9^^^HOSP||New^Name",
            "PD1||x",
            "MRG|P1^^^HOSP~1^^^CITY",
            "PID|||P8^^^HOSP",
            "MRG|P3^^^HOSP",
        )
    )

    pairs = [(m.retired.id, m.surviving.id) for m in found if isinstance(m, MergePatients)]
    assert pairs == [("P1", "P9"), ("1", "9"), ("P3", "P8")]


@pytest.mark.parametrize(
    ("retired", "surviving", "expected"),
    [
        ("A1~X7", "B1~X7", [("A1", "B1")]),
        ("X7~A1", "X7~B1", [("A1", "B1")]),
        ("X7^^^HOSP~A1", "X7~B1", [("A1", "B1")]),
        ("A1^^^HOSP~X7^^^CITY", "X7^^^CITY~B1^^^HOSP", [("A1", "B1")]),
        # Without it nothing would survive, or nothing be retired.
        ("A1~X7", "X7", [("A1", "X7")]),
        ("X7", "B1~X7", [("X7", "B1")]),
        # The same digits of another authority are another number.
        ("X7^^^HOSP", "X7^^^CITY", [("X7", "X7")]),
        ("X7^^^HOSP~A1^^^CITY", "B1^^^HOSP~X7^^^CITY", [("X7", "B1"), ("A1", "X7")]),
    ],
)
def test_a_number_that_a_merge_names_on_both_sides_stays(
    retired: str, surviving: str, expected: list[tuple[str, str]]
) -> None:
    found = read_instructions(message("ADT^A40", f"PID|||{surviving}", f"MRG|{retired}"))

    pairs = [(m.retired.id, m.surviving.id) for m in found if isinstance(m, MergePatients)]
    assert pairs == expected


MERGE = ("PID|||P9", "MRG|P1")


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        ("ADT", "EVN|A40|20261122"),
        ("ADT^", "EVN|A40"),
        ('ADT^""', "EVN| A40 "),
        ("ADT^^ADT_A39", "EVN|A40^x~A08"),
    ],
)
def test_a_trigger_that_only_evn_names_counts(kind: str, event: str) -> None:
    content = message(kind, "SFT|x", event, *MERGE)

    (found,) = read_instructions(content)
    assert isinstance(found, MergePatients)
    assert read_header(content).kind == "ADT^A40"
    (update,) = read_instructions(message(kind, "EVN|A08", *MERGE))
    assert isinstance(update, UpdatePatient)


def test_msh_stands_above_evn() -> None:
    content = message("ADT^A08", "EVN|A40", *MERGE)
    (found,) = read_instructions(content)
    assert isinstance(found, UpdatePatient)
    assert read_header(content).kind == "ADT^A08"
    # Nor does EVN make another thing of what has one meaning only.
    (order,) = read_instructions(message("ORM", "EVN|A40", PID, "ORC|NW|1", *MERGE))
    assert isinstance(order, PlaceOrder)


@pytest.mark.parametrize("event", ["", "EVN", "EVN|", 'EVN|""', "EVN||20261122", "ZVN|A40"])
def test_without_any_trigger_nothing_is_asked(event: str) -> None:
    content = message("ADT", event, *MERGE)
    assert read_instructions(content) == ()
    assert read_header(content).kind == "ADT"


def test_a_kind_may_merge_unless_it_surely_does_not() -> None:
    merging = {*kinds.MERGES, "", "ADT", "ADT^4", "ADT^a40", "adt^A40", "A40", "ADT^\\X41\\40"}
    others = {*kinds.ORDERS, *kinds.REPORTS, *kinds.UPDATES, "ADT^A03", "ORM", "SIU^S12", "ACK"}
    assert {kind for kind in merging | others if kinds.may_merge(kind)} == merging


@pytest.mark.parametrize("kind", ["ADT^A03^ADT_A03", "SIU^S12", "ACK", "", "MDM^T02", "ORM^O02"])
def test_what_is_of_no_kind_for_us_asks_nothing(kind: str) -> None:
    assert read_instructions(message(kind, PID)) == ()


ORDER = seg("OBR", {2: "1", 4: "7", 18: "ACC1"})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (message("ORM^O01", "ORC|NW|1", ORDER), "before any PID"),
        (message("ORM^O01", PID), "no OBR or ORC"),
        (message("ORM^O01", "PID|||", "ORC|NW|1", ORDER), "names no patient"),
        (message("ORM^O01", PID, "ORC|NW", "OBR|1"), "neither a number"),
        (message("ORM^O01", PID, "ORC|NW|" + "9" * 65), "is longer"),
        (message("ORM^O01", "PID|||" + "9" * 65, "ORC|NW|1"), "is longer"),
        (message("ORM^O01", "PID|||" + "~".join(map(str, range(60))), "ORC|NW|1"), "numbers"),
        (message("ORM^O01", PID, *["ORC|NW|1"] * 300), "more than 200"),
        (message("ADT^A40", PID), "no MRG"),
        (message("ADT^A40", "MRG|1", PID), "before any PID"),
        (message("ADT^A40", PID, "MRG|"), "names no patient"),
        (message("ADT^A08", "EVN|"), "no PID"),
        (message("ORM^O01", PID, "ORC|NW|1").replace(b"UNICODE UTF-8", b"KLINGON"), "not known"),
        (message("ORM^O01", PID, "ORC|NW|1").replace(b"Nizar", b"\xff\xfe"), "character set"),
    ],
)
def test_what_cannot_be_understood_says_why(content: bytes, words: str) -> None:
    with pytest.raises(UnreadableMessageError, match=words):
        read_instructions(content)


def test_a_lying_character_set_gives_wrong_letters_or_an_error_never_a_crash() -> None:
    arabic = message("ORM^O01", PID.replace("Nizar", "نزار"), "ORC|NW|1", ORDER)
    for declared in (b"8859/1", b"8859/6", b"CP1256", b"CP1252", b"ASCII"):
        content = arabic.replace(b"UNICODE UTF-8", declared)
        try:
            (order,) = read_instructions(content)
        except UnreadableMessageError:
            continue
        assert isinstance(order, PlaceOrder)
        assert order.patients[0].id == "P1"


@pytest.mark.parametrize(
    "segments",
    [
        [f"OBX|{n}|TX|1^x||word" for n in range(100_000)],
        ["OBX|1|TX|19005-8||" + "x" * (20 << 20)],
        ["OBX|1|TX|19005-8||" + "\\" * (1 << 20)],
        ["NTE|1||" + "^" * (1 << 20)],
    ],
    ids=["100,000 segments", "a field of 20 MB", "escapes", "components"],
)
def test_a_monstrous_report_is_read_in_bounded_time(segments: list[str]) -> None:
    content = message("ORU^R01", PID, seg("OBR", {3: "ACC1", 25: "F"}), *segments)
    began = time.process_time()

    (report,) = read_instructions(content)

    assert isinstance(report, NoteReport)
    assert len(report.impression) <= 4000
    # Quadratic time would be hours.
    assert time.process_time() - began < 60


@pytest.mark.parametrize("version", ["2.1", "2.3.1", "2.5.1", "2.6", "2.7", "2.7.1", "2.8.2", "9"])
def test_a_priority_is_heard_in_every_version(version: str) -> None:
    # In 2.7 the field is withdrawn, and hl7apy would lose what stands there.
    urgent = seg("OBR", {2: "1", 18: "ACC1", 27: "^^^^^S"})
    content = message("ORM^O01", PID, "ORC|NW|1", urgent).replace(b"2.5.1", version.encode())

    (order,) = read_instructions(content)

    assert isinstance(order, PlaceOrder)
    assert (order.priority, order.key.accession_number) == ("stat", "ACC1")


@pytest.mark.parametrize("mark", ["|", "^", "~", "&"])
def test_a_segment_of_a_million_parts_is_refused_at_once(mark: str) -> None:
    with pytest.raises(UnreadableMessageError, match="parts"):
        read_instructions(message("ORM^O01", PID + mark * 1_000_000, "ORC|NW|1"))


def test_many_large_segments_are_refused_together() -> None:
    # Of one that is as large as it may be, each: the time of one is bounded, so is that of all.
    large = ["OBX|1|TX|19005-8||" + "|" * 4900] * 11
    report = seg("OBR", {3: "ACC1", 25: "F"})
    assert len(read_instructions(message("ORU^R01", PID, report, *large[:9]))) == 1
    with pytest.raises(UnreadableMessageError, match="in all"):
        read_instructions(message("ORU^R01", PID, report, *large))


def test_the_most_orders_of_a_message_are_not_too_many_parts() -> None:
    fields = dict.fromkeys(range(4, 32), "a^b^c")
    segments: list[str] = []
    for n in range(200):
        segments += [f"ORC|NW|{n}^RIS", seg("OBR", fields | {18: f"A{n}"}), "TQ1|1||||||||R"]
    assert len(read_instructions(message("ORM^O01", PID, *segments))) == 200


def test_random_bytes_are_refused_or_understood_never_a_crash() -> None:
    draw = random.Random(7)  # noqa: S311  to be wrong at random, and the same each time
    sound = [sample.content for sample in SAMPLES]
    for _ in range(400):
        content = bytearray(draw.choice(sound))
        for _ in range(draw.randrange(1, 12)):
            content[draw.randrange(len(content))] = draw.randrange(256)
        try:
            read_instructions(bytes(content))
        except UnreadableMessageError:
            continue


_MARKS = st.permutations("|^~\\&#!$%*@/").map(lambda marks: marks[:5])
_TEXT = st.text(
    alphabet=st.one_of(
        st.sampled_from("|^~\\&#!$%*@/\n\r XFSRTEHN.br0A\u2067\u2069سمع😀"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(text=_TEXT)
def test_what_is_escaped_comes_back_and_ends_nothing(text: str) -> None:
    written = escape(text)

    assert not set(written.replace("\\F\\", "")) & {"|", "^", "~", "&", "\r", "\n", "\x0b", "\x1c"}
    assert unescape(written) == text.replace("\r\n", "\n").replace("\r", "\n")


@settings(max_examples=300, deadline=None)
@given(text=_TEXT, marks=_MARKS)
def test_any_escape_sequence_is_read_without_a_crash_and_none_twice(
    text: str, marks: list[str]
) -> None:
    field, component, repetition, mark, subcomponent = marks
    delimiters = Delimiters(
        field=field,
        component=component,
        repetition=repetition,
        escape=mark,
        subcomponent=subcomponent,
    )
    names = {field: "F", component: "S", repetition: "R", mark: "E", subcomponent: "T"}
    written = "".join(f"{mark}{names[c]}{mark}" if c in names else c for c in text)

    assert unescape(written, delimiters) == text
    # Cut anywhere, nested or not: it gives something, and no more letters than could be meant.
    for end in range(0, len(written), 7):
        assert len(unescape(written[:end], delimiters)) <= max(100 * len(written), 1)


def test_escapes_survive_a_message_with_any_delimiters() -> None:
    content = b"MSH$%*!@$A\rPID$$$a!S!b!X41!!unknown!!cut\r"
    assert parse(content).text("PID", 3) == "a%bA!unknown!!cut"
