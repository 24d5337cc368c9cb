"""What the conformance statement says of the network, read off the code that does it.

Each function gives one table of `docs/conformance.md`; `cli.conformance_page` writes them there.
Constants of other modules are read where they stand, private ones too: a copy would soon differ.

Source: PS3.2 annex N.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from pydicom import uid
from pydicom.uid import UID
from pynetdicom import build_context, sop_class
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at run time

from core.character_sets import DEFINED_TERMS
from core.tls_context import _SUITES, restrict
from dicom_node import negotiation
from dicom_node.commitment import CommitmentStatus
from dicom_node.commitment_dataset import _MOST_REFERENCES, TRANSFER_SYNTAXES, Reason
from dicom_node.commitment_dataset import SOP_CLASS_UID as COMMITMENT
from dicom_node.contexts import STORAGE_SOP_CLASSES, is_image
from dicom_node.contexts import TRANSFER_SYNTAXES as STORAGE_SYNTAXES
from dicom_node.decoding import DECODERS
from dicom_node.negotiation import Refusal, supported
from dicom_node.query import _MODEL
from dicom_node.receive import Status
from dicom_node.store_status import OUT_OF_RESOURCES, REFUSALS, WARNINGS, judge
from dicom_node.upper_layer import AbortReason

_REPORT = uid.BasicTextSRStorage
_NATIVE = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
)
_LOSSY = (
    uid.JPEG2000,
    uid.HTJ2K,
    uid.JPEGLSNearLossless,
    uid.JPEGExtended12Bit,
    uid.JPEGBaseline8Bit,
)
_RESULTS = {1: "rejected-permanent", 2: "rejected-transient"}
_SOURCES = {1: "service-user", 2: "service-provider (ACSE)", 3: "service-provider (presentation)"}
# PS3.8 table 9-21.
_REJECTIONS = {
    (1, 1): "no-reason-given",
    (1, 2): "application-context-name-not-supported",
    (1, 3): "calling-AE-title-not-recognized",
    (1, 7): "called-AE-title-not-recognized",
    (2, 2): "protocol-version-not-supported",
    (3, 1): "temporary-congestion",
    (3, 2): "local-limit-exceeded",
}
_WHEN_REJECTED = {
    negotiation.PROTOCOL_VERSION: "bit 0 of the protocol version is not set",
    negotiation.APPLICATION_CONTEXT: "another application context than DICOM's",
    negotiation.UNKNOWN_CALLING_AE: (
        "neither a sender nor an archive is called so; or a sender calls from another host than "
        "its setting `host` names"
    ),
    negotiation.UNKNOWN_CALLED_AE: "the called AE title is not `node.ae_title`",
    negotiation.NOT_IDENTIFIED: "user name or passcode are not those that the sender has to give",
    negotiation.TLS_REQUIRED: "a sender with `require_tls` on the plain port",
    negotiation.CONGESTED: "less free disk than `node.minimum_free_mb` or `minimum_free_percent`",
    negotiation.TOO_MANY: (
        "`node.max_associations` or `node.max_associations_per_sender` are open already"
    ),
}
_WHEN_ABORTED = {
    AbortReason.NOT_SPECIFIED: (
        "0 service-user",
        "a timer is over; or the first PDU is no association request",
    ),
    AbortReason.UNRECOGNISED_PDU: ("2 service-provider", "a PDU of unknown type"),
    AbortReason.UNEXPECTED_PDU: ("2 service-provider", "a PDU that the state does not allow"),
    AbortReason.UNEXPECTED_PARAMETER: (
        "2 service-provider",
        "data without a command, or a command before the data of the last one",
    ),
    AbortReason.INVALID_PARAMETER: (
        "2 service-provider",
        (
            "a length, a control header, a presentation context ID or a command set that cannot "
            "be; an association request that cannot be read"
        ),
    ),
}
_STORE_STATUSES = {
    Status.SUCCESS: (
        "Success",
        (
            "the object is whole and kept: on the disk with `node.durability` `fsync`, with the "
            "operating system with `written`. The same object again is a Success too"
        ),
    ),
    Status.OUT_OF_RESOURCES: (
        "Refused: out of resources",
        (
            "the disk is nearly full, or the file cannot be written; nothing is kept, the "
            "association goes on, and it is worth another try later"
        ),
    ),
    Status.DATA_SET_MISMATCH: (
        "Error: data set does not match SOP class",
        "SOP Class or SOP Instance UID of the data set are not the command's; nothing is kept",
    ),
    Status.CANNOT_UNDERSTAND: (
        "Error: cannot understand",
        (
            "the data set cannot be read as far as its Series Instance UID; it has no valid Study "
            "or Series Instance UID; there is none. Nothing is kept"
        ),
    ),
    Status.INVALID_INSTANCE: (
        "Error: invalid SOP Instance",
        "the command's Affected SOP Instance UID is no UID; nothing is kept",
    ),
    Status.SOP_CLASS_NOT_SUPPORTED: (
        "Refused: SOP class not supported",
        "the command's SOP class is not that of its presentation context; nothing is kept",
    ),
    Status.NOT_AUTHORISED: (
        "Refused: not authorized",
        (
            "the calling AE title is that of an archive, and of no sender that is let in; nothing "
            "is kept"
        ),
    ),
}
# What N-ACTION and what N-EVENT-REPORT are answered so for; empty: never.
_COMMITMENT_STATUSES = {
    CommitmentStatus.SUCCESS: (
        "the request is written down, or was before",
        "the report is believed, or a repetition",
    ),
    CommitmentStatus.PROCESSING_FAILURE: ("the database is away", "the database is away"),
    CommitmentStatus.NO_SUCH_INSTANCE: ("another instance than the well-known one", ""),
    CommitmentStatus.NO_SUCH_EVENT_TYPE: ("", "another event type than 1 or 2"),
    CommitmentStatus.INVALID_ARGUMENT: (
        (
            "a data set that cannot be read or names no object; the Transaction UID is known with "
            "other objects"
        ),
        (
            "a data set that cannot be read, names no object or too many; a transaction that was "
            "not asked of this archive"
        ),
    ),
    CommitmentStatus.NO_SUCH_ACTION: ("another action type than 1", ""),
    CommitmentStatus.NOT_AUTHORISED: (
        "no storage commitment for this AE title",
        "the calling AE title is no archive's",
    ),
    CommitmentStatus.RESOURCE_LIMITATION: (f"more than {_MOST_REFERENCES} objects at once", ""),
}
_FAILURE_REASONS = {
    Reason.PROCESSING_FAILURE: (
        "the file is damaged or cannot be read; commitment was switched off meanwhile"
    ),
    Reason.NO_SUCH_INSTANCE: (
        "never received, in quarantine, removed by retention, or its file is gone"
    ),
    Reason.CLASS_INSTANCE_CONFLICT: "received under another SOP class",
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table: every row has as many cells as there are columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def network_tables() -> dict[str, Table]:
    """Return the tables by the names that the page's marks have."""
    return {
        "storage-sop-classes": _storage_sop_classes(),
        "transfer-syntaxes": _transfer_syntaxes(),
        "accepted-contexts": _accepted_contexts(),
        "proposed-contexts": _proposed_contexts(),
        "rejections": _rejections(),
        "aborts": _aborts(),
        "store-statuses": _store_statuses(),
        "store-answers": _store_answers(),
        "commitment-statuses": _commitment_statuses(),
        "failure-reasons": _failure_reasons(),
        "cipher-suites": _cipher_suites(),
        "character-sets": _character_sets(),
    }


