"""Which studies may be removed, what holds the others, and how the rows of one go.

`[retention] days` count from the last change of state; an object that came later counts too. One
expression (`hold`) says of every study what holds it, so that the purge, `taqrir purge --dry-run`,
`taqrir status` and the metrics can never disagree.

What stays of a purged study is its row, without the patient, and what makes the numbers add up and
report versions and identifiers go on: timeline, drafts without their text, artifacts without their
content, deliveries. Its files are the business of `worker.purge`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, case, delete, exists, func, literal, or_, select, update
from sqlalchemy.orm import Session

from core import store
from core.instructions import ROUTINE
from core.lifecycle import DeliveryState, State
from core.order_tables import Order
from core.settings import Settings
from core.tables import Artifact, AuditEvent, Delivery, Draft, Instance, Series, Study, Turn

# Nothing of it is decided yet.
_IN_WORK = (State.RECEIVING, State.QUEUED, State.DRAFTING)
# Work for a person: a study that nobody looked at must not vanish by itself.
_TROUBLED = (State.FAILED, State.WITHHELD)
# What was sent of them is what the work was for, so that it must have arrived.
_REPORTED = (State.IN_REVIEW, State.SIGNED)
# Their reasons are a peer's words, in which a patient may stand.
_WORDS_OF_PEERS = "delivery_%"
_WORDS_OF_OPERATORS = "delivery_dismissed"
_BLANKED = (
    "patient_id", "patient_issuer", "patient_name", "patient_birth_date", "patient_sex", "study_id",
    "accession_number", "accession_issuer", "study_date", "study_time", "description",
    "referring_physician",
)  # fmt: skip


class Hold(StrEnum):
    """Why a study is kept; DUE: it is not, and goes with the next purge."""

    IN_WORK = "in_work"
    YOUNG = "young"
    UNDISMISSED = "undismissed"
    UNDELIVERED = "undelivered"
    PARKED = "parked"
    UNCONFIRMED = "unconfirmed"
    COMMITTED = "committed"
    FOR_EVER = "for_ever"
    DUE = "due"


HOLDS: dict[Hold, str] = {
    Hold.IN_WORK: "received, queued or drafted right now",
    Hold.YOUNG: "not old enough",
    Hold.UNDISMISSED: "FAILED or WITHHELD: `taqrir retry` or `taqrir dismiss`",
    Hold.UNDELIVERED: "something of it waits to be sent",
    Hold.PARKED: "a delivery is PARKED: `taqrir retry` or `taqrir dismiss`",
    Hold.UNCONFIRMED: "an archive has not confirmed what it was sent",
    Hold.COMMITTED: "storage is committed to its sender",
    Hold.FOR_EVER: "retention.days = 0",
    Hold.DUE: "goes with the next purge",
}


@dataclass(frozen=True, kw_only=True)
class RetentionPolicy:
    """What a site keeps for how long.

    Attributes:
        days: After the last change of state; 0: nothing is ever removed.
        confirming: Destinations that are asked for a proof; of the others SENT is the proof, of
            those that have left the settings too, since nobody will ever ask them.
    """

    days: int
    confirming: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: Settings) -> RetentionPolicy:
        """Return the policy of a site."""
        confirming = {a.destination for a in settings.archives if a.confirm != "none"}
        return cls(days=settings.retention.days, confirming=frozenset(confirming))


@dataclass(frozen=True, kw_only=True)
class KeptStudy:
    """A study whose files are here, and why."""

    id: int
    study_uid: str
    state: str
    hold: Hold
    since: datetime
    instances: int
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class PurgedStudy:
    """What went away, as the audit trail tells it.

    Attributes:
        sop_classes: How many objects of each SOP class.
    """

    id: int
    study_uid: str
    patient_id: str = field(repr=False)
    patient_issuer: str = field(repr=False)
    accession_number: str = field(repr=False)
    sop_classes: dict[str, int]
    instances: int
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Overview:
    """Numbers for status and metrics.

    Attributes:
        holds: How many studies that are not purged are held by what.
        purged: How many are.
        oldest: When the first object of the oldest study that is kept came.
    """

    holds: dict[Hold, int]
    purged: int
    oldest: datetime | None


def hold(policy: RetentionPolicy, *, at: datetime) -> ColumnElement[str]:
    """Return the expression that says what holds a study; the first reason that fits."""
    if policy.days == 0:
        return literal(Hold.FOR_EVER.value)
    before = at - timedelta(days=policy.days)
    is_reported = Study.state.in_(_REPORTED)
    came_later = _has(Instance, Instance.received_at > before)
    is_changed = or_(Study.state_changed_at > before, Study.last_instance_at > before)
    pending = _has(Delivery, Delivery.state == DeliveryState.PENDING)
    parked = _has(Delivery, Delivery.state == DeliveryState.PARKED, Delivery.dismissed_at.is_(None))
    unconfirmed = _has(
        Delivery,
        Delivery.state == DeliveryState.SENT,
        Delivery.destination.in_(policy.confirming),
        Delivery.dismissed_at.is_(None),
    )
    undismissed = and_(Study.state.in_(_TROUBLED), Study.dismissed_at.is_(None))
    return case(
        (Study.state.in_(_IN_WORK), Hold.IN_WORK.value),
        (is_changed, Hold.YOUNG.value),
        (undismissed, Hold.UNDISMISSED.value),
        (pending, Hold.UNDELIVERED.value),
        (and_(is_reported, parked), Hold.PARKED.value),
        (and_(is_reported, unconfirmed), Hold.UNCONFIRMED.value),
        # Last, since these look at every object of the study.
        (came_later, Hold.YOUNG.value),
        (_has(Instance, Instance.committed_until > at), Hold.COMMITTED.value),
        else_=Hold.DUE.value,
    )


def _has(table: type[Instance | Delivery], *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(table.study_id == Study.id, *conditions)


def due(
    session: Session, policy: RetentionPolicy, *, at: datetime, limit: int | None = None
) -> Sequence[int]:
    """Return ids of studies that may be removed now, those first that have waited longest."""
    if policy.days == 0:
        return ()
    before = at - timedelta(days=policy.days)
    return session.scalars(
        select(Study.id)
        .where(
            Study.purged_at.is_(None),
            # What the expression says too, in a form that an index answers.
            Study.state_changed_at <= before,
            hold(policy, at=at) == Hold.DUE.value,
        )
        .order_by(Study.state_changed_at, Study.id)
        .limit(limit)
    ).all()


def kept(
    session: Session, policy: RetentionPolicy, *, at: datetime, limit: int
) -> Sequence[KeptStudy]:
    """Return the studies that are due, or would be but for what holds them; oldest first."""
    held = hold(policy, at=at)
    rows = session.execute(
        select(
            Study.id,
            Study.study_uid,
            Study.state,
            held,
            Study.state_changed_at,
            select(func.count()).where(Instance.study_id == Study.id).scalar_subquery(),
            select(func.coalesce(func.sum(Instance.size_bytes), 0))
            .where(Instance.study_id == Study.id)
            .scalar_subquery(),
        )
        .where(
            Study.purged_at.is_(None),
            held.not_in([Hold.IN_WORK.value, Hold.YOUNG.value, Hold.FOR_EVER.value]),
        )
        .order_by(Study.state_changed_at, Study.id)
        .limit(limit)
    )
    return [
        KeptStudy(
            id=row[0],
            study_uid=row[1],
            state=row[2],
            hold=Hold(row[3]),
            since=row[4],
            instances=row[5],
            size_bytes=int(row[6]),
        )
        for row in rows
    ]


def overview(session: Session, policy: RetentionPolicy, *, at: datetime) -> Overview:
    """Count all studies by what holds them."""
    held = hold(policy, at=at).label("held")
    rows = session.execute(
        select(held, func.count()).where(Study.purged_at.is_(None)).group_by(held)
    )
    holds = dict.fromkeys(Hold, 0) | {Hold(row[0]): row[1] for row in rows}
    purged = session.scalar(select(func.count()).where(Study.purged_at.is_not(None))) or 0
    oldest = session.scalar(select(func.min(Study.created_at)).where(Study.purged_at.is_(None)))
    return Overview(holds=holds, purged=purged, oldest=oldest)


def purge_rows(
    session: Session, study: int, policy: RetentionPolicy, *, at: datetime, actor: str
) -> PurgedStudy | None:
    """Remove texts, patient and index entries of a study; None where it may not go (any more).

    The study's row is locked first, as whoever adds an object to it does: after that nothing comes
    in between.
    """
    row = store.get(session, study, lock=True)
    held = session.scalar(select(hold(policy, at=at)).where(Study.id == study))
    if row.purged_at is not None or held != Hold.DUE:
        return None
    purged = _describe(session, row)
    session.execute(delete(Instance).where(Instance.study_id == study))
    session.execute(delete(Series).where(Series.study_id == study))
    drafts = select(Draft.id).where(Draft.study_id == study)
    session.execute(
        update(Artifact).where(Artifact.draft_id.in_(drafts)).values(content=None, sent_as={})
    )
    session.execute(delete(Turn).where(Turn.study_id == study))
    session.execute(delete(Order).where(Order.study_id == study))
    # The rows stay: the next draft's number follows theirs, so that no identifier comes back.
    session.execute(
        update(Draft).where(Draft.study_id == study).values(report="", selection={}, changes={})
    )
    _forget_words(session, study)
    for column in _BLANKED:
        setattr(row, column, "")
    row.patient_name_bytes = b""
    # Its haste was that of images and orders which are gone.
    row.priority = ROUTINE
    row.purged_at = at
    store.note(
        session,
        study,
        "purged",
        at=at,
        actor=actor,
        instances=purged.instances,
        bytes=purged.size_bytes,
        days=policy.days,
    )
    session.flush()
    return purged


def _describe(session: Session, row: Study) -> PurgedStudy:
    classes = session.execute(
        select(Instance.sop_class_uid, func.count(), func.sum(Instance.size_bytes))
        .where(Instance.study_id == row.id)
        .group_by(Instance.sop_class_uid)
    ).all()
    return PurgedStudy(
        id=row.id,
        study_uid=row.study_uid,
        patient_id=row.patient_id,
        patient_issuer=row.patient_issuer,
        accession_number=row.accession_number,
        sop_classes={line[0]: line[1] for line in classes},
        instances=sum(line[1] for line in classes),
        size_bytes=sum(int(line[2]) for line in classes),
    )


def _forget_words(session: Session, study: int) -> None:
    session.execute(update(Delivery).where(Delivery.study_id == study).values(reason=""))
    events = session.scalars(
        select(AuditEvent).where(
            AuditEvent.study_id == study,
            AuditEvent.event.like(_WORDS_OF_PEERS),
            AuditEvent.event != _WORDS_OF_OPERATORS,
        )
    )
    for event in events:
        if event.detail.get("reason"):
            event.detail = {**event.detail, "reason": ""}


def paths_under_lock(session: Session, study_uid: str) -> frozenset[str]:
    """Return the paths that rows of a study point to; nobody adds one before the session's end."""
    study = session.scalar(select(Study.id).where(Study.study_uid == study_uid).with_for_update())
    if study is None:
        return frozenset()
    return frozenset(session.scalars(select(Instance.path).where(Instance.study_id == study)))
