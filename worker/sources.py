"""What an object is made of, read from the rows as they are now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import ordering, store, versions
from core.database import reading
from core.drafting import ModelImage
from core.errors import UnsupportedPixelsError
from core.lifecycle import DeliveryState, Origin
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
        predecessor=_predecessor(session, delivery, draft, artifact),
        order=ordering.reference_of(session, delivery.study_id),
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


def drafts_out(session: Session, study: int, *, before: int) -> list[EarlierDocument]:
    """Return the documents of earlier versions that no person signed and that were not rejected."""
    found: list[EarlierDocument] = []
    for artifact, draft in versions.objects_out(session, study, before=before):
        if artifact.kind == documents.REJECT:
            # What is older was named by that one.
            break
        earlier = _earlier(artifact, draft)
        is_draft = not standing(earlier.status).is_final
        if is_draft and artifact.kind in _DOCUMENTS:
            found.append(earlier)
    return found


def _predecessor(
    session: Session, delivery: Delivery, draft: Draft, artifact: Artifact
) -> EarlierDocument | None:
    """Return the newest earlier object of the same kind and language that a peer has.

    One that this very destination has goes before all others.
    """
    rows = versions.objects_out(session, draft.study_id, before=draft.report_version)
    same = (artifact.kind, artifact.language)
    found = [(a, d) for a, d in rows if (a.kind, a.language) == same]
    if artifact.kind == _DOCUMENT_MESSAGE and draft.origin != Origin.WITHDRAWN:
        taken = _taken_by(session, delivery)
        found = [row for row in found if row[0].id in taken]
    if not found:
        return None
    own = set(
        session.scalars(
            select(Delivery.artifact_id).where(
                Delivery.study_id == draft.study_id, Delivery.destination == delivery.destination
            )
        )
    )
    newest, version = min(found, key=lambda row: row[0].id not in own)
    earlier = _earlier(newest, version)
    return replace(earlier, content=newest.content) if newest.id in own else earlier


def _taken_by(session: Session, delivery: Delivery) -> frozenset[int]:
    """Return the artifacts of a study that a destination has said yes to.

    An edit of a document is for one that the information system knows by its number; an answer that
    never came is no yes. What it may have is taken back all the same.
    """
    query = select(Delivery.artifact_id).where(
        Delivery.study_id == delivery.study_id,
        Delivery.destination == delivery.destination,
        Delivery.state.in_((DeliveryState.SENT, DeliveryState.CONFIRMED)),
    )
    return frozenset(session.scalars(query))


def _earlier(artifact: Artifact, draft: Draft) -> EarlierDocument:
    status = ReportStatus.DRAFT
    # Purged: its text is gone, and with it how finished it was.
    if draft.report:
        report = from_json(draft.report)
        language = Language(artifact.language) if artifact.language else None
        status = report.status_of(language) if language else report.status
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
