"""Messages of an information system into instructions: orders, reports, updates, merges.

The table of fields is in docs/orders.md, and a test compares it with `FIELDS`. Groups are found by
walking the segments: hl7apy's own grouping loses Z segments, where the Study Instance UID stands.

Source: HL7 v2.5.1 4.5 (ORC, OBR, TQ1, IPC), 3.4 (PID, MRG); IHE RAD TF-2 4.2, 4.4 (ZDS);
dcm4chee's hl7-order2dcm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from core.errors import UnreadableMessageError
from core.instructions import (
    ROUTINE,
    STAT,
    Instruction,
    MergePatients,
    NoteReport,
    PlaceOrder,
    StudyKey,
    UpdatePatient,
)
from core.orders import CodedProcedure, OrderReference
from core.report import Patient
from hl7.er7 import Er7Message, Er7Segment, parse
from hl7.escape import one_line
from hl7.kinds import MERGES, ORDERS, REPORTS, UPDATES, kind_of
from hl7.person_name import from_xcn, from_xpn

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
# What HL7's null takes away. Numbers tell orders apart: those stay.
_REMOVABLE = {
    "study_uid": FIELDS["study instance uid"],
    "accession_number": FIELDS["accession number"],
    "requested_procedure_id": FIELDS["requested procedure id"],
    "priority": FIELDS["priority"],
    "modality": FIELDS["modality"],
    "reason": FIELDS["reason"],
    "ordering_provider": FIELDS["ordering provider"],
    "procedure": ("OBR-4",),
    "patient_class": ("PV1-2",),
    "visit_number": ("PV1-19",),
}
_NULL = '""'
_OWN_APPLICATION = "TAQRIR"
_STAT_CODES = frozenset({"S", "ST", "STAT"})
_CANCELLED = frozenset({"CA", "OC", "CR", "DC", "OD", "DR"})
_FINAL = frozenset({"F", "C"})
# Types of identifier that number a patient, and not a person's papers (table 0203).
_PATIENT_NUMBERS = frozenset({"", "MR", "PI", "PT", "MRN"})
# Longer than DICOM (64) or HL7 allow anybody to be.
_LONGEST_IDENTIFIER = 64
_LONGEST_TEXT = 4000
_MOST_ORDERS = 200
_MOST_PATIENTS = 50
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
        return (UpdatePatient(patients=_patients(group.first("PID"))),)
    if kind in MERGES:
        return tuple(_merges(message))
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
        return _clean(self._raw(place))

    def is_null(self, place: str) -> bool:
        """Tell whether a place, or the whole field that it is in, says that there is none."""
        field_alone, _, _component = place.partition(".")
        return _NULL in {self._raw(place).strip(), self._raw(field_alone).strip()}

    def _raw(self, place: str) -> str:
        name, _, numbers = place.partition("-")
        number, _, component = numbers.partition(".")
        segment = self.first(name)
        return "" if segment is None else segment.text(int(number), int(component or 1))

    def item(self, name: str) -> str:
        """Return the first of an item's fields that is filled."""
        return next((text for place in FIELDS[name] if (text := self.text(place))), "")

    def identifier(self, name: str) -> str:
        return _short(self.item(name), name)

    def entity(self, name: str) -> tuple[str, str]:
        """Return an identifier (EI) and its issuer."""
        for place in FIELDS[name]:
            if text := self.text(place):
                issuer = self.text(f"{place}.2") or self.text(f"{place}.3")
                return _short(text, name), _short(issuer, name)
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
        patients=_patients(group.first("PID")),
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
                code=group.text("OBR-4.1")[:_LONGEST_IDENTIFIER],
                meaning=group.text("OBR-4.2")[:_LONGEST_TEXT],
                scheme=group.text("OBR-4.3")[:_LONGEST_IDENTIFIER],
            ),
            ordering_provider_id=provider_id,
            ordering_provider=provider,
            patient_class=group.text("PV1-2")[:_LONGEST_IDENTIFIER],
            visit_number=_short(group.text("PV1-19"), "visit number"),
            visit_issuer=_short(group.text("PV1-19.4"), "visit number"),
            reason=group.item("reason")[:_LONGEST_TEXT],
        ),
        priority=STAT if code in _STAT_CODES else ROUTINE,
        priority_code=code[:_LONGEST_IDENTIFIER],
        modality=group.item("modality").upper()[:16],
        removed=frozenset(
            name for name, places in _REMOVABLE.items() if any(map(group.is_null, places))
        ),
        is_cancelled=group.text("ORC-1").upper() in _CANCELLED
        or group.text("ORC-5").upper() in {"CA", "DC"},
    )


