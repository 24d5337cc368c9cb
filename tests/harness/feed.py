"""An information system's feed: messages written short, kept and followed without a network."""

from __future__ import annotations

import hashlib
import itertools

from core import messages
from core.database import writing
from core.messages import ReceivedMessage
from harness.site import Site
from hl7.header import read_header
from hl7.kinds import may_merge
from worker.orders import follow_all

_NUMBERS = itertools.count(1)


def segment(name: str, fields: dict[int, str]) -> str:
    """Return a segment with some of its fields filled."""
    return "|".join([name, *(fields.get(n, "") for n in range(1, max(fields) + 1))])


def message(kind: str, *segments: str, control_id: str = "") -> bytes:
    """Return a message of a kind such as ``ORM^O01``."""
    number = control_id or f"M{next(_NUMBERS)}"
    header = f"MSH|^~\\&|RIS|HOSP|||20261122||{kind}|{number}|P|2.5.1||||||UNICODE UTF-8"
    return "".join(f"{line}\r" for line in (header, *segments)).encode()


def order(
    *,
    patient: str = "P1",
    accession: str = "ACC1",
    priority: str = "R",
    reason: str = "cough",
    study_uid: str = "",
    step: str = "",
    number: str = "",
    control: str = "NW",
    control_id: str = "",
) -> bytes:
    """Return an order as an ORM^O01."""
    return message(
        "ORM^O01",
        f"PID|||{patient}||Qabbani^Nizar",
        f"ORC|{control}|{number or accession or step}",
        segment(
            "OBR",
            {
                4: "7^Chest^99",
                18: accession,
                20: step,
                24: "CR",
                27: f"^^^^^{priority}",
                31: f"^{reason}",
            },
        ),
        *([f"ZDS|{study_uid}"] if study_uid else []),
        control_id=control_id,
    )


def merge(retired: str, surviving: str, name: str = "") -> bytes:
    """Return a merge as an ADT^A40."""
    return message("ADT^A40^ADT_A39", f"PID|||{surviving}||{name}", f"MRG|{retired}")


def final_report(accession: str, patient: str = "P1", **fields: str) -> bytes:
    """Return a signed report as an ORU^R01."""
    obr = {3: accession, 7: fields.get("at", ""), 24: "CR", 25: fields.get("status", "F")}
    impression = fields.get("impression", "")
    return message(
        "ORU^R01",
        f"PID|||{patient}",
        segment("OBR", obr),
        *([f"OBX|1|TX|19005-8^Impression^LN||{impression}||||||F"] if impression else []),
    )


def keep(site: Site, *contents: bytes) -> None:
    """Keep messages as the listener does; nobody follows them yet."""
    received = []
    for content in contents:
        header = read_header(content)
        received.append(
            ReceivedMessage(
                sending_application=header.sending_application,
                sending_facility=header.sending_facility,
                control_id=header.control_id,
                kind=header.kind,
                is_merge=may_merge(header.kind),
                digest=hashlib.sha256(content).hexdigest(),
                peer="127.0.0.1",
                received_at=site.clock(),
                content=content,
            )
        )
    with writing(site.engine) as session:
        messages.keep(session, received)


def hear(site: Site, *contents: bytes) -> None:
    """Keep messages and follow them."""
    keep(site, *contents)
    follow_all(site.parts)
    site.check()
