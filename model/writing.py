"""The texts of one draft: asked for in their order, checked as they come, asked for again.

A translation or a summary in which a check finds a fault that the texts before it do not have is
asked for again, and drawn then instead of made of the likeliest tokens. It is taken only if no
check so much as warns of it: the first one that is not held back might have left a finding out.
What was seen in the pictures is asked for once: a look that is repeated until it passes would be
chosen by the checks.

A summary that cannot be had right costs the draft its summaries, in both languages, and no more: it
says nothing that the report does not say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace

from core.drafting import DraftRequest
from core.errors import PermanentError, PromptTooLongError, TransientError
from core.report import ArabicSource, Finding, Language, Severity
from model.checks import WrittenText, check
from model.facts import StudyFacts
from model.faults import SUMMARY_LEFT_OUT, fault
from model.generation import Completion, GenerationRequest
from model.parsing import parse_report, parse_summary
from model.prompts import Task, question
from model.shortening import shortened

REPORTS = {Language.EN: Task.REPORT_EN, Language.AR: Task.REPORT_AR}
SUMMARIES = {Language.EN: Task.SUMMARY_EN, Language.AR: Task.SUMMARY_AR}
LANGUAGES = {task: language for table in (REPORTS, SUMMARIES) for language, task in table.items()}
# What needs an earlier answer, and which, where Arabic is a translation.
_SOURCES = {
    Task.REPORT_AR: Task.REPORT_EN,
    Task.SUMMARY_EN: Task.REPORT_EN,
    Task.SUMMARY_AR: Task.REPORT_AR,
}


def sources_of(arabic: ArabicSource) -> dict[Task, Task]:
    """Return what is made from an earlier text, and from which."""
    is_second_look = arabic is ArabicSource.FROM_IMAGE
    left_out = {Task.REPORT_AR} if is_second_look else set()
    return {task: source for task, source in _SOURCES.items() if task not in left_out}


class Writing:
    """A draft's texts, as they come to stand.

    Attributes:
        answers: Each text that stands.
        completions: How the model wrote it.
        reasons: What was done otherwise than asked, in sentences.
    """

    def __init__(
        self,
        request: DraftRequest,
        submit: Callable[[Task, GenerationRequest], Future[Completion]],
        *,
        attempts: int,
        on_step: Callable[[str], None],
    ) -> None:
        """Ask for nothing yet.

        Args:
            request: What is drafted.
            submit: Asks the model that is to do a task.
            attempts: Most times that a text is asked for that is made from another.
            on_step: Told of each task when it is asked for; what it raises ends the draft.
        """
        self._request = request
        self._sources = sources_of(request.arabic)
        self._submit = submit
        self._attempts = attempts
        self._on_step = on_step
        self.answers: dict[Task, WrittenText] = {}
        self.completions: dict[Task, Completion] = {}
        self.reasons: list[str] = []
        self._drawn: set[Task] = set()
        # What held back the summaries that were left out.
        self._left_out: tuple[str, ...] = ()

    @property
    def is_greedy(self) -> bool:
        """Whether every text that stands is made of the likeliest tokens."""
        return self._drawn.isdisjoint(self.answers)

    def write(self, wanted: Sequence[Task]) -> None:
        """Have all tasks done; those that wait for no other are asked for together."""
        while len(self.answers) < len(wanted):
            ready = [task for task in wanted if task not in self.answers and self._is_ready(task)]
            for task, completion in self._ask(ready).items():
                self._keep(task, completion)
                if task in self._sources:
                    self._mend(task)
        self._leave_out_summaries()

    def check(self) -> tuple[Finding, ...]:
        """Return all that is wrong with what stands so far."""
        request = self._request
        found = check(
            reports=_by_language(REPORTS, self.answers),
            summaries=_by_language(SUMMARIES, self.answers),
            are_orientations_known=all(image.is_orientation_known for image in request.images),
            severities=dict(request.severities),
            facts=StudyFacts(
                laterality=request.laterality,
                body_part=request.context.body_part,
                sex=request.context.sex,
                age_band=request.context.age_band,
                has_prior=request.has_prior,
                identifiers=request.identifiers,
            ),
        )
        if not self._left_out:
            return found
        message = f"The draft has no summaries: {', '.join(self._left_out)} held one back."
        left_out = fault(SUMMARY_LEFT_OUT, message)
        severity = dict(request.severities).get(SUMMARY_LEFT_OUT, left_out.severity)
        return (*found, replace(left_out, severity=severity))

    def _leave_out_summaries(self) -> None:
        """Leave the summaries out where they alone hold the draft back."""
        faults = self._codes(Severity.BLOCK)
        if not faults or dict(self._request.severities).get(SUMMARY_LEFT_OUT) is Severity.BLOCK:
            return
        written = [task for task in SUMMARIES.values() if task in self.answers]
        summaries = {task: self.answers.pop(task) for task in written}
        if self._codes(Severity.BLOCK):
            self.answers |= summaries
        else:
            self._left_out = faults

    def _is_ready(self, task: Task) -> bool:
        return task not in self._sources or self._sources[task] in self.answers

    def _keep(self, task: Task, completion: Completion) -> None:
        self.completions[task] = completion
        parse = parse_report if task in REPORTS.values() else parse_summary
        parsed = parse(completion.text, LANGUAGES[task])
        self.answers[task] = WrittenText(
            raw=completion.text.strip(),
            sections=parsed.sections,
            is_complete=completion.is_complete,
            findings=parsed.findings,
        )

    def _codes(self, *severities: Severity) -> tuple[str, ...]:
        """Return the codes of what is wrong so far, of some severities."""
        return tuple(dict.fromkeys(f.code for f in self.check() if f.severity in severities))

    def _mend(self, task: Task) -> None:
        """Ask again for the text that came last, where it holds the draft back."""
        first, faults = self.completions[task], self._codes(Severity.BLOCK)
        if not faults or self._attempts == 1:
            return
        known = self._known_without(task)
        if known is None:
            return
        for draw in range(1, self._attempts):
            try:
                completion = self._ask([task], draw)[task]
            except (TransientError, PermanentError) as error:
                self.reasons.append(f"{task} could not be asked for again: {error}")
                break
            self._keep(task, completion)
            if known.issuperset(self._codes(Severity.BLOCK, Severity.WARN)):
                self._drawn.add(task)
                self.reasons.append(
                    f"{task} was asked for {1 + draw} times: {', '.join(faults)} held the first "
                    f"text back."
                )
                return
        else:
            self.reasons.append(
                f"{task} was asked for {self._attempts} times, and a check found a fault in each."
            )
        self._keep(task, first)

    def _known_without(self, task: Task) -> frozenset[str] | None:
        """Return what checks warn of without a text; None where the draft is held back without it.

        Then no other text could mend it.
        """
        last = self.answers.pop(task)
        try:
            if self._codes(Severity.BLOCK):
                return None
            return frozenset(self._codes(Severity.WARN))
        finally:
            self.answers[task] = last

    def _ask(self, tasks: Sequence[Task], draw: int = 0) -> dict[Task, Completion]:
        """Return the answers of tasks that are asked together, each with its source's text."""
        asked: dict[Task, Future[Completion]] = {}
        try:
            for task in tasks:
                self._on_step(task.value)
                asked[task] = self._submit(task, self._generation(task, self._request, draw))
            for task in tasks:
                for shorter, reason in shortened(self._request):
                    if not isinstance(asked[task].exception(), PromptTooLongError):
                        break
                    self.reasons.append(reason)
                    asked[task] = self._submit(task, self._generation(task, shorter, draw))
            return {task: future.result() for task, future in asked.items()}
        finally:
            # Where one of them failed, the others are asked for nothing.
            for future in asked.values():
                future.cancel()

    def _generation(self, task: Task, request: DraftRequest, draw: int) -> GenerationRequest:
        source = self.answers[self._sources[task]].raw if task in self._sources else None
        return GenerationRequest(
            question=question(task, request.context, source),
            images=request.images,
            max_new_tokens=request.max_new_tokens,
            adapter=request.adapter,
            is_urgent=request.is_urgent,
            cancelled=request.cancelled,
            draw=draw,
        )


def _by_language(
    tasks: Mapping[Language, Task], answers: Mapping[Task, WrittenText]
) -> dict[Language, WrittenText]:
    return {language: answers[task] for language, task in tasks.items() if task in answers}
