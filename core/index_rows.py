"""The rows that a batch of received objects meets: read at once, written at once.

An object alone would cost eight statements. A batch reads what it needs in five, keeps what the
objects do to each other in memory, in their order, and inserts all instances with one statement.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import exists, insert, select, tuple_, update
from sqlalchemy.orm import Session

from core.lifecycle import State
from core.received import ReceivedInstance
from core.report import StudyHeader
from core.tables import Artifact, AuditEvent, Instance, Series, Study

# What `Instance.admission` holds.
_ADMISSION_LENGTH = 64
# What may start a draft, or could before another content took its place.
_EVER_ADMITTED = (Instance.is_image, Instance.is_own.is_(False), Instance.is_admitted)
ADMITTED_IMAGE = (*_EVER_ADMITTED, Instance.is_current)
_Key = TypeVar("_Key", bound=Hashable)


@dataclass(kw_only=True)
class StudyEntry:
    """A study that the batch meets, locked until the transaction's end.

    Attributes:
        is_new: Nothing of it was taken yet.
        has_admitted: An image that may start a draft is or was among its objects.
        newest: The attributes that it got last from an object of this batch.
        renumbered_at: When an object of this batch gave it another accession number.
        text_problems: What its timeline says of its text; None: not asked yet.
        harmless: Patient ID and issuer of objects that were found to make no conflict.
    """

    row: Study
    is_new: bool
    has_admitted: bool
    newest: StudyHeader | None = None
    renumbered_at: datetime | None = None
    text_problems: set[str] | None = None
    harmless: set[tuple[str, str]] = field(default_factory=set)


@dataclass(kw_only=True)
class Content:
    """One content of a SOP Instance UID.

    Attributes:
        is_inserted: Its row is in the database.
        values: The row that is not inserted yet, or the columns that are to change.
    """

    sop_instance_uid: str
    digest: str
    study_id: int
    is_current: bool
    is_inserted: bool
    values: dict[str, Any] = field(default_factory=dict)


class IndexRows:
    """Studies, series and contents that some objects belong to.

    Studies come first and are locked in one order, so that two processes that index at the same
    time neither wait for each other in a circle nor overlook each other's contents.
    """

    def __init__(self, session: Session, objects: Sequence[ReceivedInstance]) -> None:
        """Read what is there, add the studies and series that are not.

        Raises:
            sqlalchemy.exc.IntegrityError: Another process added the same study; try again.
        """
        self._session = session
        self._studies = self._lock_studies(objects)
        self._contents = self._read_contents({o.sop_instance_uid for o in objects})
        self._series = self._read_series(objects)
        self._refusals: dict[int, set[str]] = {}
        self._unwritten: list[Content] = []
        self._own_uids = self._read_own_uids({o.sop_instance_uid for o in objects})

    # Reading

    def _lock_studies(self, objects: Sequence[ReceivedInstance]) -> dict[str, StudyEntry]:
        firsts = _first_of_each((o.study.study_uid, o) for o in objects)
        query = select(Study).where(Study.study_uid.in_(firsts)).order_by(Study.id)
        known = self._session.scalars(query.with_for_update()).all()
        admitted = self._with_admitted_images([study.id for study in known])
        entries = {
            study.study_uid: StudyEntry(row=study, is_new=False, has_admitted=study.id in admitted)
            for study in known
        }
        for uid, first in firsts.items():
            if uid not in entries:
                study = _new_study(first)
                self._session.add(study)
                entries[uid] = StudyEntry(row=study, is_new=True, has_admitted=False)
        self._session.flush()
        return entries

    def _with_admitted_images(self, studies: Sequence[int]) -> set[int]:
        image = exists().where(Instance.study_id == Study.id, *_EVER_ADMITTED)
        return set(self._session.scalars(select(Study.id).where(Study.id.in_(studies), image)))

    def _read_series(self, objects: Sequence[ReceivedInstance]) -> dict[tuple[int, str], int]:
        firsts = _first_of_each(((self.study(o).row.id, o.series_uid), o) for o in objects)
        key = tuple_(Series.study_id, Series.series_uid)
        query = select(Series.id, Series.study_id, Series.series_uid).where(key.in_(list(firsts)))
        found = {(row.study_id, row.series_uid): row.id for row in self._session.execute(query)}
        added = [
            _new_series(study_id, first)
            for (study_id, uid), first in firsts.items()
            if (study_id, uid) not in found
        ]
        self._session.add_all(added)
        self._session.flush()
        return found | {(series.study_id, series.series_uid): series.id for series in added}

    def _read_contents(self, uids: set[str]) -> dict[str, dict[str, Content]]:
        contents: dict[str, dict[str, Content]] = {uid: {} for uid in uids}
        query = select(
            Instance.study_id,
            Instance.is_current,
            Instance.sop_instance_uid,
            Instance.digest,
        ).where(Instance.sop_instance_uid.in_(uids))
        for row in self._session.execute(query):
            contents[row.sop_instance_uid][row.digest] = Content(
                sop_instance_uid=row.sop_instance_uid,
                digest=row.digest,
                study_id=row.study_id,
                is_current=row.is_current,
                is_inserted=True,
            )
        return contents

    def _read_own_uids(self, uids: set[str]) -> set[str]:
        return set(self._session.scalars(select(Artifact.uid).where(Artifact.uid.in_(uids))))

    # Asking

    def study(self, received: ReceivedInstance) -> StudyEntry:
        """Return an object's study."""
        return self._studies[received.study.study_uid]

    def studies(self) -> Iterable[StudyEntry]:
        """Return the studies of all objects."""
        return self._studies.values()

    def content(self, received: ReceivedInstance) -> Content | None:
        """Return what is known of this very content; None where it is new."""
        return self._contents[received.sop_instance_uid].get(received.digest)

    def is_own_uid(self, uid: str) -> bool:
        """Tell whether we gave this UID to an object of ours."""
        return uid in self._own_uids

    def is_first_refusal(self, received: ReceivedInstance) -> bool:
        """Tell whether an image is the first of its series that is not admitted for its reason.

        To be asked before the image is added.
        """
        series = self._series[self.study(received).row.id, received.series_uid]
        if series not in self._refusals:
            query = select(Instance.admission).where(
                Instance.series_id == series,
                Instance.is_image,
                Instance.is_own.is_(False),
                Instance.is_admitted.is_(False),
            )
            self._refusals[series] = set(self._session.scalars(query.distinct()))
        reason = received.admission.reason[:_ADMISSION_LENGTH]
        is_first = reason not in self._refusals[series]
        self._refusals[series].add(reason)
        return is_first

    def is_first_text_problem(self, study: StudyEntry, reason: str) -> bool:
        """Tell whether a study's timeline does not yet say that this is wrong with its text."""
        if study.text_problems is None:
            query = select(AuditEvent.detail).where(
                AuditEvent.study_id == study.row.id, AuditEvent.event == "text_problem"
            )
            study.text_problems = {row["reason"] for row in self._session.scalars(query)}
        is_first = reason not in study.text_problems
        study.text_problems.add(reason)
        return is_first

    # Writing

    def put(self, received: ReceivedInstance, *, is_own: bool) -> bool:
        """Make a content the current one of its UID; True where another one was.

        The earlier one is kept. A content that was there before becomes current again.
        """
        study = self.study(received).row
        contents = self._contents[received.sop_instance_uid]
        others = [c for c in contents.values() if c.study_id == study.id and c.is_current]
        for other in others:
            other.is_current = False
            self._change(other, {"is_current": False})
        content = contents.get(received.digest)
        if content is None:
            content = Content(
                sop_instance_uid=received.sop_instance_uid,
                digest=received.digest,
                study_id=study.id,
                is_current=True,
                is_inserted=False,
            )
            contents[received.digest] = content
        content.is_current = True
        # Of a content that was there before too: it came anew, and the rules may have changed.
        series = self._series[study.id, received.series_uid]
        self._change(content, _instance_values(received, study.id, series, is_own=is_own))
        return bool(others)

    def _change(self, content: Content, values: dict[str, Any]) -> None:
        if not content.values:
            self._unwritten.append(content)
        content.values |= values

    def flush(self) -> None:
        """Write what was put, in the order in which it came; queries see it from then on."""
        added = [content.values for content in self._unwritten if not content.is_inserted]
        for content in self._unwritten:
            if content.is_inserted:
                self._update(content)
            content.is_inserted = True
        if added:
            self._session.execute(insert(Instance), added)
        for content in self._unwritten:
            content.values = {}
        self._unwritten = []

    def _update(self, content: Content) -> None:
        change = update(Instance).where(
            Instance.sop_instance_uid == content.sop_instance_uid,
            Instance.digest == content.digest,
        )
        change = change.values(**content.values).execution_options(synchronize_session=False)
        self._session.execute(change)


