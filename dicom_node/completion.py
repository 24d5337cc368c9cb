"""The loop that takes studies for whole: it gathers evidence, and applies the rule to it.

The rule stands in `dicom_node.completeness`; how long a sender must be silent in `dicom_node.pace`,
what associations carry in `dicom_node.carriers`, what archives say in `dicom_node.archives`. Why a
study was taken for whole is kept with it, with the figures that decided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from core import intake, ordering, patients, store
from core.audit_messages import QueryObject
from core.blobs import InstanceFiles
from core.clock import Clock, utcnow
from core.database import reading, writing
from core.errors import TransitionError
from core.lifecycle import Event, State
from core.log import log
from core.queue import Doorbell
from core.settings import Settings
from core.settings_destinations import PacsSettings
from core.tables import Instance, Study
from dicom_node import pace
from dicom_node.archives import Archives, Held, Standing, Word, compare, tell_nobody
from dicom_node.carriers import Carriers
from dicom_node.completeness import Decision, Evidence, Reason, decide, explain, judge
from dicom_node.incoming_studies import (
    Come,
    Receiving,
    all_receiving,
    count_carriers,
    horizon,
    image_uids,
    newest_objects,
    receiving,
    what_came,
)
from dicom_node.pace import QuietTime

# Reasons why no image may start a draft that one sentence names.
_REASONS_NAMED = 3
_log = log(__name__)


@dataclass(frozen=True, kw_only=True)
class _Whole:
    study: Receiving
    evidence: Evidence
    reason: Reason


@dataclass(kw_only=True)
class _Look:
    """One pass over all studies: its moment and what is read once for all of them."""

    session: Session
    now: datetime
    pauses: Mapping[str, Sequence[float]]
    quiet: dict[str, QuietTime] = field(default_factory=dict)
    held: list[tuple[Receiving, Word]] = field(default_factory=list)
    open_associations: dict[str, frozenset[str]] | None = None


class Completion:
    """Takes studies for whole; `look` is called twice a second, with many studies or none.

    Args:
        engine: The database.
        doorbell: Rung for each study that is queued.
        settings: All settings.
        clock: What time it is.
        on_query: Hears of each query to an archive: the audit trail.

    Raises:
        SettingsError: A sender's `count_at` names no archive.
    """

    def __init__(
        self,
        engine: Engine,
        doorbell: Doorbell,
        settings: Settings,
        clock: Clock = utcnow,
        *,
        on_query: Callable[[QueryObject, PacsSettings], None] = tell_nobody,
    ) -> None:
        self.archives = Archives(settings, clock, on_query)
        self._engine = engine
        self._doorbell = doorbell
        self._settings = settings
        self._clock = clock
        self._files = InstanceFiles(settings.data_dir)
        self._carriers = Carriers(self._files)
        self._hard_limit_seconds = settings.completion.hard_limit_minutes * 60
        self._come: dict[int, Come] = {}
        # Studies, by version, of which the timeline says that an archive holds more.
        self._noted: dict[int, int] = {}

    def look(self) -> int:
        """Complete every study that is whole; return how many."""
        # The inbox before the rows: what leaves it in between has rows by then.
        now = horizon(self._files, self._clock())
        with reading(self._engine) as session:
            look = _Look(session=session, now=now, pauses=pace.known_pauses(session))
            studies = all_receiving(session)
            whole = self._find_whole(look, [s for s in studies if self._is_candidate(look, s)])
        for study, word in look.held:
            self._note_held(study, word)
        self._forget({study.id for study in studies})
        return sum(self._complete(one) for one in whole)

    def close(self) -> None:
        """Ask no archive any more."""
        self.archives.close()

    def _find_whole(self, look: _Look, candidates: Sequence[Receiving]) -> list[_Whole]:
        newest = newest_objects(look.session, [s.id for s in candidates]) if candidates else {}
        found: list[_Whole] = []
        for study in candidates:
            come = self._come.get(study.id)
            if come is None or come.newest != newest[study.id]:
                come = what_came(look.session, study, newest[study.id])
                self._come[study.id] = come
            if whole := self._judge(look, study, come):
                found.append(whole)
        return found

    def _is_candidate(self, look: _Look, study: Receiving) -> bool:
        """Tell, without asking for more, whether a study may be whole at all."""
        if _seconds(study.state_changed_at, look.now) >= self._hard_limit_seconds:
            return True
        quiet = self._quiet_time(look, study.sender)
        is_counted = self.archives.asks_for(study.sender)
        soonest = quiet.counted_seconds if is_counted else quiet.seconds
        return _seconds(study.last_instance_at, look.now) >= soonest

    def _judge(self, look: _Look, study: Receiving, come: Come) -> _Whole | None:
        """Return a study that is whole with the evidence; None where it is not."""
        evidence = Evidence(
            silent_seconds=_seconds(study.last_instance_at, look.now),
            open_seconds=_seconds(study.state_changed_at, look.now),
            quiet=self._quiet_time_of_all(look, come.senders),
            word=self._word(look.session, study, come),
        )
        is_quiet = evidence.silent_seconds >= evidence.quiet.seconds
        if is_quiet and evidence.word.standing is Standing.MISSING:
            look.held.append((study, evidence.word))
        if judge(evidence, hard_limit_seconds=self._hard_limit_seconds) is None:
            return None
        evidence = replace(evidence, carriers=self._count_carriers(look, study, come))
        reason = judge(evidence, hard_limit_seconds=self._hard_limit_seconds)
        return None if reason is None else _Whole(study=study, evidence=evidence, reason=reason)

    def _quiet_time(self, look: _Look, sender: str) -> QuietTime:
        if sender not in look.quiet:
            known = look.pauses.get(sender, ())
            look.quiet[sender] = pace.quiet_time(self._settings, sender, known)
        return look.quiet[sender]

    def _quiet_time_of_all(self, look: _Look, senders: Sequence[str]) -> QuietTime:
        """Return the silence that the slowest of a study's senders asks for."""
        times = [self._quiet_time(look, sender) for sender in senders]
        slowest = max(times, key=lambda time: time.seconds)
        return replace(slowest, counted_seconds=max(time.counted_seconds for time in times))

    def _count_carriers(self, look: _Look, study: Receiving, come: Come) -> int:
        if look.open_associations is None:
            look.open_associations = self._carriers.open_associations()
        return count_carriers(look.open_associations, study.study_uid, come.associations)

    def _word(self, session: Session, study: Receiving, come: Come) -> Word:
        """Return what an archive says, and see to it that it is asked."""
        sender = next((s for s in come.senders if self.archives.asks_for(s)), None)
        if sender is None:
            return Word(standing=Standing.NOT_ASKED)
        self.archives.ask(
            sender,
            study.id,
            study.study_uid,
            newest=come.newest,
            enough=None if come.own else come.objects,
        )
        answer = self.archives.answer(sender, study.id)
        if answer is not None:
            if answer.found.images is not None and come.images is None:
                come.images = image_uids(session, study.id)
            held = Held(objects=come.objects, images=come.images or frozenset(), own=come.own)
            word = compare(answer, held)
            # What an archive held earlier it still holds; that nothing is missing may have changed.
            is_fresh = answer.newest == come.newest
            if is_fresh or word.standing in {Standing.MISSING, Standing.UNANSWERED}:
                return word
        return self.archives.pending(sender, study.id)

    def _note_held(self, study: Receiving, word: Word) -> None:
        """Say once in the timeline of a study version why it is quiet and yet not complete."""
        if self._noted.get(study.id) == study.version:
            return
        with writing(self._engine) as session:
            store.note(
                session,
                study.id,
                "completion_held",
                at=self._clock(),
                actor="node",
                reason=word.reason,
                archive=word.archive,
                expected=word.expected,
            )
        self._noted[study.id] = study.version

    def _complete(self, whole: _Whole) -> bool:
        """Complete one study, unless an image came in between; return whether it was."""
        seen, at = whole.study, self._clock()
        hard_limit = self._hard_limit_seconds
        sentence = explain(whole.reason, whole.evidence, hard_limit_seconds=hard_limit)
        try:
            with writing(self._engine) as session:
                study = store.get(session, seen.id, lock=True)
                is_news = study.last_instance_at != seen.last_instance_at
                if is_news and whole.reason is not Reason.HARD_LIMIT:
                    return False
                decision = _close(
                    session,
                    study,
                    self._settings,
                    whole.reason,
                    _figures(whole.evidence) | {"evidence": sentence},
                    at=at,
                    actor="node",
                )
        except TransitionError:
            return False
        event = decision.event
        _log.info("study_completed", study=seen.id, kind=event, reason=whole.reason)
        if event is Event.WENT_QUIET:
            self._doorbell.ring_study(seen.id)
        pace.learn(self._engine, seen.id, self._settings, since=seen.state_changed_at, at=at)
        return True

    def _forget(self, receiving: set[int]) -> None:
        for known in (self._come, self._noted):
            for study in [study for study in known if study not in receiving]:
                known.pop(study)
        self.archives.forget(receiving)


