"""The tables of the DICOM conformance statement, written from the code.

The page is written by hand; between a mark ``<!-- table NAME -->`` and the next ``<!-- end -->``
stands what is made here. ``python -m cli.conformance_page docs/conformance.md`` makes it anew.
"""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from core import audit_events
from core.audit_events import Alert, Node, StudyInstances
from core.audit_messages import AuditMessage, Outcome, QueryObject
from core.settings_node import NodeSettings
from dicom_node.association import _LARGEST_COMMAND_BYTES, _LARGEST_DATA_SET_BYTES
from dicom_node.conformance import Table, network_tables
from dicom_node.conformance_sr import report_tables
from dicom_node.connecting import _MAX_PDU
from dicom_node.negotiation import _ASYNCHRONOUS_OPERATIONS, _STORAGE_LEVELS
from dicom_node.receive import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.receiver import _MOST_SILENT
from dicom_node.upper_layer import _LARGEST_REQUEST_BYTES, MAXIMUM_PDU_BYTES

_MARKED = re.compile(r"(<!-- table ([a-z-]+) -->\n).*?(?=<!-- end -->)", re.DOTALL)
_AT = datetime(2026, 1, 1, tzinfo=UTC)
# What a site may set that shows on the wire.
_NODE_SETTINGS = (
    "ae_title",
    "host",
    "port",
    "plain",
    "durability",
    "max_associations",
    "max_associations_per_sender",
    "minimum_free_mb",
    "minimum_free_percent",
    "artim_seconds",
    "stall_seconds",
    "idle_seconds",
)


def main(path: str) -> None:
    """Write the tables of a page anew."""
    page = Path(path)
    page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")


def with_tables(page: str) -> str:
    """Return a page with its tables made anew.

    Raises:
        KeyError: It has a mark that no table belongs to.
    """
    tables = all_tables()
    return _MARKED.sub(lambda mark: f"{mark[1]}\n{to_markdown(tables[mark[2]])}\n", page)


def marked_tables(page: str) -> list[str]:
    """Return the names of a page's tables, in their order."""
    return [mark[2] for mark in _MARKED.finditer(page)]


def to_markdown(table: Table) -> str:
    """Return a table as Markdown."""
    rows = [table.columns, ("---",) * len(table.columns), *table.rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows).replace("| --- ", "|---")


def all_tables() -> dict[str, Table]:
    """Return every table by its name."""
    return {
        "identification": _identification(),
        "node-settings": _node_settings(),
        "limits": _limits(),
        "audit-events": _audit_events(),
        **network_tables(),
        **report_tables(),
    }


def _identification() -> Table:
    rows = (
        ("Application Context Name", "`1.2.840.10008.3.1.1.1`"),
        ("Implementation Class UID", f"`{IMPLEMENTATION_CLASS_UID}`"),
        ("Implementation Version Name", f"`{IMPLEMENTATION_VERSION_NAME}`"),
        ("Maximum length of a PDU, as acceptor", f"{MAXIMUM_PDU_BYTES} bytes"),
        ("Maximum length of a PDU, as initiator", f"{_MAX_PDU} bytes"),
        (
            "Operations that a requestor may have under way",
            f"what it asks for, at most {_ASYNCHRONOUS_OPERATIONS}; 1 where it does not ask",
        ),
        ("Operations that the node has under way with a requestor", "1"),
        (
            "Storage: level of support, of digital signatures, element coercion",
            ", ".join(str(_STORAGE_LEVELS[at]) for at in (0, 2, 4)),
        ),
    )
    return Table(columns=("Item", "Value"), rows=rows)


def _node_settings() -> Table:
    rows = []
    for name in _NODE_SETTINGS:
        field = NodeSettings.model_fields[name]
        rows.append((f"`node.{name}`", f"`{field.default}`", field.description or ""))
    return Table(columns=("Setting", "Default", "Meaning"), rows=tuple(rows))


