"""Messages of an information system into instructions: orders, reports, updates, merges.

The table of fields is in docs/orders.md, and a test compares it with `FIELDS`. Groups are found by
walking the segments: hl7apy's own grouping loses Z segments, where the Study Instance UID stands.

Source: HL7 v2.5.1 4.5 (ORC, OBR, TQ1, IPC); IHE RAD TF-2 4.2, 4.4 (ZDS);
dcm4chee's hl7-order2dcm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from core.errors import UnreadableMessageError
from core.instructions import (
    ROUTINE,
    STAT,
    Instruction,
    NoteReport,
    PlaceOrder,
    StudyKey,
    UpdatePatient,
)
from core.orders import CodedProcedure, OrderReference
from hl7.er7 import Er7Message, Er7Segment, parse
from hl7.kinds import MERGES, ORDERS, REPORTS, UPDATES, kind_of
from hl7.patient_numbers import (
    LONGEST_IDENTIFIER,
    LONGEST_TEXT,
    NULL,
    clean,
    merges,
    patients_of,
    short,
)
from hl7.person_name import from_xcn

# By what each item is found: the first field that is filled counts.
FIELDS = {
    "accession number": ("IPC-1", "OBR-18"),
    "requested procedure id": ("IPC-2", "OBR-19"),
    "study instance uid": ("IPC-3", "ZDS-1"),
    "scheduled step id": ("IPC-4", "OBR-20"),
    "modality": ("IPC-5", "OBR-24"),
    "priority": ("TQ1-9", "ORC-7.6", "OBR-27.6"),
    "reason": ("OBR-31.2", "OBR-31.1", "OBR-13", "DG1-4", "DG1-3.2"),
    "placer number": ("ORC-2", "OBR-2"),
    "filler number": ("ORC-3", "OBR-3"),
    "ordering provider": ("OBR-16", "ORC-12", "PV1-8"),
}
# What HL7's null takes away. Numbers tell orders apart: those stay. A person or a code has gone
# where its name has: a null number beside a name takes nothing away.
_REMOVABLE = {
    "study_uid": FIELDS["study instance uid"],
    "accession_number": FIELDS["accession number"],
    "requested_procedure_id": FIELDS["requested procedure id"],
    "priority": FIELDS["priority"],
    "modality": FIELDS["modality"],
    "reason": FIELDS["reason"],
    "ordering_provider": tuple(
        f"{place}.{part}" for place in FIELDS["ordering provider"] for part in (2, 1)
    ),
    "procedure": ("OBR-4.2", "OBR-4.1"),
    "patient_class": ("PV1-2",),
    "visit_number": ("PV1-19",),
}
_OWN_APPLICATION = "TAQRIR"
_STAT_CODES = frozenset({"S", "ST", "STAT"})
_CANCELLED = frozenset({"CA", "OC", "CR", "DC", "OD", "DR"})
_FINAL = frozenset({"F", "C"})
_MOST_ORDERS = 200
_IMPRESSION = re.compile("19005-8|(?:^|[&^])IMP(?:$|[&^])|impression", re.IGNORECASE)
_STUDY_UID = re.compile("113014|DICOM Study", re.IGNORECASE)
_OBX_FIELDS = 6
# Segments that stand for all groups after them.
_HEADS = frozenset({"PID", "PV1"})


def read_instructions(content: bytes, *, default_charset: str = "utf-8") -> tuple[Instruction, ...]:
    """Return what a message asks for; nothing where it is of no kind that concerns us.

    Raises:
        UnreadableMessageError: It is of a kind that does, and cannot be understood.
    """
    message = parse(content, default_charset=default_charset)
    name, trigger = (message.text("MSH", 9, n) for n in (1, 2))
    kind = kind_of(name, trigger, message.text("EVN", 1))
    if kind in ORDERS:
        return tuple(_orders(message))
    if kind in REPORTS:
        # What we sent ourselves comes back where a RIS passes results on.
        is_own = message.text("MSH", 3).strip() == _OWN_APPLICATION
        return () if is_own else tuple(_reports(message))
    if kind in UPDATES:
        (group, *_) = _groups(message, {"PID"})
        return (UpdatePatient(patients=patients_of(group.first("PID"))),)
    if kind in MERGES:
        return tuple(merges(message))
    return ()


# The walk


@dataclass(kw_only=True)
class _Group:
    """Segments that belong together, with those of the patient and the visit before them."""

    segments: list[Er7Segment] = field(default_factory=list)

    def named(self, name: str) -> list[Er7Segment]:
        return [segment for segment in self.segments if segment.name == name]

    def first(self, name: str) -> Er7Segment | None:
        return next((s for s in self.segments if s.name == name), None)

    def text(self, place: str) -> str:
        """Return what stands at a place such as ``OBR-27.6``, on one line."""
        return clean(self._raw(place))

    def is_null(self, places: Sequence[str]) -> bool:
        """Tell whether the first of some places that says anything says that there is none."""
        return next(filter(None, map(self._said, places)), "") == NULL

    def _said(self, place: str) -> str:
        """Return what stands at a place, as it came; where the whole field is null, that."""
        name, _, numbers = place.partition("-")
        segment = self.first(name)
        whole = [] if segment is None else segment.repetitions(int(numbers.partition(".")[0]))
        return NULL if [row.strip() for row in whole] == [NULL] else self._raw(place).strip()

    def _raw(self, place: str) -> str:
        name, _, numbers = place.partition("-")
        number, _, component = numbers.partition(".")
        segment = self.first(name)
        return "" if segment is None else segment.text(int(number), int(component or 1))

    def item(self, name: str) -> str:
        """Return the first of an item's fields that is filled."""
        return next((text for place in FIELDS[name] if (text := self.text(place))), "")

    def identifier(self, name: str) -> str:
        return short(self.item(name), name)

    def entity(self, name: str) -> tuple[str, str]:
        """Return an identifier (EI) and its issuer."""
        for place in FIELDS[name]:
            if text := self.text(place):
                issuer = self.text(f"{place}.2") or self.text(f"{place}.3")
                return short(text, name), short(issuer, name)
        return "", ""


