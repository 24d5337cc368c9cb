"""What an object is made of, read from the rows as they are now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import ordering, store, versions
from core.database import reading
from core.drafting import ModelImage
from core.errors import UnsupportedPixelsError
from core.lifecycle import Origin
from core.orders import CodedProcedure, OrderReference
from core.report import (
    FrameReference,
    Language,
    Patient,
    Report,
    ReportStatus,
    StudyHeader,
    from_json,
    standing,
)
from core.tables import Artifact, Delivery, Draft, Instance, Series
from dicom_node.documents import DocumentReference
from dicom_node.pixels import render
from worker.destinations import documents
from worker.destinations.base import EarlierDocument, Source
from worker.parts import Parts

_DOCUMENTS = frozenset(("sr", "pdf", "sc", "ko"))
_DOCUMENT_MESSAGE = "mdm"
# What a version was whose text is gone. A renewed one may have been signed, and is never rejected.
_STATUSES = {
    Origin.MODEL: ReportStatus.DRAFT,
    Origin.RENEWED: ReportStatus.SIGNED,
    Origin.SIGNED: ReportStatus.SIGNED,
    Origin.CORRECTED: ReportStatus.CORRECTED,
    Origin.ADDENDED: ReportStatus.ADDENDED,
    Origin.WITHDRAWN: ReportStatus.WITHDRAWN,
}


def source_of(parts: Parts, session: Session, delivery: Delivery) -> tuple[Source, bytes | None]:
    """Return what a delivery's object is made of, and its bytes where an attempt has made them."""
    draft = session.get_one(Draft, delivery.draft_id)
    artifact = session.get_one(Artifact, delivery.artifact_id)
    report = from_json(draft.report)
    source = Source(
        report=report,
        header=header_for(session, draft),
        kind=artifact.kind,
        language=artifact.language,
        uid=artifact.uid,
        report_version=draft.report_version,
        created_at=draft.created_at,
        predecessors=tuple(_predecessors(session, delivery, draft, artifact)),
        order=order_for(session, draft),
        drafts_out=(
            tuple(drafts_out(session, draft.study_id, before=draft.report_version))
            if artifact.kind == documents.REJECT
            else ()
        ),
        evidence=_evidence(session, draft.study_id, report),
        load_images=partial(_images, parts, draft.study_id, report.frames),
    )
    return source, artifact.content


def header_for(session: Session, draft: Draft) -> StudyHeader:
    """Return patient and study attributes as they are known now, or as a version fixes them.

    A version fixes them where it takes back what was said of a patient whom the study's newest
    object does not name.
    """
    fixed = draft.changes.get("header")
    if fixed is None:
        return store.header_of(session, store.get(session, draft.study_id))
    return StudyHeader(**{**fixed, "patient": Patient(**fixed["patient"])})


def order_for(session: Session, draft: Draft) -> OrderReference:
    """Return the order as it is known now; of a version that fixes its header the one it fixes.

    The study's own may be another patient's by then.
    """
    if "header" not in draft.changes:
        return ordering.reference_of(session, draft.study_id)
    return order_of(draft.changes.get("order", {}))


def order_of(fields: dict[str, Any]) -> OrderReference:
    """Return an order that was written down as the fields of `OrderReference`."""
    procedure = CodedProcedure(**fields.get("procedure", {}))
    return OrderReference(**{**fields, "procedure": procedure})


def drafts_out(session: Session, study: int, *, before: int) -> list[EarlierDocument]:
    """Return the documents of earlier versions that no person signed and that were not rejected."""
    holders = versions.holders(session, study)
    found: list[EarlierDocument] = []
    # Destinations that have a rejection: it names what is older.
    told: set[str] = set()
    for artifact, draft in versions.objects_out(session, study, before=before):
        places = holders[artifact.id]
        if artifact.kind == documents.REJECT:
            told |= {destination for destination, is_sure in places.items() if is_sure}
            continue
        earlier = _earlier(artifact, draft)
        is_draft = not standing(earlier.status).is_final
        if is_draft and artifact.kind in _DOCUMENTS and not told.issuperset(places):
            found.append(earlier)
    return found


def _predecessors(
    session: Session, delivery: Delivery, draft: Draft, artifact: Artifact
) -> list[EarlierDocument]:
    """Return the earlier objects of the same kind and language that an object replaces.

    The newest that the destination has, and what it may have beside that. An object goes to all of
    its destinations as the same bytes, so it names what any of them has, this one's first. Where
    none has any: the newest that another peer has.
    """
    rows = versions.objects_out(session, draft.study_id, before=draft.report_version)
    same = (artifact.kind, artifact.language)
    found = [(a, d) for a, d in rows if (a.kind, a.language) == same]
    holders = versions.holders(session, draft.study_id)
    if artifact.kind == _DOCUMENT_MESSAGE and draft.origin != Origin.WITHDRAWN:
        # An edit is for a document that the information system knows by its number; an answer that
        # never came is no yes. What it may have is taken back all the same.
        found = [row for row in found if holders[row[0].id].get(delivery.destination)]
    others = session.scalars(
        select(Delivery.destination)
        .where(Delivery.artifact_id == artifact.id, Delivery.id != delivery.id)
        .order_by(Delivery.id)
    )
    named: dict[int, EarlierDocument] = {}
    for destination in (delivery.destination, *others):
        for older, version in found:
            is_sure = holders[older.id].get(destination)
            if is_sure is None:
                continue
            content = older.content if destination == delivery.destination else None
            named.setdefault(older.id, replace(_earlier(older, version), content=content))
            if is_sure:
                break
    return list(named.values()) or [_earlier(*row) for row in found[:1]]


def _earlier(artifact: Artifact, draft: Draft) -> EarlierDocument:
    if draft.report:
        report = from_json(draft.report)
        language = Language(artifact.language) if artifact.language else None
        status = report.status_of(language) if language else report.status
    else:
        # Purged: its text is gone, and with it how finished each language was.
        status = _STATUSES[Origin(draft.origin)]
    return EarlierDocument(
        kind=artifact.kind,
        language=artifact.language,
        uid=artifact.uid,
        report_version=draft.report_version,
        status=status,
    )


def _evidence(session: Session, study: int, report: Report) -> tuple[DocumentReference, ...]:
    """Return all images of a study, which a final report stands on (PS3.3 C.17.2.3)."""
    if not standing(report.status).is_final:
        return ()
    rows = session.execute(
        select(Instance.sop_instance_uid, Instance.sop_class_uid, Series.series_uid)
        .join(Series, Series.id == Instance.series_id)
        .where(
            Instance.study_id == study,
            Instance.is_current,
            Instance.is_image,
            Instance.is_own.is_(False),
        )
        .order_by(Instance.series_id, Instance.id)
    )
    return tuple(
        DocumentReference(sop_instance_uid=row[0], sop_class_uid=row[1], series_uid=row[2])
        for row in rows
    )


def _images(parts: Parts, study: int, frames: Sequence[FrameReference]) -> list[ModelImage]:
    """Make the pictures that the model saw; those that can no longer be read are left out."""
    with reading(parts.engine) as session:
        paths = store.paths_of(session, study, [frame.sop_instance_uid for frame in frames])
    found = []
    for frame in frames:
        path = paths.get(frame.sop_instance_uid)
        if path is None:
            continue
        try:
            picture = render(
                parts.files.resolve(path), frame.frame_number, frame.transform, frame.window
            )
        except UnsupportedPixelsError:
            continue
        found.append(ModelImage(pixels=picture.pixels, frame=frame, is_orientation_known=True))
    return found
