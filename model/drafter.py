"""Pictures and context become a report: English first, then Arabic from it, then the summaries.

The Arabic report is a translation of the English one with the pictures in view, not a second look:
two looks could disagree, and a translation can be checked against its source word for word.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.drafting import DraftRequest
from core.report import Language, ModelVersion, Narrative, Report, Section
from model.checks import WrittenText, check
from model.engine import Engine
from model.facts import StudyFacts
from model.fingerprint import CACHE_NAME
from model.generation import DEFAULT_MAX_NEW_TOKENS, Completion, GenerationRequest, TextEngine
from model.parsing import parse_report, parse_summary
from model.prompts import Task, question

CHECKS_STEP = "checks"

_REPORTS = {Language.EN: Task.REPORT_EN, Language.AR: Task.REPORT_AR}
_SUMMARIES = {Language.EN: Task.SUMMARY_EN, Language.AR: Task.SUMMARY_AR}
# What needs an earlier answer, and which.
_SOURCES = {
    Task.REPORT_AR: Task.REPORT_EN,
    Task.SUMMARY_EN: Task.REPORT_EN,
    Task.SUMMARY_AR: Task.REPORT_AR,
}
# Tasks that are asked together, each wave once the one before it is answered.
_WAVES = ((Task.REPORT_EN,), (Task.REPORT_AR, Task.SUMMARY_EN), (Task.SUMMARY_AR,))
_LANGUAGES = {task: lang for table in (_REPORTS, _SUMMARIES) for lang, task in table.items()}


class ModelDrafter:
    """The `core.drafting.Drafter` that asks a model."""

    def __init__(
        self,
        engine: TextEngine,
        *,
        text_engine: TextEngine | None = None,
        text_tasks: Collection[Task] = (),
    ) -> None:
        """Draft with an engine; it loads its model at the first draft.

        Args:
            engine: Sees the pictures.
            text_engine: Has no eyes.
            text_tasks: What it is asked; it works from the text before it alone.
        """
        self._engine = engine
        self._text_engine = text_engine
        self._text_tasks = frozenset(text_tasks if text_engine else ())

    @property
    def version(self) -> ModelVersion:
        """Which model writes; which two, where a second one translates or summarises."""
        return self._version_of("", Task)

    def _version_of(self, adapter: str, tasks: Iterable[Task]) -> ModelVersion:
        seeing = self._engine.version_of(adapter)
        if self._text_engine is None or not self._text_tasks & set(tasks):
            return seeing
        text = self._text_engine.version
        return ModelVersion(
            name=f"{seeing.name} + {text.name}",
            revision=f"{seeing.revision}+{text.revision}",
            is_demonstration=seeing.is_demonstration or text.is_demonstration,
        )

    def draft(
        self, request: DraftRequest, on_step: Callable[[str], None] = lambda _step: None
    ) -> Report:
        """Write and check a report; see `core.drafting.Drafter.draft`.

        An Arabic report is made from an English one, so both are written and compared even where
        only Arabic is asked for.
        """
        answers: dict[Task, WrittenText] = {}
        wanted = _tasks(request.languages)
        for wave in _WAVES:
            tasks = [task for task in wave if task in wanted]
            answers |= self._ask(tasks, request, answers, on_step)
        on_step(CHECKS_STEP)
        findings = check(
            reports=_by_language(_REPORTS, answers),
            summaries=_by_language(_SUMMARIES, answers),
            are_orientations_known=all(image.is_orientation_known for image in request.images),
            severities=dict(request.severities),
            facts=StudyFacts(
                body_part=request.context.body_part,
                sex=request.context.sex,
                age_band=request.context.age_band,
            ),
        )
        return Report(
            narratives=tuple(_narrative(language, answers) for language in request.languages),
            model=self._version_of(request.adapter, wanted),
            frames=tuple(image.frame for image in request.images),
            findings=findings,
        )

    def _ask(
        self,
        tasks: Sequence[Task],
        request: DraftRequest,
        answers: Mapping[Task, WrittenText],
        on_step: Callable[[str], None],
    ) -> dict[Task, WrittenText]:
        """Return the answers of tasks that are asked together, parsed."""
        asked: dict[Task, Future[Completion]] = {}
        try:
            for task in tasks:
                on_step(task.value)
                source = answers[_SOURCES[task]].raw if task in _SOURCES else ""
                asked[task] = self._submit(task, request, source)
            return {task: _written(task, future.result()) for task, future in asked.items()}
        finally:
            # Where one of them failed, the others are asked for nothing.
            for future in asked.values():
                future.cancel()

    def _submit(self, task: Task, request: DraftRequest, source: str) -> Future[Completion]:
        asked = GenerationRequest(
            question=question(task, request.context, source),
            images=request.images,
            max_new_tokens=request.max_new_tokens,
            adapter=request.adapter,
            is_urgent=request.is_urgent,
            cancelled=request.cancelled,
        )
        if self._text_engine is not None and task in self._text_tasks:
            return self._text_engine.submit(replace(asked, images=(), adapter=""))
        return self._engine.submit(asked)


def _written(task: Task, completion: Completion) -> WrittenText:
    parse = parse_report if task in _REPORTS.values() else parse_summary
    parsed = parse(completion.text, _LANGUAGES[task])
    return WrittenText(
        raw=completion.text.strip(),
        sections=parsed.sections,
        is_complete=completion.is_complete,
        findings=parsed.findings,
    )


def _tasks(languages: tuple[Language, ...]) -> tuple[Task, ...]:
    """Return what has to be asked, in order."""
    reports = [Task.REPORT_EN, *([Task.REPORT_AR] if Language.AR in languages else [])]
    return (*reports, *(_SUMMARIES[lang] for lang in _SUMMARIES if lang in languages))


def _by_language(
    tasks: dict[Language, Task], answers: dict[Task, WrittenText]
) -> dict[Language, WrittenText]:
    return {language: answers[task] for language, task in tasks.items() if task in answers}


def _narrative(language: Language, answers: dict[Task, WrittenText]) -> Narrative:
    sections: tuple[Section, ...] = (
        *answers[_REPORTS[language]].sections,
        *answers[_SUMMARIES[language]].sections,
    )
    return Narrative(language=language, sections=sections)


def open_drafter(
    path: Path,
    device: str = "auto",
    max_new_tokens: int = DEFAULT_MAX_NEW_TOKENS,
    data_dir: Path | None = None,
    **options: Any,
) -> ModelDrafter:
    """Return a drafter for a checkpoint folder; the model is loaded at the first draft.

    The folder's digest is kept in `data_dir`, so that a restart does not read all files twice.
    What else an engine may be told stands at `model.engine.Engine`.
    """
    cache_file = data_dir / CACHE_NAME if data_dir else None
    return ModelDrafter(
        Engine(path, device=device, max_new_tokens=max_new_tokens, cache_file=cache_file, **options)
    )
