"""A site's own reports, written to a folder that a model is trained and measured on.

```
pairs.jsonl        conversation JSON for `taqrir model train`
references.jsonl   final texts, with what was changed in the draft; `taqrir model evaluate reports`
drafts.jsonl       the drafts that they were made of; the same command's second file
images/            the pictures as the model sees them, PNG without anything else in them
```

The folder is written beside its place and moved there: nobody finds half of one. That it leaves the
site's hands is told in each study's timeline and in the audit trail.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from core import store
from core.audit_events import StudyInstances
from core.consent import has_consent
from core.database import reading, writing
from core.errors import PermanentError
from core.lifecycle import State
from core.log import log
from core.pseudonyms import Pseudonyms
from core.report import Language
from core.settings_training import ConsentRule
from core.tables import Study
from worker.parts import Parts
from worker.training_case import LeftOut, TrainingCase, Wanted, case_of

PAIRS, REFERENCES, DRAFTS, IMAGES = "pairs.jsonl", "references.jsonl", "drafts.jsonl", "images"
_log = log(__name__)


@dataclass(kw_only=True)
class Exported:
    """What an export wrote.

    Attributes:
        studies: The studies in it by their ids, as the audit trail names them; none: nothing was
            written.
        pairs: Records by task, such as ``report_en``.
        left_out: Studies that are not in it, by reason.
        texts_left_out: Languages of studies, by reason and language.
    """

    studies: dict[int, StudyInstances] = field(default_factory=dict)
    pictures: int = 0
    pairs: Counter[str] = field(default_factory=Counter)
    left_out: Counter[LeftOut] = field(default_factory=Counter)
    texts_left_out: Counter[tuple[LeftOut, Language]] = field(default_factory=Counter)


def export(
    parts: Parts,
    out: Path,
    wanted: Wanted,
    *,
    account: str,
    on_study: Callable[[int, int], None] = lambda _done, _of: None,
) -> Exported:
    """Write every study that may train a model and has a final report.

    Args:
        parts: Of the installation.
        out: Folder to write; it must not be there.
        wanted: What is asked for.
        account: Who asked.
        on_study: Told how many studies are looked at, of how many.

    Raises:
        PermanentError: The folder is there already or cannot be written, or a consent was withdrawn
            meanwhile; nothing is left behind.
    """
    if out.exists():
        raise PermanentError(f"{out} is there already; name another folder.")
    done = Exported()
    names = Pseudonyms(parts.settings.data_dir)
    with _beside(out) as folder:
        (folder / IMAGES).mkdir()
        with reading(parts.engine) as session:
            studies = _candidates(session, parts.settings.training.consent, done)
        for number, study_id in enumerate(studies, start=1):
            with reading(parts.engine) as session:
                study = store.get(session, study_id)
                told = _described(session, study)
            if study.purged_at is not None:
                done.left_out[LeftOut.PURGED] += 1
            else:
                found, texts = case_of(parts, study, names.of(study.study_uid), wanted)
                done.texts_left_out += texts
                if isinstance(found, TrainingCase):
                    _write(folder, found)
                    done.studies[study_id] = told
                    done.pictures += len(found.pictures)
                    done.pairs.update(pair["id"].partition("-")[2] for pair in found.pairs)
                else:
                    done.left_out[found] += 1
            on_study(number, len(studies))
        if done.studies:
            _release(parts, folder, out, done, account)
    return done


def _candidates(session: Session, rule: ConsentRule, done: Exported) -> list[int]:
    """Return the studies that may train a model; count those that only lack consent."""
    given: ColumnElement[bool] = Study.training_consent.is_(True)
    if rule is ConsentRule.ALL:
        given = or_(given, Study.training_consent.is_(None))
    lacking = session.scalar(
        select(func.count())
        .select_from(Study)
        .where(Study.state == State.SIGNED, Study.purged_at.is_(None), ~given)
    )
    if lacking:
        done.left_out[LeftOut.NO_CONSENT] = lacking
    return list(session.scalars(select(Study.id).where(given).order_by(Study.id)))


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """Give a folder beside another, which is gone at the end unless it was moved.

    Raises:
        PermanentError: It cannot be written.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise PermanentError(f"{out} cannot be written: {error.strerror}.") from None


def _write(folder: Path, case: TrainingCase) -> None:
    for name, pixels in case.pictures.items():
        Image.fromarray(pixels).save(folder / name, format="PNG")
    for name, lines in (
        (PAIRS, case.pairs),
        (REFERENCES, [case.reference]),
        (DRAFTS, [case.draft]),
    ):
        _append(folder / name, lines)


def _append(file: Path, records: Iterable[dict[str, Any]]) -> None:
    with file.open("a", encoding="utf-8") as lines:
        for record in records:
            lines.write(json.dumps(record, ensure_ascii=False) + "\n")


def _release(parts: Parts, folder: Path, out: Path, done: Exported, account: str) -> None:
    """Move the folder to its place, and tell so of each study.

    What retention purged meanwhile stays in: it was there, and nobody took a word back.
    """
    at, rule = parts.clock(), parts.settings.training.consent
    with writing(parts.engine) as session:
        for study_id in done.studies:
            study = store.get(session, study_id, lock=True)
            if not has_consent(study, rule):
                raise PermanentError(
                    f"The consent for {study.study_uid} was withdrawn during the export: nothing "
                    "was written. Start it again."
                )
            store.note(
                session, study_id, "exported_for_training", at=at, actor=f"operator {account}"
            )
        # A database that cannot take the lines keeps the folder from its place.
        session.flush()
        folder.rename(out)
    for told in done.studies.values():
        parts.audit.exported(told, account=account, folder=out.resolve())
    _log.info("training_data_exported", studies=len(done.studies))


def _described(session: Session, study: Study) -> StudyInstances:
    classes = Counter(row.sop_class_uid for row in store.instances_of(session, study.id))
    return StudyInstances(
        study_uid=study.study_uid,
        patient_id=study.patient_id,
        patient_issuer=study.patient_issuer,
        accession_numbers=(study.accession_number,),
        sop_classes=dict(classes),
    )
