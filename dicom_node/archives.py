"""The archives' word on how many images a study has: asked sparingly, beside the loop that waits.

Each archive has one thread and one association at a time, so a silent one delays nobody but those
who ask it, and them for a bounded time: as long as it does not answer, every question to it is
answered at once with that fact, and it is tried again after a pause that doubles. A study asks
again after a pause that doubles too, and early once more images have come.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto

from core.audit_messages import QueryObject
from core.clock import Clock
from core.errors import SettingsError, TaqrirError
from core.log import log
from core.settings import Settings
from core.settings_destinations import PacsSettings
from core.tls_context import peer_tls
from dicom_node.connecting import Peer
from dicom_node.query import ArchivedStudy, ask_archive

_FIRST_PAUSE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(minutes=5)
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
# How long a quiet study waits for an answer: connection, association, answer, some more.
GRACE_SECONDS = 20.0
_log = log(__name__)


class Standing(Enum):
    """What an archive's answer means for a study."""

    NOT_ASKED = auto()
    PENDING = auto()
    UNANSWERED = auto()
    UNDECIDED = auto()
    MISSING = auto()
    WHOLE = auto()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an archive said of a study, or why it did not.

    Attributes:
        newest: The newest object that had come when it was asked: its row's number.
    """

    archive: str
    newest: int
    found: ArchivedStudy = field(default_factory=ArchivedStudy)
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Held:
    """What we have of a study, our own objects left out.

    Attributes:
        objects: How many current objects, of every kind.
        images: SOP Instance UIDs of the current images.
        own: SOP Instance UIDs of what we made of the study: the archive may hold these too.
    """

    objects: int
    images: AbstractSet[str] = frozenset()
    own: AbstractSet[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Word:
    """An archive's word, set against what has come.

    Attributes:
        expected: How many objects or images (`unit`) the archive holds; None where unknown.
        waited_seconds: How long an answer has been waited for.
        reason: A sentence for the timeline.
    """

    standing: Standing
    archive: str = ""
    waited_seconds: float = 0.0
    expected: int | None = None
    unit: str = ""
    reason: str = ""


def compare(answer: Answer, held: Held) -> Word:
    """Return what an archive's answer means beside what has come.

    An archive that knows less than we do has no say: the sender serves us first, and silence
    decides. What we have sent it ourselves never counts.
    """
    name, found = answer.archive, answer.found
    if answer.problem:
        reason = f"{name} was asked for the number of images and did not tell: {answer.problem}"
        return Word(standing=Standing.UNANSWERED, archive=name, reason=reason)
    if found.images is None:
        return _compare_counts(name, found.count or 0, held)
    there = found.images - held.own
    missing, unknown = there - held.images, held.images - there
    standing = Standing.WHOLE
    if missing:
        standing = Standing.MISSING
    elif unknown:
        standing = Standing.UNDECIDED
    return _word(standing, name, expected=len(there), came=len(there & held.images), unit="images")


def _compare_counts(name: str, count: int, held: Held) -> Word:
    if count == held.objects and not held.own:
        standing = Standing.WHOLE
    elif count > held.objects + len(held.own):
        standing = Standing.MISSING
    else:
        standing = Standing.UNDECIDED
    return _word(standing, name, expected=count, came=held.objects, unit="objects")


def _word(standing: Standing, name: str, *, expected: int, came: int, unit: str) -> Word:
    reason = f"{name} holds {expected} {unit}, {came} came"
    return Word(standing=standing, archive=name, expected=expected, unit=unit, reason=reason)


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """When a study was asked for, with which newest object, and the pause before the next time."""

    at: datetime
    newest: int
    pause: timedelta


@dataclass(frozen=True, kw_only=True)
class _Question:
    study: int
    study_uid: str
    newest: int
    enough: int | None


class _Archive:
    """One archive with the thread that asks it."""

    def __init__(
        self, name: str, peer: Peer, clock: Clock, on_query: Callable[[QueryObject], None]
    ) -> None:
        self._name = name
        self._on_query = on_query
        self._peer = peer
        self._clock = clock
        self._questions: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self._answers: dict[int, Answer] = {}
        self._waiting: set[int] = set()
        # While it does not answer: since when it is left alone, and for how long.
        self._silent_at: datetime | None = None
        self._pause = _FIRST_PAUSE
        self._problem = ""
        self._thread = threading.Thread(target=self._run, name=f"archive {name}", daemon=True)
        self._thread.start()

    def ask(self, question: _Question) -> None:
        if question.study not in self._waiting:
            self._waiting.add(question.study)
            self._questions.put(question)

    def is_asked(self, study: int) -> bool:
        return study in self._waiting

    def answer(self, study: int) -> Answer | None:
        return self._answers.get(study)

    def forget(self, kept: Collection[int]) -> None:
        for study in [study for study in self._answers if study not in kept]:
            self._answers.pop(study, None)

    def close(self, seconds: float) -> None:
        self._questions.put(None)
        self._thread.join(seconds)

    def _run(self) -> None:
        while (question := self._questions.get()) is not None:
            found, problem = ArchivedStudy(), self._problem
            if self._silent_at is None or self._clock() >= self._silent_at + self._pause:
                found, problem = self._try(question)
            self._answers[question.study] = Answer(
                archive=self._name,
                newest=question.newest,
                found=found,
                problem=problem,
            )
            # In this order: who finds no question waiting must find the answer.
            self._waiting.discard(question.study)

    def _try(self, question: _Question) -> tuple[ArchivedStudy, str]:
        try:
            found = ask_archive(
                self._peer, question.study_uid, enough=question.enough, on_query=self._on_query
            )
        except TaqrirError as error:
            self._problem = str(error)
        except Exception as error:  # noqa: BLE001  the border of one question
            _log.error("archive_not_asked", exc_info=error)
            self._problem = f"unexpected {type(error).__name__}"
        else:
            self._silent_at, self._problem = None, ""
            return found, ""
        is_silent = self._silent_at is not None
        self._pause = min(self._pause * 2, _LONGEST_PAUSE) if is_silent else _FIRST_PAUSE
        self._silent_at = self._clock()
        _log.warning("archive_silent", destination=self._name, reason=self._problem)
        return ArchivedStudy(), self._problem


def tell_nobody(query: QueryObject, pacs: PacsSettings) -> None:
    """Keep no trail of the queries."""
    del query, pacs


class Archives:
    """Every archive that a sender's `count_at` names.

    Args:
        settings: All settings.
        clock: What time it is.
        on_query: Hears of each C-FIND and whom it goes to: the audit trail.

    Raises:
        SettingsError: A sender's `count_at` names none.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        on_query: Callable[[QueryObject, PacsSettings], None] = tell_nobody,
    ) -> None:
        self._on_query = on_query
        self._settings = settings
        self._clock = clock
        self._archives: dict[str, _Archive] = {}
        self._asked: dict[int, _Asked] = {}
        known = {pacs.name: pacs for pacs in settings.pacs}
        self._pacs: dict[str, PacsSettings] = {}
        for sender in settings.senders:
            if sender.count_at and sender.count_at not in known:
                raise SettingsError(
                    f"count_at of sender {sender.ae_title} names no [[pacs]]: {sender.count_at}"
                )
            if sender.count_at:
                self._pacs[sender.ae_title] = known[sender.count_at]

    def asks_for(self, sender: str) -> bool:
        """Tell whether an archive knows how many images a sender's studies have."""
        return sender in self._pacs

    def is_asked(self, sender: str, study: int) -> bool:
        """Tell whether a question for a study is under way."""
        return sender in self._pacs and self._archive(sender).is_asked(study)

    def answer(self, sender: str, study: int) -> Answer | None:
        """Return the newest answer for a study."""
        return self._archive(sender).answer(study)

    def pending(self, sender: str, study: int) -> Word:
        """Return the word of an archive that was asked and has not answered."""
        name, asked = self._pacs[sender].name, self._asked.get(study)
        return Word(
            standing=Standing.PENDING,
            archive=name,
            waited_seconds=(self._clock() - asked.at).total_seconds() if asked else 0.0,
            reason=f"{name} was asked for the number of images and has not answered yet",
        )

    def ask(
        self,
        sender: str,
        study: int,
        study_uid: str,
        *,
        newest: int,
        enough: int | None,
    ) -> None:
        """Ask for a study, unless that was done a short while ago; the answer comes later.

        Args:
            sender: Whose `count_at` says which archive.
            study: The study's id.
            study_uid: Study Instance UID.
            newest: The newest object that has come: its row's number.
            enough: The count with which nothing is missing; None: it cannot tell.
        """
        archive = self._archive(sender)
        if archive.is_asked(study):
            return
        at, last, pause = self._clock(), self._asked.get(study), _FIRST_PAUSE
        if last is not None:
            is_news = last.newest != newest
            if at < last.at + (_FIRST_PAUSE if is_news else last.pause):
                return
            pause = _FIRST_PAUSE if is_news else min(last.pause * 2, _LONGEST_PAUSE)
        self._asked[study] = _Asked(at=at, newest=newest, pause=pause)
        archive.ask(_Question(study=study, study_uid=study_uid, newest=newest, enough=enough))

    def forget(self, kept: Collection[int]) -> None:
        """Forget every study but those that are still waited for."""
        for study in [study for study in self._asked if study not in kept]:
            del self._asked[study]
        for archive in list(self._archives.values()):
            archive.forget(kept)

    def close(self, seconds: float = 1.0) -> None:
        """End the threads; one that waits for an archive ends with the process."""
        for archive in self._archives.values():
            archive.close(seconds)

    def _archive(self, sender: str) -> _Archive:
        pacs = self._pacs[sender]
        if pacs.name not in self._archives:
            peer = Peer(
                ae_title=pacs.ae_title,
                host=pacs.host,
                port=pacs.port,
                calling_ae_title=self._settings.node.ae_title,
                connect_seconds=_CONNECT_SECONDS,
                answer_seconds=_ANSWER_SECONDS,
                tls=peer_tls(pacs.tls, self._settings.resolve),
            )
            self._archives[pacs.name] = _Archive(
                pacs.name, peer, self._clock, lambda query: self._on_query(query, pacs)
            )
        return self._archives[pacs.name]
