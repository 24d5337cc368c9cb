"""What has come of the studies that are being received, as rows, inbox and associations tell it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session, load_only

from core.blobs import InstanceFiles
from core.lifecycle import State
from core.tables import Artifact, Draft, Instance, Study

_COLUMNS = (
    Study.study_uid,
    Study.sender,
    Study.version,
    Study.last_instance_at,
    Study.state_changed_at,
)


@dataclass(frozen=True, kw_only=True)
class Receiving:
    """A study that is being received, as one look finds it."""

    id: int
    study_uid: str
    sender: str
    version: int
    last_instance_at: datetime
    state_changed_at: datetime


@dataclass(kw_only=True)
class Come:
    """What has come of a study up to its newest object; our own objects are left out.

    Attributes:
        newest: The newest object's row, by number.
        senders: Of its images, the study's own first.
        own: SOP Instance UIDs of what we made of it.
        images: SOP Instance UIDs; loaded where an archive listed its own.
    """

    newest: int
    senders: tuple[str, ...]
    associations: frozenset[str]
    objects: int
    own: frozenset[str]
    images: frozenset[str] | None = None


def oldest_arrival(files: InstanceFiles) -> datetime | None:
    """Return when the oldest object that is not yet in the index came; None where none waits."""
    oldest = files.oldest_arrival_ns()
    return None if oldest is None else datetime.fromtimestamp(oldest / 1e9, tz=UTC)


def horizon(files: InstanceFiles, now: datetime) -> datetime:
    """Return the moment up to which everything that came is in the index, at most `now`.

    A backlog in the inbox never makes a study look quiet: time stands still with its oldest file.
    """
    try:
        oldest = oldest_arrival(files)
    except FileNotFoundError:
        return now
    return now if oldest is None else min(now, oldest)


def all_receiving(session: Session) -> list[Receiving]:
    """Return the studies that are being received; those in other states cost nothing."""
    studies = session.scalars(
        select(Study)
        .options(load_only(*_COLUMNS))
        .where(Study.state == State.RECEIVING)
        .order_by(Study.id)
    )
    return [receiving(study) for study in studies]


def receiving(study: Study) -> Receiving:
    """Return what a look needs of a study's row."""
    return Receiving(
        id=study.id,
        study_uid=study.study_uid,
        sender=study.sender,
        version=study.version,
        last_instance_at=study.last_instance_at,
        state_changed_at=study.state_changed_at,
    )


def newest_objects(session: Session, studies: Collection[int]) -> dict[int, int]:
    """Return the number of each study's newest row: it tells whether anything came at all.

    The time of the newest image does not: what is no image leaves it as it is.
    """
    newest = select(func.max(Instance.id)).where(Instance.study_id == Study.id).scalar_subquery()
    rows = session.execute(select(Study.id, newest).where(Study.id.in_(studies)))
    return {row[0]: row[1] or 0 for row in rows}


def what_came(session: Session, study: Receiving, newest: int) -> Come:
    """Return what came of a study: one query over its objects, however many there are."""
    columns = (Instance.sender, Instance.association, Instance.is_image, Instance.is_current)
    rows = session.execute(
        select(func.count(), *columns)
        .where(Instance.study_id == study.id, Instance.is_own.is_(False))
        .group_by(*columns)
    )
    senders, associations, objects = set[str](), set[str](), 0
    for number, sender, association, is_image, is_current in rows:
        associations.add(association)
        if is_image:
            senders.add(sender)
        if is_current:
            objects += number
    return Come(
        newest=newest,
        senders=(study.sender, *sorted(senders - {study.sender})),
        associations=frozenset(associations),
        objects=objects,
        own=_own_uids(session, study.id),
    )


def _own_uids(session: Session, study: int) -> frozenset[str]:
    made = select(Artifact.uid).join(Draft).where(Draft.study_id == study)
    came = select(Instance.sop_instance_uid).where(Instance.study_id == study, Instance.is_own)
    return frozenset(session.scalars(made.union(came)))


def image_uids(session: Session, study: int) -> frozenset[str]:
    """Return the SOP Instance UIDs of a study's current images that are not ours."""
    return frozenset(
        session.scalars(
            select(Instance.sop_instance_uid).where(
                Instance.study_id == study,
                Instance.is_current,
                Instance.is_image,
                Instance.is_own.is_(False),
            )
        )
    )


def count_carriers(
    under_way: Mapping[str, frozenset[str]], study_uid: str, brought_by: frozenset[str]
) -> int:
    """Return how many open associations brought some of a study or are bringing it now.

    One that brought nothing of it is never waited for.
    """
    return sum(
        association in brought_by or study_uid in studies
        for association, studies in under_way.items()
    )