def _limits() -> Table:
    rows = (
        ("A-ASSOCIATE-RQ", f"{_LARGEST_REQUEST_BYTES} bytes", "A-ABORT"),
        ("P-DATA-TF PDU", f"{MAXIMUM_PDU_BYTES} bytes", "A-ABORT"),
        ("Command set", f"{_LARGEST_COMMAND_BYTES} bytes", "A-ABORT"),
        ("Data set of a C-STORE", "the free disk", "A700"),
        ("Data set of another message", f"{_LARGEST_DATA_SET_BYTES} bytes", "A-ABORT"),
        (
            "Connections of one receiving process that have asked for nothing yet",
            str(_MOST_SILENT),
            "the oldest is closed",
        ),
    )
    return Table(columns=("What", "At most", "Beyond it"), rows=rows)


def _audit_events() -> Table:
    rows = [_event_row(message, when) for message, when in _messages()]
    columns = ("EventID", "EventTypeCode", "Action", "Outcome", "When")
    return Table(columns=columns, rows=tuple(rows))


def _messages() -> list[tuple[AuditMessage, str]]:
    """Return one message of each kind that is told, and when."""
    us, peer = "TAQRIR", Node(ae_title="PEER", address="192.0.2.1")
    study = StudyInstances(study_uid="1.2.3", patient_id="1", sop_classes={"1.2": 1})
    asked = QueryObject(sop_class_uid="1.2", identifier=b"", transfer_syntax_uid="1.2")
    alerts = {
        Alert.ASSOCIATION_REFUSED: "an association was rejected",
        Alert.TLS_FAILED: "a TLS handshake failed",
        Alert.USER_REFUSED: "a user identity was refused",
        Alert.FORGED_REPORT: "a report on storage commitment is of no transaction of the caller's",
        Alert.AUDIT_GAP: "messages of the trail could not be written",
    }
    return [
        (
            audit_events.application_activity(us, "index", at=_AT, is_start=True),
            "a process of the node starts",
        ),
        (
            audit_events.application_activity(us, "index", at=_AT, is_start=False),
            "a process of the node ends",
        ),
        (
            audit_events.received(us, peer, study, at=_AT, is_new=True),
            "instances came: one message for each association, study and patient",
        ),
        (
            audit_events.received(us, peer, study, at=_AT, is_new=False),
            "instances came that were held already",
        ),
        (
            audit_events.sent(us, peer, study, at=_AT, outcome=Outcome.SUCCESS),
            "an archive took a draft",
        ),
        (
            audit_events.sent(us, peer, study, at=_AT, outcome=Outcome.SERIOUS_FAILURE),
            "an archive will not get a draft",
        ),
        (
            audit_events.report_decided(
                us, study, reader="1", name="N", account="user", at=_AT, description="signed"
            ),
            "a person signed, corrected, addended or rejected a report",
        ),
        (
            audit_events.study_deleted(us, study, at=_AT, actor="retention"),
            "retention removed a study",
        ),
        (audit_events.query(us, peer, asked, at=_AT), "an archive is asked by C-FIND"),
        *(
            (audit_events.security_alert(us, alert, "", at=_AT, outcome=_outcome(alert)), when)
            for alert, when in alerts.items()
        ),
        *(
            (
                audit_events.user_authentication(us, "USER", peer, at=_AT, is_accepted=is_accepted),
                f"a user identity that was asked for came with an association: {word}",
            )
            for is_accepted, word in ((True, "accepted"), (False, "refused"))
        ),
    ]


def _outcome(alert: Alert) -> Outcome:
    return Outcome.MAJOR_FAILURE if alert is Alert.AUDIT_GAP else Outcome.SERIOUS_FAILURE


def _event_row(message: AuditMessage, when: str) -> tuple[str, ...]:
    types = ", ".join(f"{kind.code} {kind.meaning}" for kind in message.types)
    event = f"{message.event.code} {message.event.meaning}"
    return (event, types, str(message.action), str(message.outcome), when)


if __name__ == "__main__":
    main(*sys.argv[1:])
