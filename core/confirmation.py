"""SENT becomes CONFIRMED: the archive is asked to commit to what it was sent (PS3.4 J).

Where an archive offers no commitment its objects are looked up instead, by the same rows
(`worker.lookup`): each look is a transaction of its own.

The transaction's UID stands in the row before the archive is asked, so that a report may come at
any time and on any association. A delivery awaits a report while it is SENT and has a
`commitment_until`; everything else that comes (a repeated report, one of another archive) changes
nothing.

* committed: CONFIRMED.
* denied: PENDING again, once, to be sent anew; the second time PARKED with the archive's reason.
* no report in time: asked again, under a new transaction, after pauses that double up to a day.
  After three requests in vain the row says so, and so does `taqrir status`. It stays SENT: the
  archive did answer Success to the object, and a dead letter would say otherwise.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, cast

from sqlalchemy import CursorResult, or_, select, update
from sqlalchemy.orm import Session

from core import store
from core.lifecycle import DeliveryState
from core.tables import Artifact, Delivery

# So many requests in vain make a note that a person sees; how it begins.
ASKS_UNTIL_NOTED = 3
NOTE = "sent, not confirmed: "
_DENIALS_UNTIL_PARKED = 2
_LONGEST_PATIENCE = timedelta(hours=24)
# One request to an archive's association; the rest comes with the next.
_MOST_DELIVERIES = 200

Row = tuple[Delivery, Artifact]


def new_transaction_uid() -> str:
    """Return a UID for a request: another one each time (PS3.4 J.3.2.1)."""
    return f"2.25.{uuid.uuid4().int}"


def due(
    session: Session, destination: str, *, at: datetime, only_doubtful: bool = False
) -> list[list[Row]]:
    """Return what a destination is to be asked for now, the objects of one study together.

    Only what its own yes left doubtful, where the site wants no other proof of it.
    """
    query = (
        select(Delivery, Artifact)
        .join(Artifact, Artifact.id == Delivery.artifact_id)
        .where(
            Delivery.state == DeliveryState.SENT,
            Delivery.destination == destination,
            Delivery.dismissed_at.is_(None),
            or_(Delivery.commitment_until.is_(None), Delivery.commitment_until <= at),
            Artifact.content.is_not(None),
        )
        .order_by(Delivery.study_id, Delivery.id)
        .limit(_MOST_DELIVERIES)
    )
    if only_doubtful:
        query = query.where(Delivery.is_doubtful)
    rows = session.execute(query).all()
    pairs = [(row[0], row[1]) for row in rows]
    return [list(group) for _, group in groupby(pairs, key=lambda pair: pair[0].study_id)]


def claim(
    session: Session, rows: Sequence[Row], *, transaction_uid: str, until: datetime
) -> list[Row]:
    """Put some deliveries under a transaction; return those that nobody else was faster with."""
    claimed = []
    for delivery, artifact in rows:
        written = session.execute(
            update(Delivery)
            .where(
                Delivery.id == delivery.id,
                Delivery.state == DeliveryState.SENT,
                Delivery.commitment_uid == delivery.commitment_uid,
                Delivery.commitment_until.is_not_distinct_from(delivery.commitment_until),
            )
            .values(commitment_uid=transaction_uid, commitment_until=until)
            .execution_options(synchronize_session=False)
        )
        if cast("CursorResult[Any]", written).rowcount == 1:
            claimed.append((delivery, artifact))
    return claimed


def asked(
    session: Session,
    transaction_uid: str,
    *,
    at: datetime,
    patience: timedelta,
    actor: str,
    refusal: str = "",
) -> None:
    """Count a request that the archive answered, or refused as a whole.

    `patience` is how long the first report is waited for; it doubles with each request. `refusal`
    says why the archive will not report; empty where it promised to.
    """
    for delivery, artifact in awaiting(session, transaction_uid):
        asks = delivery.commitment_asks + 1
        wait = min(patience * 2 ** min(asks - 1, 16), _LONGEST_PATIENCE)
        values: dict[str, Any] = {"commitment_asks": asks, "commitment_until": at + wait}
        # Whether a request was in vain is known when the next one goes out, or is refused.
        in_vain = asks if refusal else asks - 1
        why = ""
        if in_vain >= ASKS_UNTIL_NOTED:
            why = f"asked {in_vain} times, {refusal or 'no report came'}"
        _hold(session, delivery, artifact, values, why, at=at, actor=actor)


def not_asked(
    session: Session,
    transaction_uid: str,
    *,
    at: datetime,
    until: datetime,
    actor: str,
    reason: str,
) -> None:
    """Ask again later: the request did not arrive. After a day of that the row says why."""
    for delivery, artifact in awaiting(session, transaction_uid):
        is_old = delivery.sent_at is not None and at - delivery.sent_at > _LONGEST_PATIENCE
        why = reason if is_old else ""
        _hold(session, delivery, artifact, {"commitment_until": until}, why, at=at, actor=actor)


def awaiting(session: Session, transaction_uid: str) -> list[Row]:
    """Return the deliveries of a transaction that still await its report.

    One that an operator has dismissed does not, nor one that was purged: what it was made of is
    gone, and it could not be sent anew.
    """
    return [
        (delivery, artifact)
        for delivery, artifact in _rows(session, transaction_uid)
        if delivery.state == DeliveryState.SENT
        and delivery.commitment_until is not None
        and delivery.dismissed_at is None
        and artifact.content is not None
    ]


def destinations_of(session: Session, transaction_uid: str) -> set[str]:
    """Return whom a transaction was asked of; empty where it is none of ours."""
    return {delivery.destination for delivery, _ in _rows(session, transaction_uid)}


def settle(
    session: Session,
    transaction_uid: str,
    *,
    committed: Collection[str],
    denied: Mapping[str, str],
    at: datetime,
    actor: str,
    denial: str = "does not commit to it",
) -> tuple[int, int]:
    """Apply an archive's report; return how many it confirmed and denied.

    `denial` says what an archive that took an object does not do. Both lists go by SOP Instance
    UID, the denied ones with their reasons. An object in neither goes on waiting; one in both was
    denied.
    """
    confirmed = refused = 0
    for delivery, artifact in awaiting(session, transaction_uid):
        if artifact.uid in denied:
            why = f"{denial}: {denied[artifact.uid]}"
            refused += _deny(session, delivery, artifact, why, at=at, actor=actor)
        elif artifact.uid in committed:
            confirmed += _confirm(session, delivery, artifact, at=at, actor=actor)
    return confirmed, refused


def _hold(
    session: Session,
    delivery: Delivery,
    artifact: Artifact,
    values: dict[str, Any],
    why: str,
    *,
    at: datetime,
    actor: str,
) -> None:
    """Go on waiting; say in the row why, if that is known, and once in the timeline."""
    if why:
        values["reason"] = NOTE + why
    is_first = bool(why) and not delivery.reason.startswith(NOTE)
    if _write(session, delivery, values) and is_first:
        _note(
            session,
            delivery,
            artifact,
            "delivery_unconfirmed",
            at=at,
            actor=actor,
            reason=values["reason"],
        )


def _confirm(
    session: Session, delivery: Delivery, artifact: Artifact, *, at: datetime, actor: str
) -> bool:
    # A warning that came with the archive's Success stays; that it was not confirmed does not.
    is_note = delivery.reason.startswith(NOTE)
    values = {
        "state": DeliveryState.CONFIRMED,
        "commitment_until": None,
        "reason": "" if is_note else delivery.reason,
    }
    is_ours = _write(session, delivery, values)
    if is_ours:
        _note(session, delivery, artifact, "delivery_confirmed", at=at, actor=actor, reason="")
    return is_ours


def _deny(
    session: Session, delivery: Delivery, artifact: Artifact, why: str, *, at: datetime, actor: str
) -> bool:
    denials = delivery.commitment_denials + 1
    is_parked = denials >= _DENIALS_UNTIL_PARKED
    reason = f"the archive took the object and {why}"
    values = {
        "state": DeliveryState.PARKED if is_parked else DeliveryState.PENDING,
        "commitment_denials": denials,
        "commitment_until": None,
        "reason": reason,
        "next_attempt_at": at,
        "first_attempt_at": None,
        "renewed_at": at,
        "lease_owner": None,
        "lease_until": None,
    }
    is_ours = _write(session, delivery, values)
    if is_ours:
        event = "delivery_parked" if is_parked else "delivery_denied"
        _note(session, delivery, artifact, event, at=at, actor=actor, reason=reason)
    return is_ours


def _rows(session: Session, transaction_uid: str) -> list[Row]:
    rows = session.execute(
        select(Delivery, Artifact)
        .join(Artifact, Artifact.id == Delivery.artifact_id)
        .where(Delivery.commitment_uid == transaction_uid, Delivery.commitment_uid != "")
        .order_by(Delivery.id)
    ).all()
    return [(row[0], row[1]) for row in rows]


def _write(session: Session, delivery: Delivery, values: dict[str, Any]) -> bool:
    """Write to a delivery if it is still the one that awaits this report."""
    written = session.execute(
        update(Delivery)
        .where(
            Delivery.id == delivery.id,
            Delivery.state == DeliveryState.SENT,
            Delivery.commitment_uid == delivery.commitment_uid,
            Delivery.commitment_until.is_not(None),
            Delivery.dismissed_at.is_(None),
        )
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", written).rowcount == 1


def _note(
    session: Session,
    delivery: Delivery,
    artifact: Artifact,
    event: str,
    *,
    at: datetime,
    actor: str,
    reason: str,
) -> None:
    store.note(
        session,
        delivery.study_id,
        event,
        at=at,
        actor=actor,
        destination=delivery.destination,
        kind=artifact.kind,
        language=artifact.language,
        uid=artifact.uid,
        reason=reason,
    )
