"""Pictures and context become a report: English first, then Arabic, then the summaries.

The Arabic report is a translation of the English one with the pictures in view, not a second look:
two looks could disagree, and a translation can be checked against its source word for word. A site
may ask for the second look all the same (`[model] arabic = "from_image"`); it is then asked
together with the first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.drafting import Answer, AskRequest, DraftRequest
from core.report import (
    Decoding,
    FrameReference,
    Language,
    ModelVersion,
    Narrative,
    Report,
)
from model.checks import WrittenText
from model.confidence import confidences
from model.conversation import answer
from model.engine import Engine
from model.fingerprint import CACHE_NAME
from model.generation import DEFAULT_MAX_NEW_TOKENS, SEED, Completion, GenerationRequest, TextEngine
from model.prompts import PROMPTS_VERSION, Task
from model.shortening import allowed
from model.writing import LANGUAGES, REPORTS, SUMMARIES, Writing, sources_of

CHECKS_STEP = "checks"
DEFAULT_ATTEMPTS = 3


class ModelDrafter:
    """The `core.drafting.Drafter` that asks a model."""

    def __init__(
        self,
        engine: TextEngine,
        *,
        text_engine: TextEngine | None = None,
        text_tasks: Collection[Task] = (),
        attempts: int = DEFAULT_ATTEMPTS,
    ) -> None:
        """Draft with an engine; it loads its model at the first draft.

        Args:
            engine: Sees the pictures.
            text_engine: Has no eyes.
            text_tasks: What it is asked; it works from the text before it alone.
            attempts: Most times that a translation or a summary is asked for; see `model.writing`.
        """
        self._attempts = attempts
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
        wanted = _tasks(request.languages)
        sources = sources_of(request.arabic)
        writing = Writing(
            request,
            lambda task, asked: self._submit(task, asked, has_source=task in sources),
            attempts=self._attempts,
            on_step=on_step,
        )
        writing.write(wanted)
        on_step(CHECKS_STEP)
        answers = writing.answers
        return Report(
            narratives=tuple(_narrative(language, answers) for language in request.languages),
            model=self._version_of(request.adapter, sources.keys() & set(wanted)),
            frames=_frames(request),
            findings=writing.check(),
            confidences=tuple(
                confidence
                for task, completion in writing.completions.items()
                if task in answers and LANGUAGES[task] in request.languages
                for confidence in confidences(completion, LANGUAGES[task], answers[task].sections)
            ),
            decoding=Decoding(
                prompts_version=PROMPTS_VERSION,
                max_new_tokens=request.max_new_tokens,
                arabic=request.arabic if Language.AR in request.languages else "",
                is_greedy=writing.is_greedy,
                seed=SEED,
            ),
            reasons=tuple(dict.fromkeys(writing.reasons)),
        )

    def answer(self, request: AskRequest) -> Answer:
        """Answer a question; see `core.drafting.Drafter.answer`."""
        return answer(self._engine, request)

    def _submit(
        self, task: Task, asked: GenerationRequest, *, has_source: bool
    ) -> Future[Completion]:
        # Without a text before it a task is to look at the pictures, which takes eyes.
        if self._text_engine is not None and task in self._text_tasks and has_source:
            return self._text_engine.submit(replace(asked, images=(), adapter=""))
        return self._engine.submit(asked)


def _frames(request: DraftRequest) -> tuple[FrameReference, ...]:
    """Return the frames that were seen, once each, through the first of their windows."""
    frames: dict[tuple[str, int], FrameReference] = {}
    for frame in (image.frame for image in request.images):
        frames.setdefault((frame.sop_instance_uid, frame.frame_number), frame)
    return tuple(frames.values())


def _tasks(languages: tuple[Language, ...]) -> tuple[Task, ...]:
    """Return what has to be asked, in order."""
    reports = [Task.REPORT_EN, *([Task.REPORT_AR] if Language.AR in languages else [])]
    return (*reports, *(SUMMARIES[lang] for lang in SUMMARIES if lang in languages))


def _narrative(language: Language, answers: dict[Task, WrittenText]) -> Narrative:
    texts = (answers.get(task) for task in (REPORTS[language], SUMMARIES[language]))
    sections = tuple(section for text in texts if text is not None for section in text.sections)
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