def _first_of_each(pairs: Iterable[tuple[_Key, ReceivedInstance]]) -> dict[_Key, ReceivedInstance]:
    firsts: dict[_Key, ReceivedInstance] = {}
    for key, received in pairs:
        firsts.setdefault(key, received)
    return firsts


def _new_study(received: ReceivedInstance) -> Study:
    at = received.received_at
    return Study(
        study_uid=received.study.study_uid,
        state=State.RECEIVING,
        sender=received.sender,
        created_at=at,
        state_changed_at=at,
        last_instance_at=at,
    )


def _new_series(study_id: int, received: ReceivedInstance) -> Series:
    return Series(
        study_id=study_id,
        series_uid=received.series_uid,
        modality=received.study.modality,
        description=received.series_description,
        body_part=received.study.body_part,
    )


def _instance_values(
    received: ReceivedInstance, study_id: int, series_id: int, *, is_own: bool
) -> dict[str, Any]:
    admission = received.admission
    is_asked = received.is_image and not is_own
    return {
        "study_id": study_id,
        "series_id": series_id,
        "sop_instance_uid": received.sop_instance_uid,
        "sop_class_uid": received.sop_class_uid,
        "digest": received.digest,
        "path": received.path,
        "size_bytes": received.size_bytes,
        "sender": received.sender,
        "received_at": received.received_at,
        "is_image": received.is_image,
        "is_own": is_own,
        "is_current": True,
        "is_admitted": is_asked and admission.is_admitted,
        "admission": admission.reason[:_ADMISSION_LENGTH] if is_asked else "",
        "association": received.association,
        "patient_id": received.study.patient.id,
        "patient_issuer": received.study.patient.issuer,
        "header": received.header,
    }