def name_of(identifier: UID) -> str:
    """Return a UID's name by PS3.6; by its keyword where pydicom does not know it yet."""
    if identifier.name != str(identifier):
        return identifier.name
    names = (k for k, v in vars(sop_class).items() if v == identifier and not k.startswith("_"))
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", next(names))


def _storage_sop_classes() -> Table:
    rows = [
        (
            name_of(identifier),
            f"`{identifier}`",
            "drafts, `taqrir send`" if identifier == _REPORT else "`taqrir send`",
            "yes",
            "yes" if is_image(identifier) else "no",
        )
        for identifier in STORAGE_SOP_CLASSES
    ]
    return Table(columns=("SOP class", "UID", "SCU", "SCP", "Image"), rows=tuple(rows))


def _transfer_syntaxes() -> Table:
    rows = [
        (
            str(number),
            name_of(syntax),
            f"`{syntax}`",
            _why(syntax),
            "yes" if syntax in DECODERS or syntax in _NATIVE else "no",
        )
        for number, syntax in enumerate(STORAGE_SYNTAXES, start=1)
    ]
    columns = ("Preference", "Transfer syntax", "UID", "Why there", "Pixels decoded")
    return Table(columns=columns, rows=tuple(rows))


def _why(syntax: UID) -> str:
    if syntax == uid.ExplicitVRLittleEndian:
        return "nothing is recompressed, every VR is kept"
    if syntax == uid.ImplicitVRLittleEndian:
        return "last: it drops the VRs of private elements"
    if syntax in _NATIVE:
        return "for senders that have nothing else"
    if "MPEG" in syntax.name or "HEVC" in syntax.name:
        return "video: it is stored"
    return (
        "lossy, as the sender holds it" if syntax in _LOSSY else "lossless, as the sender holds it"
    )