def complete_quiet(
    engine: Engine, doorbell: Doorbell, settings: Settings, clock: Clock = utcnow
) -> int:
    """Look once, without asking archives; return how many studies were completed."""
    senders = tuple(s.model_copy(update={"count_at": ""}) for s in settings.senders)
    completion = Completion(
        engine, doorbell, settings.model_copy(update={"senders": senders}), clock
    )
    return completion.look()


def complete_now(
    session: Session, study: Study, settings: Settings, *, at: datetime, actor: str
) -> Decision:
    """Take a study for whole because a person says so; the rules for whole studies still hold.

    Args:
        session: A writing session.
        study: The study, read in that session.
        settings: All settings.
        at: Now.
        actor: Who says so.

    Raises:
        TransitionError: The study is not being received.
    """
    if study.state != State.RECEIVING:
        raise TransitionError(
            f"study {study.id} is {study.state}; only a RECEIVING one is completed"
        )
    known = pace.known_pauses(session).get(study.sender, ())
    under_way = Carriers(InstanceFiles(settings.data_dir)).open_associations()
    come = what_came(session, receiving(study), 0)
    evidence = Evidence(
        silent_seconds=_seconds(study.last_instance_at, at),
        open_seconds=_seconds(study.state_changed_at, at),
        quiet=pace.quiet_time(settings, study.sender, known),
        word=Word(standing=Standing.NOT_ASKED),
        carriers=count_carriers(under_way, study.study_uid, come.associations),
    )
    sentence = explain(Reason.OPERATOR, evidence, hard_limit_seconds=0)
    detail = _figures(evidence) | {"evidence": sentence}
    return _close(session, study, settings, Reason.OPERATOR, detail, at=at, actor=actor)


