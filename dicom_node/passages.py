"""What a document says in one language, in order: the same in SR and PDF, written and read back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from core.report import Language, PriorStudy, Report, SectionKind, notices
from dicom_node import sr_terms as terms
from dicom_node.documents import DocumentContext
from dicom_node.header_text import dated, described
from dicom_node.sr_terms import Term

NOTICES, COMPARISON, ADDENDUM = "notices", "comparison", "addendum"


@dataclass(frozen=True, kw_only=True)
class Passage:
    """Texts under one heading.

    Attributes:
        name: What reading back calls it: a section kind, ``notices``, ``comparison``, ``addendum``.
        heading: Of the container.
        element: Of each text in it.
    """

    name: str
    heading: Term
    element: Term
    texts: tuple[str, ...] = field(repr=False)


def passages(report: Report, context: DocumentContext, language: Language) -> list[Passage]:
    """Return all that a document says in a language; the notices come before any other text."""
    return list(_passages(report, context, language))


def _passages(report: Report, context: DocumentContext, language: Language) -> Iterator[Passage]:
    yield Passage(
        name=NOTICES,
        heading=terms.NOTICE,
        element=terms.NOTICE,
        texts=notices(report, language),
    )
    sections = [s for s in report.narrative(language).sections if s.text.strip()]
    priors = tuple(_prior(prior, language) for prior in context.prior_studies)
    has_compared = not priors
    for section in sections:
        if not has_compared and section.kind is not SectionKind.HISTORY:
            yield _comparison(priors)
            has_compared = True
        heading, element = terms.SECTIONS[section.kind]
        yield Passage(
            name=section.kind.value, heading=heading, element=element, texts=(section.text,)
        )
    if not has_compared:
        yield _comparison(priors)
    added = tuple(text for a in report.addenda if (text := a.text_in(language)).strip())
    if added:
        yield Passage(name=ADDENDUM, heading=terms.ADDENDUM, element=terms.ADDENDUM, texts=added)


def _comparison(texts: tuple[str, ...]) -> Passage:
    heading, element = terms.COMPARISON
    return Passage(name=COMPARISON, heading=heading, element=element, texts=texts)


def _prior(prior: PriorStudy, language: Language) -> str:
    """Return a prior study as a sentence that claims no more than that an archive listed it."""
    day = dated(prior.date)
    date = f"{day[:4]}-{day[4:6]}-{day[6:]}" if day else ""
    what = ", ".join(filter(None, (described(prior.description or prior.modality), date)))
    if language is Language.AR:
        return f"مدرج في الأرشيف ولم يطلع عليه النموذج: {what or 'فحص'}"
    return f"Listed in the archive, not seen by the model: {what or 'a study'}"