def _accepted_contexts() -> Table:
    storage = frozenset(STORAGE_SOP_CLASSES)
    rows = [
        (
            "each storage SOP class of 5.1",
            "",
            "each of 5.2, in that order",
            "SCP",
            "storage (PS3.4 B.3.1)",
        )
    ]
    rows += [
        (
            name_of(UID(context.abstract_syntax or "")),
            f"`{context.abstract_syntax}`",
            _names(context.transfer_syntax),
            _roles(context),
            "role selection" if context.scu_role else "none",
        )
        for context in supported()
        if context.abstract_syntax not in storage
    ]
    return Table(columns=_CONTEXT_COLUMNS, rows=tuple(rows))


_CONTEXT_COLUMNS = ("Abstract syntax", "UID", "Transfer syntaxes", "Role", "Extended negotiation")


def _roles(context: PresentationContext) -> str:
    """Return our own roles: an SCP by default, by role selection the other one too."""
    return "SCP; SCU where the requestor is SCP" if context.scu_role else "SCP"


def _proposed_contexts() -> Table:
    verification = build_context(Verification)
    query = (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian)
    commitment = name_of(UID(COMMITMENT))
    rows = (
        (
            "`taqrir check`",
            *_named(Verification),
            _names(verification.transfer_syntax),
            "SCU",
            "none",
        ),
        ("a draft", *_named(_REPORT), _names([uid.ExplicitVRLittleEndian]), "SCU", "none"),
        (
            "a draft, in a second context",
            *_named(_REPORT),
            _names([uid.ImplicitVRLittleEndian]),
            "SCU",
            "none",
        ),
        ("`taqrir send`", "the file's SOP class", "", "the file's own", "SCU", "none"),
        ("`count_at`", *_named(UID(_MODEL)), _names(query), "SCU", "none"),
        (
            '`confirm = "commitment"`',
            commitment,
            f"`{COMMITMENT}`",
            _names(TRANSFER_SYNTAXES),
            "SCU",
            "none",
        ),
        (
            "a report on storage commitment",
            commitment,
            f"`{COMMITMENT}`",
            _names(TRANSFER_SYNTAXES),
            "SCP",
            "role selection; where the role is refused, once more without",
        ),
    )
    return Table(columns=("For", *_CONTEXT_COLUMNS), rows=rows)


def _named(identifier: UID) -> tuple[str, str]:
    return name_of(identifier), f"`{identifier}`"


def _names(syntaxes: Iterable[str]) -> str:
    return ", ".join(name_of(UID(syntax)) for syntax in syntaxes)


