"""What an object is made of, read from the rows as they are now."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import ordering, store, versions
from core.report import Language, from_json
from core.tables import Artifact, Delivery, Draft
from worker.destinations.base import EarlierDocument, Source


def source_of(session: Session, delivery: Delivery) -> tuple[Source, bytes | None]:
    """Return what a delivery's object is made of, and its bytes where an attempt has made them."""
    draft = session.get_one(Draft, delivery.draft_id)
    artifact = session.get_one(Artifact, delivery.artifact_id)
    source = Source(
        report=from_json(draft.report),
        header=store.header_of(session, store.get(session, delivery.study_id)),
        kind=artifact.kind,
        language=artifact.language,
        uid=artifact.uid,
        report_version=draft.report_version,
        created_at=draft.created_at,
        predecessor=_predecessor(session, delivery, draft, artifact),
        order=ordering.reference_of(session, delivery.study_id),
    )
    return source, artifact.content


def _predecessor(
    session: Session, delivery: Delivery, draft: Draft, artifact: Artifact
) -> EarlierDocument | None:
    """Return the newest earlier object of the same kind and language that a peer has.

    One that this very destination has goes before all others.
    """
    own = set(
        session.scalars(
            select(Delivery.artifact_id).where(
                Delivery.study_id == draft.study_id, Delivery.destination == delivery.destination
            )
        )
    )
    rows = [
        (earlier, version)
        for earlier, version in versions.objects_out(
            session, draft.study_id, before=draft.report_version
        )
        if (earlier.kind, earlier.language) == (artifact.kind, artifact.language)
    ]
    if not rows:
        return None
    earlier, version = min(rows, key=lambda row: row[0].id not in own)
    # Purged: its text is gone, and with it how finished it was.
    report = from_json(version.report) if version.report else None
    language = Language(earlier.language) if earlier.language else None
    document = EarlierDocument(
        uid=earlier.uid,
        report_version=version.report_version,
        content=earlier.content if earlier.id in own else None,
    )
    if report is None:
        return document
    return replace(document, status=report.status_of(language) if language else report.status)
