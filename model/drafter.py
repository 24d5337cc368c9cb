"""Pictures and context become a report: English first, then Arabic, then the summaries.

The Arabic report is a translation of the English one with the pictures in view, not a second look:
two looks could disagree, and a translation can be checked against its source word for word. A site
may ask for the second look all the same (`[model] arabic = "from_image"`); it is then asked
together with the first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.drafting import Answer, AskRequest, DraftRequest
from core.errors import PromptTooLongError
from core.report import (
    ArabicSource,
    Decoding,
    FrameReference,
    Language,
    ModelVersion,
    Narrative,
    Report,
    Section,
)
from model.checks import WrittenText, check
from model.confidence import confidences
from model.conversation import answer
from model.engine import Engine
from model.facts import StudyFacts
from model.fingerprint import CACHE_NAME
from model.generation import DEFAULT_MAX_NEW_TOKENS, SEED, Completion, GenerationRequest, TextEngine
from model.parsing import parse_report, parse_summary
from model.prompts import PROMPTS_VERSION, Task, question
from model.shortening import allowed, shortened

CHECKS_STEP = "checks"

_REPORTS = {Language.EN: Task.REPORT_EN, Language.AR: Task.REPORT_AR}
_SUMMARIES = {Language.EN: Task.SUMMARY_EN, Language.AR: Task.SUMMARY_AR}
# What needs an earlier answer, and which, where Arabic is a translation.
_SOURCES = {
    Task.REPORT_AR: Task.REPORT_EN,
    Task.SUMMARY_EN: Task.REPORT_EN,
    Task.SUMMARY_AR: Task.REPORT_AR,
}
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

        Where Arabic is a translation, English is written and compared even if only Arabic is asked
        for. Tasks that wait for no other are asked together.
        """
        request = replace(request, context=allowed(request.context, request.identifiers))
        sources = _sources(request.arabic)
        wanted = _tasks(request.languages)
        reasons: list[str] = []
        answers: dict[Task, WrittenText] = {}
        completions: dict[Task, Completion] = {}
        while len(answers) < len(wanted):
            ready = [
                task
                for task in wanted
                if task not in answers and (task not in sources or sources[task] in answers)
            ]
            asked = {t: answers[sources[t]].raw if t in sources else None for t in ready}
            written = self._ask(asked, request, reasons, on_step)
            completions |= written
            answers |= {task: _written(task, completion) for task, completion in written.items()}
        on_step(CHECKS_STEP)
        findings = check(
            reports=_by_language(_REPORTS, answers),
            summaries=_by_language(_SUMMARIES, answers),
            are_orientations_known=all(image.is_orientation_known for image in request.images),
            severities=dict(request.severities),
            facts=_facts(request),
        )
        return Report(
            narratives=tuple(_narrative(language, answers) for language in request.languages),
            model=self._version_of(request.adapter, sources.keys() & set(wanted)),
            frames=_frames(request),
            findings=findings,
            confidences=tuple(
                confidence
                for task, completion in completions.items()
                if _LANGUAGES[task] in request.languages
                for confidence in confidences(completion, _LANGUAGES[task], answers[task].sections)
            ),
            decoding=Decoding(
                prompts_version=PROMPTS_VERSION,
                max_new_tokens=request.max_new_tokens,
                arabic=request.arabic if Language.AR in request.languages else "",
                seed=SEED,
            ),
            reasons=tuple(dict.fromkeys(reasons)),
        )

    def answer(self, request: AskRequest) -> Answer:
        """Answer a question; see `core.drafting.Drafter.answer`."""
        return answer(self._engine, request)

    def _ask(
        self,
        sources: Mapping[Task, str | None],
        request: DraftRequest,
        reasons: list[str],
        on_step: Callable[[str], None],
    ) -> dict[Task, Completion]:
        """Return the answers of tasks that are asked together, each with its source's text."""
        asked: dict[Task, Future[Completion]] = {}
        try:
            for task, source in sources.items():
                on_step(task.value)
                asked[task] = self._submit(task, request, source)
            for task, source in sources.items():
                for shorter, reason in shortened(request):
                    if not isinstance(asked[task].exception(), PromptTooLongError):
                        break
                    reasons.append(reason)
                    asked[task] = self._submit(task, shorter, source)
            return {task: future.result() for task, future in asked.items()}
        finally:
            # Where one of them failed, the others are asked for nothing.
            for future in asked.values():
                future.cancel()

    def _submit(self, task: Task, request: DraftRequest, source: str | None) -> Future[Completion]:
        asked = _request(task, request, source)
        # Without a text before it a task is to look at the pictures, which takes eyes.
        if self._text_engine is not None and task in self._text_tasks and source is not None:
            return self._text_engine.submit(replace(asked, images=(), adapter=""))
        return self._engine.submit(asked)


def _sources(arabic: ArabicSource) -> dict[Task, Task]:
    """Return what needs an earlier answer, and which."""
    is_second_look = arabic is ArabicSource.FROM_IMAGE
    left_out = {Task.REPORT_AR} if is_second_look else set()
    return {task: source for task, source in _SOURCES.items() if task not in left_out}


def _facts(request: DraftRequest) -> StudyFacts:
    return StudyFacts(
        laterality=request.laterality,
        body_part=request.context.body_part,
        sex=request.context.sex,
        age_band=request.context.age_band,
        has_prior=request.has_prior,
        identifiers=request.identifiers,
    )


def _frames(request: DraftRequest) -> tuple[FrameReference, ...]:
    """Return the frames that were seen, once each, through the first of their windows."""
    frames: dict[tuple[str, int], FrameReference] = {}
    for frame in (image.frame for image in request.images):
        frames.setdefault((frame.sop_instance_uid, frame.frame_number), frame)
    return tuple(frames.values())


def _request(task: Task, request: DraftRequest, source: str | None) -> GenerationRequest:
    return GenerationRequest(
        question=question(task, request.context, source),
        images=request.images,
        max_new_tokens=request.max_new_tokens,
        adapter=request.adapter,
        is_urgent=request.is_urgent,
        cancelled=request.cancelled,
    )


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