def _rejections() -> Table:
    refusals = [value for value in vars(negotiation).values() if isinstance(value, Refusal)]
    rows = [
        (
            f"{r.result} {_RESULTS[r.result]}",
            f"{r.source} {_SOURCES[r.source]}",
            f"{r.reason} {_REJECTIONS[r.source, r.reason]}",
            _WHEN_REJECTED[r],
        )
        for r in sorted(refusals, key=lambda r: (r.result, r.source, r.reason, r.word))
    ]
    return Table(columns=("Result", "Source", "Reason", "When"), rows=tuple(rows))


def _aborts() -> Table:
    rows = [
        (_WHEN_ABORTED[reason][0], f"{reason} {_words(reason)}", _WHEN_ABORTED[reason][1])
        for reason in AbortReason
    ]
    return Table(columns=("Source", "Reason", "When"), rows=tuple(rows))


def _words(reason: AbortReason) -> str:
    # PS3.8 table 9-26 spells it so.
    return reason.name.lower().replace("_", "-").replace("recognised", "recognized")


def _store_statuses() -> Table:
    rows = [(f"{status:04X}", *_STORE_STATUSES[status]) for status in Status]
    return Table(columns=("Status", "Meaning", "When, and what follows"), rows=tuple(rows))


def _store_answers() -> Table:
    """What a draft's C-STORE may be answered, and what then becomes of the delivery."""
    later = "tried again later; PARKED after `delivery.give_up_hours`"
    noted = "SENT, with this note"
    looked_up = "SENT, with this note, and looked up at the archive by C-FIND"
    rows = [("0000", "success", "SENT")]
    rows += [
        (f"{status:04X}", words, looked_up if judge(status).is_doubtful else noted)
        for status, words in WARNINGS.items()
    ]
    rows += [
        ("other Bxxx, 0001, 0107, 0116", "stored, with a warning", noted),
        *(
            (_span(statuses), words, later if statuses == OUT_OF_RESOURCES else "PARKED")
            for statuses, words in REFUSALS
        ),
        ("any other", "failure", "PARKED"),
        ("no answer, or the connection broke", "unknown whether it is kept", later),
    ]
    return Table(columns=("Status", "Taken as", "The delivery"), rows=tuple(rows))


def _span(statuses: range) -> str:
    first, last = statuses.start, statuses.stop - 1
    return f"{first:04X}" if first == last else f"{first:04X} to {last:04X}"


def _commitment_statuses() -> Table:
    rows = [
        (f"{status:04X}", *(words or "never" for words in _COMMITMENT_STATUSES[status]))
        for status in CommitmentStatus
    ]
    return Table(columns=("Status", "N-ACTION", "N-EVENT-REPORT"), rows=tuple(rows))


def _failure_reasons() -> Table:
    rows = [(f"{reason:04X}", _FAILURE_REASONS[reason]) for reason in Reason]
    return Table(columns=("Failure Reason", "Meaning"), rows=tuple(rows))


def _cipher_suites() -> Table:
    rows = []
    for profile in _SUITES:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        restrict(context, profile)
        suites = [c["name"] for c in context.get_ciphers() if c["protocol"] == "TLSv1.2"]
        rows.append((f"`{profile}`", ", ".join(f"`{suite}`" for suite in suites)))
    return Table(
        columns=("`node.tls.profile`", "TLS 1.2 cipher suites, best first"), rows=tuple(rows)
    )


def _character_sets() -> Table:
    single = [term for term in DEFINED_TERMS if not term.startswith("ISO 2022")]
    switched = [term for term in DEFINED_TERMS if term.startswith("ISO 2022")]
    rows = tuple(
        (kind, ", ".join(f"`{term}`" for term in sorted(terms, key=_by_number)))
        for kind, terms in (
            ("Without code extensions", single),
            ("With code extensions", switched),
        )
    )
    return Table(columns=("Specific Character Set", "Defined terms"), rows=rows)


def _by_number(term: str) -> tuple[int, str]:
    digits = re.search(r"[0-9]+$", term)
    return (int(digits.group()) if digits else 0, term)