def _groups(message: Er7Message, starts: set[str]) -> list[_Group]:
    """Cut a message into groups that begin with a segment, each with its patient and visit.

    Raises:
        UnreadableMessageError: It has no such group, or one without a patient.
    """
    groups: list[_Group] = []
    heads: dict[str, Er7Segment] = {}
    for segment in message.segments[1:]:
        if segment.name == "PID":
            heads.clear()
        if segment.name in _HEADS:
            heads[segment.name] = segment
        if segment.name in starts and _begins(segment, groups, heads):
            groups.append(_new_group(segment, heads, len(groups)))
        if groups and segment.name not in _HEADS:
            groups[-1].segments.append(segment)
    if not groups:
        raise UnreadableMessageError(f"It holds no {' or '.join(sorted(starts))} segment.")
    return groups


def _new_group(segment: Er7Segment, heads: dict[str, Er7Segment], count: int) -> _Group:
    if "PID" not in heads:
        raise UnreadableMessageError(f"A {segment.name} segment comes before any PID.")
    if count >= _MOST_ORDERS:
        raise UnreadableMessageError(f"It holds more than {_MOST_ORDERS} orders.")
    return _Group(segments=list(heads.values()))


def _begins(segment: Er7Segment, groups: list[_Group], heads: dict[str, Er7Segment]) -> bool:
    """Tell whether a segment begins a group, or belongs to the one that an ORC has begun."""
    if segment.name != "OBR" or not groups:
        return True
    last = groups[-1]
    is_same_patient = last.first("PID") is heads.get("PID")
    return not is_same_patient or last.first("ORC") is None or last.first("OBR") is not None


# Orders


def _orders(message: Er7Message) -> Iterator[PlaceOrder]:
    groups = _groups(message, {"ORC", "OBR"})
    everywhere = list(message.named("ZDS"))
    control: Er7Segment | None = None
    for group in groups:
        control = group.first("ORC") or control
        if group.first("ORC") is None and control is not None:
            # One ORC may stand before several OBRs.
            group.segments.append(control)
        if len(everywhere) == 1 and group.first("ZDS") is None:
            group.segments.append(everywhere[0])
        steps: list[Er7Segment | None] = [*group.named("IPC")]
        for step in steps or [None]:
            yield _order(_of_step(group, step))


def _of_step(group: _Group, step: Er7Segment | None) -> _Group:
    """Return the group with one of its steps: each is an order of its own."""
    others = [segment for segment in group.segments if segment.name != "IPC"]
    return _Group(segments=[*others, *([step] if step else [])])


