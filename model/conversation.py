"""Questions about a study and the model's answers, turn by turn, in either language.

The pictures and what is known of the study stand in the first turn, as in the official
conversation; every later question is asked with all turns before it, and the oldest are left out
where they no longer fit. An answer is checked as any text of the model; what blocks a draft blocks
an answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from core.cleaning import without_identifiers
from core.drafting import Answer, AskRequest
from core.errors import PromptTooLongError
from core.report import Decoding, Language, Section, SectionKind
from model.checks import WrittenText, check
from model.facts import StudyFacts
from model.generation import SEED, Completion, GenerationRequest, TextEngine
from model.parsing import clean
from model.prompts import PROMPTS_VERSION, context_line
from model.shortening import allowed

MAX_QUESTION_LETTERS = 2000
_ARABIC = re.compile("[\u0621-\u064a]")
# Said behind a question in the other language; a model answers in that of the question.
_INSTRUCTIONS = {Language.EN: "Answer in English.", Language.AR: "أجب باللغة العربية."}


def language_of(question: str) -> Language:
    """Return the language of a question: Arabic where it has Arabic letters."""
    return Language.AR if _ARABIC.search(question) else Language.EN


def asked(question: str, language: Language, identifiers: tuple[str, ...]) -> str:
    """Return a question as the model is asked it: no name or number of the patient, one language.

    It is this text that the next turn repeats.
    """
    cleaned = without_identifiers(question[:MAX_QUESTION_LETTERS], identifiers)
    if language_of(cleaned) is language:
        return cleaned
    return f"{cleaned}\n{_INSTRUCTIONS[language]}"


def answer(engine: TextEngine, request: AskRequest) -> Answer:
    """Ask a question; see `core.drafting.Drafter.answer`."""
    request = replace(request, context=allowed(request.context, request.identifiers))
    question = asked(request.question, request.language, request.identifiers)
    future = engine.submit(_generation(request, question))
    reasons: list[str] = []
    for shorter, reason in _shorter(request):
        if not isinstance(future.exception(), PromptTooLongError):
            break
        reasons.append(reason)
        future = engine.submit(_generation(shorter, question))
    completion = future.result()
    written = _written(completion, request.language)
    findings = check(
        reports={},
        summaries={request.language: written},
        are_orientations_known=all(image.is_orientation_known for image in request.images),
        severities=dict(request.severities),
        facts=StudyFacts(
            laterality=request.laterality,
            sex=request.context.sex,
            age_band=request.context.age_band,
            identifiers=request.identifiers,
        ),
    )
    return Answer(
        question=question,
        text=written.text,
        language=request.language,
        model=engine.version_of(request.adapter),
        findings=findings,
        # Only the last one says how much is left.
        reasons=tuple(reasons[-1:]),
        decoding=Decoding(
            prompts_version=PROMPTS_VERSION, max_new_tokens=request.max_new_tokens, seed=SEED
        ),
    )


def _generation(request: AskRequest, question: str) -> GenerationRequest:
    """Return what the engine is asked: the context stands before the first question of all."""
    context = context_line(request.context)
    turns = [*request.history, (question, "")]
    first, reply = turns[0]
    turns[0] = (f"{context}\n{first}" if context else first, reply)
    return GenerationRequest(
        question=turns[-1][0],
        images=request.images,
        history=tuple(turns[:-1]),
        max_new_tokens=request.max_new_tokens,
        adapter=request.adapter,
        # Somebody sits and waits.
        is_urgent=True,
    )


def _shorter(request: AskRequest) -> Iterator[tuple[AskRequest, str]]:
    """Give requests with ever fewer earlier turns, then without the earlier report's impression."""
    total = len(request.history)
    for count in range(total - 1, -1, -1):
        request = replace(request, history=request.history[1:])
        yield (
            request,
            f"{count} of {total} earlier turns were told: the prompt was too long with more.",
        )
    if request.context.prior_impression:
        request = replace(request, context=replace(request.context, prior_impression=""))
        yield request, "Earlier turns and the earlier impression were left out of the prompt."
    total = len(request.images)
    for count in range(total - 1, 0, -1):
        request = replace(request, images=request.images[:count])
        reason = f"{count} of {total} pictures were shown, and nothing that was said before"
        yield request, f"{reason}: the prompt was too long with more."


def _written(completion: Completion, language: Language) -> WrittenText:
    text, findings = clean(completion.text, language)
    return WrittenText(
        raw=completion.text.strip(),
        sections=(Section(kind=SectionKind.SUMMARY, text=text.strip()),),
        is_complete=completion.is_complete,
        findings=findings,
    )
