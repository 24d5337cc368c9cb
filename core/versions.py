"""Report versions of a study: which is the current one, and which objects of earlier ones are out.

A version is a row of `Draft`: what the model wrote, what a person signed, the same text under a
corrected header, or a withdrawal. The newest that was not withheld is the study's current one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.lifecycle import DeliveryState, Origin, State
from core.report import StudyHeader
from core.tables import Artifact, Delivery, Draft, Study

_SAID = frozenset((DeliveryState.SENT, DeliveryState.CONFIRMED))
# States in which a version with a text may be sent.
_SENDING = frozenset((State.IN_REVIEW, State.SIGNED))


def next_report_version(session: Session, study: int) -> int:
    """Return the number of a study's next report version; numbers never come back."""
    query = select(func.max(Draft.report_version)).where(Draft.study_id == study)
    return (session.scalar(query) or 0) + 1


def current(session: Session, study: int) -> Draft | None:
    """Return a study's newest report version that was not withheld."""
    return session.scalars(
        select(Draft)
        .where(Draft.study_id == study, Draft.is_withheld.is_(False))
        .order_by(Draft.report_version.desc())
    ).first()


def is_current(session: Session, draft: Draft) -> bool:
    """Tell whether a report version is still what the world should be told of its study.

    A withdrawal is, whatever the study's state, until a newer version comes.
    """
    newest = current(session, draft.study_id)
    if newest is None or newest.id != draft.id:
        return False
    study = session.get_one(Study, draft.study_id)
    if draft.origin == Origin.WITHDRAWN:
        return True
    return study.state in _SENDING and study.version == draft.study_version


def objects_out(session: Session, study: int, *, before: int) -> Sequence[tuple[Artifact, Draft]]:
    """Return the objects of earlier versions that peers have, or may have, newest version first.

    One whose answer never came may be there: to name it as a predecessor does no harm, to leave it
    standing does.
    """
    rows = session.execute(
        select(Artifact, Draft)
        .join(Draft, Draft.id == Artifact.draft_id)
        .where(
            Draft.study_id == study,
            Draft.report_version < before,
            # Its content may be purged; the peer has it all the same.
            Artifact.sha256 != "",
            select(Delivery.id)
            .where(Delivery.artifact_id == Artifact.id, Delivery.is_out)
            .exists(),
        )
        .order_by(Draft.report_version.desc(), Artifact.id)
    ).all()
    return [(row[0], row[1]) for row in rows]


def holders(session: Session, study: int) -> dict[int, dict[str, bool]]:
    """Return of each artifact of a study the destinations that have it, or may have it.

    True: the destination said so. False: its answer never came, or an archive took its yes back.
    """
    found: dict[int, dict[str, bool]] = {}
    rows = session.execute(
        select(Delivery.artifact_id, Delivery.destination, Delivery.state).where(
            Delivery.study_id == study, Delivery.is_out
        )
    )
    for artifact, destination, state in rows:
        found.setdefault(artifact, {})[destination] = state in _SAID
    return found


def header_digest(header: StudyHeader) -> str:
    """Return a digest of patient and study attributes, by which a changed header is noticed.

    Modality and body part are the images' own, and say nothing of patient or order.
    """
    data = asdict(header)
    del data["modality"], data["body_part"]
    text = json.dumps(data, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def was_made_of_another_header(session: Session, draft: Draft, digest: str) -> bool:
    """Tell whether an object of a version was rendered for another patient or study attributes."""
    found = session.scalars(
        select(Artifact.id).where(
            Artifact.draft_id == draft.id,
            Artifact.header_digest != "",
            Artifact.header_digest != digest,
        )
    ).first()
    return found is not None
