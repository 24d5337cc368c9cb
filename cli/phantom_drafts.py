"""Drafts for phantoms, as they would arrive in a PACS: from DX instance to SR and back to text."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from cli.phantom import write_phantom
from core.clock import local_now
from core.report import Language, Patient, Report, SectionKind, StudyHeader

# So many drafts are under way at once: the engine answers them together.
_AT_ONCE = 8
_PARTS = (SectionKind.FINDINGS, SectionKind.IMPRESSION)


class Shown(StrEnum):
    """What the model is shown of a phantom: its film, or what proves that it looks at it."""

    FILM = "film"
    BLANK = "blank"
    SHUFFLED = "shuffled"


def draft_phantoms(
    drafter: Any,
    *,
    count: int,
    seed: int,
    size: int,
    ranges: Any,
    shown: Shown = Shown.FILM,
    style: Any = None,
    on_draft: Callable[[int], None] = lambda _done: None,
) -> tuple[list[Any], list[Any]]:
    """Return the truths (`Truth`) of some phantoms and what was drafted for them (`Drafted`).

    Args:
        drafter: A `core.drafting.Drafter`.
        count: How many phantoms.
        seed: Of the phantoms.
        size: Height of the films in pixels.
        ranges: `model.phantom.ranges.Ranges`.
        shown: `BLANK` shows a grey film instead, `SHUFFLED` another phantom's.
        style: `model.phantom.wording.Style` of the references; the demonstration's where None.
        on_draft: Told how many are done.
    """
    with (
        tempfile.TemporaryDirectory(prefix="taqrir-phantoms-") as name,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        folder = Path(name)
        drawn = {"size": size, "ranges": ranges, "style": style}
        truths = [write_phantom(folder, seed, i, **drawn) for i in range(count)]
        files = [folder / truth.file for truth in truths]
        pictures = files if shown is not Shown.SHUFFLED else [*files[1:], files[0]]
        drafts = []
        jobs = pool.map(
            lambda pair: _draft(drafter, *pair, is_blank=shown is Shown.BLANK),
            zip(files, pictures, strict=True),
        )
        for done, draft in enumerate(jobs, start=1):
            drafts.append(draft)
            on_draft(done)
    return truths, drafts


def _draft(drafter: Any, file: Path, picture: Path, *, is_blank: bool) -> Any:
    from core.drafting import DraftRequest
    from dicom_node.header import read_header
    from dicom_node.selection import draft_context, render_selection, select
    from model.evaluate.reports import Drafted

    headers = [read_header(one) for one in (file, picture)]
    selection = select([headers[1]], limit=1, with_secondary_captures=False)
    images = render_selection(selection, lambda _uid: picture).images
    if is_blank:
        images = tuple(replace(i, pixels=np.full_like(i.pixels, 128)) for i in images)
    own = select([headers[0]], limit=1, with_secondary_captures=False)
    report: Report = drafter.draft(DraftRequest(images=images, context=draft_context(own)))
    texts = {language: _texts(report, language, headers[0].study_uid) for language in Language}
    return Drafted(
        id=file.name,
        reports={language: parts[0] for language, parts in texts.items()},
        summaries={language: parts[1] for language, parts in texts.items()},
        is_withheld=bool(report.blocking),
        reasons=tuple(sorted({finding.code for finding in report.blocking})),
    )


def _texts(report: Report, language: Language, study_uid: str) -> tuple[str, str]:
    """Return findings and impression, and the summary, as a PACS would hand them out again.

    A withheld draft goes nowhere; its text may be one that no SR could hold.
    """
    narrative = report.narrative(language)
    sections: dict[str, str] = (
        {section.kind: section.text for section in narrative.sections}
        if report.blocking
        else _read_back(report, language, study_uid)
    )
    body = "\n".join(sections[kind] for kind in _PARTS if kind in sections)
    return body, sections.get(SectionKind.SUMMARY, "")


def _read_back(report: Report, language: Language, study_uid: str) -> dict[str, str]:
    from dicom_node.documents import DocumentContext
    from dicom_node.report_sr import build_sr, read_back

    context = DocumentContext(
        header=StudyHeader(study_uid=study_uid, patient=Patient()),
        report_version=1,
        created_at=local_now(),
        software_version="0",
    )
    return read_back(build_sr(report=report, context=context, language=language))


def references_of(truths: Sequence[Any]) -> list[Any]:
    """Return phantoms' truths as references (`model.evaluate.reports.Reference`)."""
    from model.evaluate.reports import Reference, truth_of
    from model.phantom.record import findings_of

    return [
        Reference(
            id=truth.file,
            reports={lang: truth.wording.report(lang) for lang in Language},
            summaries={lang: truth.wording.summary(lang) for lang in Language},
            truth=truth_of(findings_of(truth.case)),
        )
        for truth in truths
    ]