def _seconds(since: datetime, until: datetime) -> float:
    return (until - since).total_seconds()


def _figures(evidence: Evidence) -> dict[str, Any]:
    """Return the numbers behind a decision, for the timeline."""
    word = evidence.word
    figures: dict[str, Any] = {
        "quiet_seconds": round(evidence.quiet.seconds, 1),
        "quiet_source": evidence.quiet.source,
        "silent_seconds": round(evidence.silent_seconds, 1),
        "open_associations": evidence.carriers,
    }
    if word.archive:
        figures |= {"archive": word.archive, "archive_says": word.standing.name.lower()}
    if word.expected is not None:
        figures["expected"] = word.expected
    return figures


def _close(
    session: Session,
    study: Study,
    settings: Settings,
    reason: Reason,
    detail: dict[str, Any],
    *,
    at: datetime,
    actor: str,
) -> Decision:
    """Decide what becomes of a whole study, and write it.

    Its patient is asked for anew: a merge cannot have reached a study that was not committed yet.
    """
    patients.identify(session, study)
    images = _count_images(session, study.id)
    admitted = images.pop(None, 0)
    decision = decide(
        images=admitted + sum(images.values()),
        admitted=admitted,
        admission="; ".join(sorted(filter(None, images))[:_REASONS_NAMED]) or "no rule admits it",
        version=study.version,
        max_versions=settings.completion.max_versions,
        has_conflict=store.has_patient_conflict(session, study.id),
    )
    detail = {
        "completed_by": reason,
        "instances": len(store.instances_of(session, study.id)),
        "images": admitted,
        **detail,
    }
    if decision.event is Event.IDENTITY_CONFLICT:
        store.note(session, study.id, "completed", at=at, actor=actor, **detail)
        intake.withhold_for_conflict(session, study, at=at, actor=actor)
        study.completed_by = reason
        return decision
    changes = {
        "reason_code": decision.code,
        "reason": decision.reason,
        "completed_by": reason,
    }
    if decision.reason:
        detail["reason"] = decision.reason
    store.advance(
        session, study, decision.event, at=at, actor=actor, changes=changes, detail=detail
    )
    # Orders that came first: they may hasten it, or a report elsewhere makes its draft needless.
    ordering.meet(session, study, at=at, actor=actor)
    return decision


def _count_images(session: Session, study: int) -> dict[str | None, int]:
    """Return how many current images may start a draft (None), and how many not, by the reason."""
    rows = session.execute(
        select(Instance.is_admitted, Instance.admission, func.count())
        .where(
            Instance.study_id == study,
            Instance.is_current,
            Instance.is_image,
            Instance.is_own.is_(False),
        )
        .group_by(Instance.is_admitted, Instance.admission)
    )
    counts: dict[str | None, int] = {}
    for is_admitted, admission, number in rows:
        key = None if is_admitted else admission
        counts[key] = counts.get(key, 0) + number
    return counts
