"""How long a sender must be silent before its study counts as whole.

Peers of ours use one figure for everybody, and their users complain of studies fired too early. A
sender that pauses within its studies (a technologist who positions the patient anew, an archive
that fetches the next series from tape) is seen to do so: the longest pause within each of its
last studies is kept, and the silence that is waited for grows with them.

The rule, in full:

* `senders.quiet_seconds`, where it is set, holds as it stands;
* else the silence is the larger of `completion.quiet_seconds` and 1.5 times the pause that nine in
  ten of the sender's last 40 studies stayed within, and never more than
  `completion.quiet_max_seconds`.

What would spoil that is left out. A pause that is longer than the longest silence that may be
learned is no pause but another visit (a resend next week): no waiting could bridge it. And "nine
in ten" never takes in the very longest pause, so that no single study moves the figure: two must
agree. Studies of one image say nothing of pauses and are not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.database import writing
from core.settings import Settings
from core.tables import Instance, SenderPace

_STUDIES_KEPT = 40
_STUDIES_IN_TEN = 9
_MARGIN = 1.5
# With the archive's word that nothing is missing, silence only has to tell a pause of the network.
COUNTED_QUIET_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class QuietTime:
    """The silence that is waited for.

    Attributes:
        seconds: Without any other evidence.
        counted_seconds: Once an archive holds no more images of the study than have come: 2 s, or
            what the sender was seen to pause for, lest a study that is still being made be taken
            for whole between two of its series.
        source: Where the figure comes from, in words.
    """

    seconds: float
    counted_seconds: float
    source: str


def usual_pause(pauses: Sequence[float]) -> float:
    """Return the pause that nine in ten studies stayed within, in seconds; 0 where none is known.

    Rounded down to a pause that was seen, so that the longest one is never it.
    """
    rank = len(pauses) * _STUDIES_IN_TEN // 10
    return sorted(pauses)[rank - 1] if rank else 0.0


def learned_seconds(pauses: Sequence[float], *, base: float, maximum: float) -> float:
    """Return the silence to wait for: never under the base, never over the maximum.

    A base that is itself over the maximum stays as it is.
    """
    return max(base, min(_MARGIN * usual_pause(pauses), maximum))


def quiet_time(settings: Settings, sender: str, pauses: Sequence[float]) -> QuietTime:
    """Return how long a sender's studies must be quiet.

    Args:
        settings: All settings.
        sender: Calling AE title, of a sender that may no longer be configured.
        pauses: The longest pause within each of its last studies, in seconds.
    """
    completion = settings.completion
    configured = settings.sender(sender)
    if configured is not None and configured.quiet_seconds is not None:
        seconds = configured.quiet_seconds
        source = f"quiet_seconds of {sender}"
        return QuietTime(
            seconds=seconds, counted_seconds=min(COUNTED_QUIET_SECONDS, seconds), source=source
        )
    known = pauses if completion.learn else ()
    base, maximum = completion.quiet_seconds, completion.quiet_max_seconds
    seconds = learned_seconds(known, base=base, maximum=maximum)
    source = "completion.quiet_seconds"
    if seconds > base:
        source = f"learned from {len(known)} studies of {sender}"
    counted = learned_seconds(known, base=COUNTED_QUIET_SECONDS, maximum=maximum)
    return QuietTime(seconds=seconds, counted_seconds=min(counted, seconds), source=source)


def longest_pauses(
    images: Iterable[tuple[datetime, str]], *, since: datetime, longest_seconds: float
) -> dict[str, float]:
    """Return the longest pause within a study by the sender whose silence it was, in seconds.

    Args:
        images: When each image came and from whom, in any order.
        since: The beginning of the study version: pauses that ended before it were taken in with
            an earlier version. The pause before a late image ends with it and so is counted: it is
            the one that was taken for the end.
        longest_seconds: A longer silence is another visit and left out.
    """
    found: dict[str, float] = {}
    for (earlier, sender), (later, _) in pairwise(sorted(images)):
        seconds = (later - earlier).total_seconds()
        if later >= since and seconds <= longest_seconds:
            found[sender] = max(found.get(sender, 0.0), seconds)
    return found


def known_pauses(session: Session) -> dict[str, Sequence[float]]:
    """Return what is known of every sender."""
    return {row.ae_title: row.pauses for row in session.scalars(select(SenderPace))}


def learn(engine: Engine, study: int, settings: Settings, *, since: datetime, at: datetime) -> None:
    """Take the pauses within a completed study version into its senders' pace.

    In a transaction of its own: what is learned here is worth no delay and no failure there.
    """
    completion = settings.completion
    if not completion.learn:
        return
    try:
        with writing(engine) as session:
            pauses = longest_pauses(
                _images_of(session, study),
                since=since,
                longest_seconds=completion.quiet_max_seconds,
            )
            for sender, seconds in pauses.items():
                _remember(session, sender, seconds, at=at)
    except IntegrityError:
        # Another process saw this sender's very first pause at the same time.
        return


def _images_of(session: Session, study: int) -> list[tuple[datetime, str]]:
    rows = session.execute(
        select(Instance.received_at, Instance.sender).where(
            Instance.study_id == study, Instance.is_image, Instance.is_own.is_(False)
        )
    )
    return [(row[0], row[1]) for row in rows]


def _remember(session: Session, sender: str, seconds: float, *, at: datetime) -> None:
    row = session.get(SenderPace, sender, with_for_update=True)
    if row is None:
        row = SenderPace(ae_title=sender, pauses=[], updated_at=at)
        session.add(row)
    # A new list: SQLAlchemy does not see what is appended to one that it holds.
    row.pauses = [*row.pauses, round(seconds, 3)][-_STUDIES_KEPT:]
    row.updated_at = at