def _provider(group: _Group) -> tuple[str, str]:
    for place in FIELDS["ordering provider"]:
        name, _, number = place.partition("-")
        segment = group.first(name)
        if segment is not None and (found := from_xcn(segment, int(number))) != ("", ""):
            return found[0][:_LONGEST_IDENTIFIER], found[1]
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
            patients=_patients(group.first("PID")),
            key=StudyKey(
                study_uid=_short(uid, "study instance uid"),
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
            lines += [text[: 2 * _LONGEST_TEXT] for text in texts]
    return "\n".join(map(_clean, "\n".join(lines).split("\n")))[:_LONGEST_TEXT].strip()


# Patients


def _merges(message: Er7Message) -> Iterator[MergePatients]:
    patient: Er7Segment | None = None
    is_found = False
    for number, segment in enumerate(message.segments):
        if segment.name == "PID":
            patient = segment
        elif segment.name == "MRG":
            if patient is None:
                raise UnreadableMessageError("An MRG segment comes before any PID.")
            if number > _MOST_ORDERS:
                raise UnreadableMessageError(f"It holds more than {_MOST_ORDERS} segments.")
            is_found = True
            yield from _merge(_numbers(segment, 1), _patients(patient))
    if not is_found:
        raise UnreadableMessageError("It holds no MRG segment.")


def _merge(
    retired: Sequence[tuple[str, str]], surviving: Sequence[Patient]
) -> Iterator[MergePatients]:
    """Pair what is retired with what survives under the same authority.

    A number that stays as it is, beside others that do not, is not retired.
    """
    if not retired:
        raise UnreadableMessageError("MRG-1 names no patient.")
    pairs: list[MergePatients] = []
    for number, issuer in retired:
        same = [p for p in surviving if p.issuer == issuer]
        pairs.append(
            MergePatients(
                retired=Patient(id=number, issuer=issuer), surviving=(same or surviving)[0]
            )
        )
    yield from [pair for pair in pairs if not _is_one(pair)] or pairs


def _is_one(pair: MergePatients) -> bool:
    issuers = {pair.retired.issuer, pair.surviving.issuer} - {""}
    return pair.retired.id == pair.surviving.id and len(issuers) <= 1


def _patients(segment: Er7Segment | None) -> tuple[Patient, ...]:
    """Return a patient under each of the numbers of PID-3, else of PID-2.

    Raises:
        UnreadableMessageError: There is none.
    """
    if segment is None:
        raise UnreadableMessageError("It holds no PID segment.")
    numbers = _numbers(segment, 3) or _numbers(segment, 2)
    if not numbers:
        raise UnreadableMessageError("PID-3 names no patient.")
    birth_date = _clean(segment.text(7))[:8]
    sex = _clean(segment.text(8)).upper()
    patient = Patient(
        name=from_xpn(segment, 5),
        birth_date=birth_date if re.fullmatch("[0-9]{8}", birth_date) else "",
        sex={"A": "O"}.get(sex, sex) if sex in {"M", "F", "O", "A"} else "",
    )
    return tuple(replace(patient, id=number, issuer=issuer) for number, issuer in numbers)


def _numbers(segment: Er7Segment, field_number: int) -> list[tuple[str, str]]:
    """Return a patient's numbers (CX), each with its authority; papers and accounts left out."""
    found: list[tuple[str, str]] = []
    count = len(segment.repetitions(field_number))
    if count > _MOST_PATIENTS:
        raise UnreadableMessageError(f"A patient has more than {_MOST_PATIENTS} numbers.")
    others: list[tuple[str, str]] = []
    for rep in range(1, count + 1):
        number = _short(_clean(segment.text(field_number, rep=rep)), "patient id")
        authority = _clean(segment.text(field_number, 4, rep=rep)) or _clean(
            segment.text(field_number, 4, subcomponent=2, rep=rep)
        )
        kind = _clean(segment.text(field_number, 5, rep=rep)).upper()
        if number:
            pair = (number, _short(authority, "patient id"))
            (found if kind in _PATIENT_NUMBERS else others).append(pair)
    return list(dict.fromkeys(found or others))


def _clean(text: str) -> str:
    """Return a text on one line; HL7's null says that there is none."""
    # What nobody keeps is not even looked through: a field may hold megabytes.
    return "" if text.strip() == _NULL else one_line(text[: 2 * _LONGEST_TEXT])


def _short(text: str, name: str) -> str:
    if len(text) > _LONGEST_IDENTIFIER:
        raise UnreadableMessageError(
            f"Its {name} is longer than {_LONGEST_IDENTIFIER} characters: that is no identifier."
        )
    return text
