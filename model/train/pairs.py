"""Final reports as training pairs: the engine's own questions, answered by what was signed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.drafting import DraftContext
from core.report import ArabicSource, Language, Section, SectionKind
from model.prompts import IMAGE, Task, question

# As the questions name them; a recommendation is nothing that they ask for, and readers write it.
_HEADINGS = {
    SectionKind.FINDINGS: {Language.EN: "FINDINGS:", Language.AR: "النتائج:"},
    SectionKind.IMPRESSION: {Language.EN: "IMPRESSION:", Language.AR: "الانطباع:"},
    SectionKind.RECOMMENDATIONS: {Language.EN: "RECOMMENDATIONS:", Language.AR: "التوصيات:"},
}


@dataclass(frozen=True, kw_only=True)
class FinalText:
    """What a model is to say in one language.

    Attributes:
        report: With its headings; empty where there is neither findings nor impression.
        summary: Empty where there is none.
    """

    report: str
    summary: str = ""


def final_text(sections: Sequence[Section], language: Language) -> FinalText:
    """Return a narrative as the model writes one.

    The history is left out: it is not in the pictures, and a model that learns to write one invents
    one.
    """
    texts = {section.kind: section.text.replace(IMAGE, "").strip() for section in sections}
    parts = [
        f"{heading[language]}\n{texts[kind]}"
        for kind, heading in _HEADINGS.items()
        if texts.get(kind)
    ]
    has_core = texts.get(SectionKind.FINDINGS) or texts.get(SectionKind.IMPRESSION)
    return FinalText(
        report="\n\n".join(parts) if has_core else "",
        summary=texts.get(SectionKind.SUMMARY, ""),
    )


def pairs_of(
    record: str,
    images: Sequence[str],
    context: DraftContext,
    finals: Mapping[Language, FinalText],
    *,
    arabic: ArabicSource,
) -> list[dict[str, Any]]:
    """Return one record of conversation JSON for each question that a drafter would ask.

    Arabic is asked for as a translation only where the English text is a final one too; otherwise
    straight from the pictures.

    Args:
        record: Name of the study; each record's id begins with it.
        images: Names of its pictures.
        context: What the model would be told, names taken out.
        finals: By language, each with a report.
        arabic: What the site makes Arabic from.
    """
    english, others = finals.get(Language.EN), finals.get(Language.AR)
    asked: list[tuple[Task, str | None, str]] = []
    if english:
        asked.append((Task.REPORT_EN, None, english.report))
    if others:
        is_translated = english is not None and arabic is ArabicSource.TRANSLATE
        source = english.report if english and is_translated else None
        asked.append((Task.REPORT_AR, source, others.report))
    if english and english.summary:
        asked.append((Task.SUMMARY_EN, english.report, english.summary))
    if others and others.summary:
        asked.append((Task.SUMMARY_AR, others.report, others.summary))
    marks = "\n".join([IMAGE] * len(images))
    return [
        {
            "id": f"{record}-{task}",
            "image": images[0] if len(images) == 1 else list(images),
            "language": task[-2:],
            "conversations": [
                {
                    "from": "human",
                    "value": f"{marks}\n{question(task, context, source).replace(IMAGE, '')}",
                },
                {"from": "gpt", "value": answer},
            ],
        }
        for task, source, answer in asked
    ]