def _order(group: _Group) -> PlaceOrder:
    accession, issuer = group.entity("accession number")
    placer, placer_issuer = group.entity("placer number")
    filler, filler_issuer = group.entity("filler number")
    step = group.identifier("scheduled step id")
    if not any((placer, filler, accession, step)):
        raise UnreadableMessageError("An order has neither a number nor an accession number.")
    code = group.item("priority").upper()
    provider_id, provider = _provider(group)
    return PlaceOrder(
        patients=patients_of(group.first("PID")),
        key=StudyKey(
            study_uid=group.identifier("study instance uid"),
            accession_number=accession,
            accession_issuer=issuer,
            scheduled_step_id=step,
        ),
        reference=OrderReference(
            placer_number=placer,
            placer_issuer=placer_issuer,
            filler_number=filler,
            filler_issuer=filler_issuer,
            requested_procedure_id=group.identifier("requested procedure id"),
            scheduled_step_id=step,
            procedure=CodedProcedure(
                code=group.text("OBR-4.1")[:LONGEST_IDENTIFIER],
                meaning=group.text("OBR-4.2")[:LONGEST_TEXT],
                scheme=group.text("OBR-4.3")[:LONGEST_IDENTIFIER],
            ),
            ordering_provider_id=provider_id,
            ordering_provider=provider,
            patient_class=group.text("PV1-2")[:LONGEST_IDENTIFIER],
            visit_number=short(group.text("PV1-19"), "visit number"),
            visit_issuer=short(group.text("PV1-19.4"), "visit number"),
            reason=group.item("reason")[:LONGEST_TEXT],
        ),
        priority=STAT if code in _STAT_CODES else ROUTINE,
        priority_code=code[:LONGEST_IDENTIFIER],
        modality=group.item("modality").upper()[:16],
        removed=frozenset(name for name, places in _REMOVABLE.items() if group.is_null(places)),
        is_cancelled=group.text("ORC-1").upper() in _CANCELLED
        or group.text("ORC-5").upper() in {"CA", "DC"},
    )


def _provider(group: _Group) -> tuple[str, str]:
    for place in FIELDS["ordering provider"]:
        name, _, number = place.partition("-")
        segment = group.first(name)
        if segment is not None and (found := from_xcn(segment, int(number))) != ("", ""):
            return found[0][:LONGEST_IDENTIFIER], found[1]
    return "", ""


# Reports


def _reports(message: Er7Message) -> Iterator[NoteReport]:
    return (note for note, _segments in final_reports(message))


def final_reports(message: Er7Message) -> Iterator[tuple[NoteReport, tuple[Er7Segment, ...]]]:
    """Yield each final report of a result message, with its segments.

    Raises:
        UnreadableMessageError: The message cannot be understood.
    """
    for group in _groups(message, {"ORC", "OBR"}):
        status = group.text("OBR-25").upper()
        if status not in _FINAL:
            continue
        accession, issuer = group.entity("accession number")
        if not accession:
            # Many information systems number their reports by the accession and say so here alone.
            accession, issuer = group.entity("filler number")
        uid = group.identifier("study instance uid") or _observed(group, _STUDY_UID, 1)
        note = NoteReport(
            patients=patients_of(group.first("PID")),
            key=StudyKey(
                study_uid=short(uid, "study instance uid"),
                accession_number=accession,
                accession_issuer=issuer,
            ),
            status=status,
            modality=group.item("modality").upper()[:16],
            observed_at="".join(re.findall("[0-9]", group.text("OBR-7")))[:14],
            impression=_observed(group, _IMPRESSION, _MOST_ORDERS),
        )
        yield note, tuple(group.segments)


def _observed(group: _Group, code: re.Pattern[str], most: int) -> str:
    """Return the lines of the observations with a code; others are not even parsed."""
    lines: list[str] = []
    for segment in group.named("OBX"):
        fields = segment.line.split(segment.delimiters.field, _OBX_FIELDS)
        if len(fields) >= _OBX_FIELDS and code.search(fields[3]) and len(lines) < most:
            count = min(len(segment.repetitions(5)), most)
            texts = (segment.text(5, rep=number + 1) for number in range(count))
            lines += [text[: 2 * LONGEST_TEXT] for text in texts]
    return "\n".join(map(clean, "\n".join(lines).split("\n")))[:LONGEST_TEXT].strip()
