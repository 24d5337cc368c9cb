"""An operator says that nothing more will be done about what waits for a person.

It takes a study or a delivery out of the list of troubles and lets retention have it. It changes no
state: a dismissed study is still FAILED, `taqrir retry` still drafts it, and whatever changes its
state ends the dismissal.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from core import store
from core.lifecycle import DeliveryState, State
from core.retention import RetentionPolicy
from core.tables import Artifact, Delivery, Study

_TROUBLED = (State.FAILED, State.WITHHELD)


@dataclass(frozen=True, kw_only=True)
class Dismissal:
    """Who dismisses, when and why.

    Attributes:
        reason: For the timeline; no patient data.
    """

    at: datetime
    actor: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Dismissed:
    """What was dismissed of one study."""

    study: Study
    is_study: bool
    deliveries: int


def studies_with_delivery(session: Session, uid: str) -> list[int]:
    """Return the ids of studies of which an object with this UID or MSH-10 was sent."""
    query = select(Delivery.study_id).join(Artifact, Artifact.id == Delivery.artifact_id)
    return list(session.scalars(query.where(Artifact.uid == uid).distinct()))


def dismiss_study(
    session: Session, study: int, policy: RetentionPolicy, dismissal: Dismissal
) -> Dismissed:
    """Dismiss a FAILED or WITHHELD study, and all of its deliveries that wait for a person."""
    row = store.get(session, study, lock=True)
    is_study = row.state in _TROUBLED and row.dismissed_at is None
    if is_study:
        row.dismissed_at = dismissal.at
        store.note(
            session,
            study,
            "dismissed",
            at=dismissal.at,
            actor=dismissal.actor,
            reason=dismissal.reason,
        )
    deliveries = _dismiss_deliveries(session, study, policy, dismissal)
    return Dismissed(study=row, is_study=is_study, deliveries=deliveries)


def dismiss_delivery(
    session: Session,
    study: int,
    policy: RetentionPolicy,
    dismissal: Dismissal,
    *,
    uid: str,
    destinations: Collection[str] = (),
) -> Dismissed:
    """Dismiss the deliveries of one object, to some destinations or to all of them."""
    row = store.get(session, study, lock=True)
    count = _dismiss_deliveries(
        session, study, policy, dismissal, uid=uid, destinations=destinations
    )
    return Dismissed(study=row, is_study=False, deliveries=count)


def _dismiss_deliveries(
    session: Session,
    study: int,
    policy: RetentionPolicy,
    dismissal: Dismissal,
    *,
    uid: str = "",
    destinations: Collection[str] = (),
) -> int:
    is_unconfirmed = and_(
        Delivery.state == DeliveryState.SENT, Delivery.destination.in_(policy.confirming)
    )
    query = (
        select(Delivery, Artifact)
        .join(Artifact, Artifact.id == Delivery.artifact_id)
        .where(
            Delivery.study_id == study,
            Delivery.dismissed_at.is_(None),
            or_(Delivery.state == DeliveryState.PARKED, is_unconfirmed),
        )
        .order_by(Delivery.id)
    )
    if uid:
        query = query.where(Artifact.uid == uid)
    if destinations:
        query = query.where(Delivery.destination.in_(destinations))
    rows = session.execute(query).all()
    for delivery, artifact in rows:
        delivery.dismissed_at = dismissal.at
        store.note(
            session,
            study,
            "delivery_dismissed",
            at=dismissal.at,
            actor=dismissal.actor,
            destination=delivery.destination,
            uid=artifact.uid,
            reason=dismissal.reason,
        )
    return len(rows)
