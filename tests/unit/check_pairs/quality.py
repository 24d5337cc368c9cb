"""Precision and recall of each check over all pairs: `make check-quality` prints them.

Recall counts the faulty cases of a code that it finds. Precision sets those against the sound
cases in which the code is raised all the same; a faulty case may rightly raise other codes too.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from check_pairs import NEUTRAL_AR, NEUTRAL_EN, Texts, arabic, english
from check_pairs.fields import FAULTY_FIELDS, SOUND_FIELDS
from check_pairs.forms import FAULTY_FORMS, SOUND_FORMS, Whole
from check_pairs.grades import FAULTY_GRADES, SOUND_GRADES
from check_pairs.headers import FAULTY_HEADERS, SOUND_HEADERS
from check_pairs.impressions import FAULTY_IMPRESSIONS, SOUND_IMPRESSIONS, Ends
from check_pairs.levels import FAULTY_LEVELS, FAULTY_PLACES, SOUND_LEVELS, SOUND_PLACES
from check_pairs.lookalikes import FAULTY_LOOKALIKES, SOUND_LOOKALIKES
from check_pairs.negations import FAULTY_NEGATIONS, SOUND_NEGATIONS
from check_pairs.normality import FAULTY_NORMALITY, SOUND_NORMALITY
from check_pairs.numbers import FAULTY_NUMBERS, SOUND_NUMBERS
from check_pairs.opposites import FAULTY_OPPOSITES, SOUND_OPPOSITES
from check_pairs.pairs import FAULTY_PAIRS, SOUND_PAIRS
from check_pairs.qualities import FAULTY_QUALITIES, SOUND_QUALITIES
from check_pairs.resolution import FAULTY_RESOLUTION, SOUND_RESOLUTION
from check_pairs.sections import AGREEING, CONTRADICTIONS
from check_pairs.sentences import SOUND_REPORTS
from check_pairs.sides import FAULTY_SIDES, SOUND_SIDES
from check_pairs.sizes import FAULTY_SIZES, SOUND_SIZES
from core.report import Finding, Language, Severity
from model.checks import StudyFacts, WrittenText, check
from model.parsing import parse_report, parse_summary

# Sound, but stopped: the verb "left" is taken for a side; a range of levels is written out.
FALSE_ALARMS = [
    ("The drain was left in place.", "تُرك المفجر في مكانه."),
    ("Degenerative changes at L2-L4.", "تغيرات تنكسية في L2 وL3 وL4."),
]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A bilingual report with the code that it must raise; none where it is sound."""

    in_english: Texts
    in_arabic: Texts
    facts: StudyFacts | None = None
    code: str = ""
    cut_off: Language | None = None
    is_oriented: bool = True
    is_whole: bool = False  # the first text is a report with its headings, the second is empty

    def findings(self) -> tuple[Finding, ...]:
        (en, en_impression, en_summary), (ar, ar_impression, ar_summary) = (
            self.in_english,
            self.in_arabic,
        )
        if not self.is_whole:
            en, ar = english(en, en_impression), arabic(ar, ar_impression)
        reports = {
            language: replace(_written(text, language), is_complete=self.cut_off is not language)
            for language, text in ((Language.EN, en), (Language.AR, ar))
        }
        summaries = {
            Language.EN: _summed(en_summary, Language.EN),
            Language.AR: _summed(ar_summary, Language.AR),
        }
        return check(
            reports=reports,
            summaries=summaries,
            are_orientations_known=self.is_oriented,
            facts=self.facts,
        )


def _written(text: str, language: Language) -> WrittenText:
    parsed = parse_report(text, language)
    return WrittenText(raw=text, sections=parsed.sections, findings=parsed.findings)


def _summed(text: str, language: Language) -> WrittenText:
    return WrittenText(raw=text, sections=parse_summary(text, language).sections)


def _case(en: str, ar: str, code: str = "", facts: StudyFacts | None = None) -> Case:
    return Case(
        in_english=(en, NEUTRAL_EN, NEUTRAL_EN),
        in_arabic=(ar, NEUTRAL_AR, NEUTRAL_AR),
        code=code,
        facts=facts,
    )


def _ended(en: Ends, ar: Ends, code: str = "") -> Case:
    return Case(in_english=(*en, NEUTRAL_EN), in_arabic=(*ar, NEUTRAL_AR), code=code)


def _whole(en: Whole, ar: Whole, options: dict[str, Any], code: str = "") -> Case:
    texts = {"in_english": (en[0], "", en[1]), "in_arabic": (ar[0], "", ar[1])}
    return Case(**texts, code=code, is_whole=True, **options)


def faulty_cases() -> Iterator[Case]:
    """Yield every faulty case."""
    for code, pairs in (
        ("SIDE_MISMATCH", FAULTY_SIDES),
        ("NUMBER_MISMATCH", FAULTY_NUMBERS),
        ("NEGATION_MISMATCH", FAULTY_NEGATIONS),
        ("NEGATION_MISMATCH", FAULTY_NORMALITY),
        ("LEVEL_MISMATCH", FAULTY_LEVELS),
        ("PLACE_MISMATCH", FAULTY_PLACES),
        ("SIZE_MISMATCH", FAULTY_SIZES),
        ("QUALITY_MISMATCH", FAULTY_QUALITIES),
    ):
        yield from (_case(en, ar, code) for en, ar in pairs)
    for told in (
        FAULTY_FIELDS, FAULTY_RESOLUTION, FAULTY_LOOKALIKES, FAULTY_GRADES, FAULTY_OPPOSITES,
        FAULTY_PAIRS,
    ):  # fmt: skip
        yield from (_case(en, ar, code) for en, ar, code in told)
    yield from (_case(en, ar, code, facts) for en, ar, facts, code in FAULTY_HEADERS)
    yield from (Case(in_english=en, in_arabic=ar, code=code) for en, ar, code in CONTRADICTIONS)
    yield from (_ended(en, ar, code) for en, ar, code in FAULTY_IMPRESSIONS)
    yield from (_whole(en, ar, options, code) for en, ar, options, code in FAULTY_FORMS)


def sound_cases() -> Iterator[Case]:
    """Yield every sound case, known false alarms included."""
    for pairs in (
        SOUND_SIDES, SOUND_NUMBERS, SOUND_NEGATIONS, SOUND_REPORTS, SOUND_LEVELS, SOUND_PLACES,
        SOUND_FIELDS, SOUND_SIZES, SOUND_NORMALITY, SOUND_QUALITIES, SOUND_RESOLUTION,
        SOUND_LOOKALIKES, SOUND_GRADES, SOUND_OPPOSITES, SOUND_PAIRS, FALSE_ALARMS,
    ):  # fmt: skip
        yield from (_case(en, ar) for en, ar in pairs)
    yield from (_case(en, ar, facts=facts) for en, ar, facts in SOUND_HEADERS)
    yield from (Case(in_english=en, in_arabic=ar) for en, ar in AGREEING)
    yield from (_ended(en, ar) for en, ar in SOUND_IMPRESSIONS)
    yield from (_whole(en, ar, options) for en, ar, options in SOUND_FORMS)


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How the checks did.

    Attributes:
        missed: Faulty cases whose code was not raised.
        stopped: Sound cases that a blocking finding stops, with the codes.
    """

    found: Counter[str]
    faulty: Counter[str]
    false_alarms: Counter[str]
    sound_count: int
    missed: tuple[Case, ...]
    stopped: tuple[tuple[Case, set[str]], ...]


@functools.cache
def measure() -> Quality:
    """Run every case through the checks."""
    found, faulty, false_alarms = Counter[str](), Counter[str](), Counter[str]()
    missed, stopped, sound_count = [], [], 0
    for case in faulty_cases():
        faulty[case.code] += 1
        if case.code in {finding.code for finding in case.findings()}:
            found[case.code] += 1
        else:
            missed.append(case)
    for case in sound_cases():
        sound_count += 1
        raised = case.findings()
        false_alarms.update({finding.code for finding in raised})
        blocking = {f.code for f in raised if f.severity is Severity.BLOCK}
        if blocking:
            stopped.append((case, blocking))
    return Quality(
        found=found,
        faulty=faulty,
        false_alarms=false_alarms,
        sound_count=sound_count,
        missed=tuple(missed),
        stopped=tuple(stopped),
    )


def main() -> None:
    """Print a table, then what was missed and what was stopped."""
    quality = measure()
    print(f"{sum(quality.faulty.values())} faulty cases, {quality.sound_count} sound ones")
    print(f"{'check':26}{'faulty':>8}{'found':>8}{'alarms':>8}{'precision':>11}{'recall':>8}")
    for code in sorted(quality.faulty | quality.false_alarms):
        hits, total, alarms = (
            quality.found[code], quality.faulty[code], quality.false_alarms[code],
        )  # fmt: skip
        precision = f"{hits / (hits + alarms):.3f}" if hits + alarms else "-"
        recall = f"{hits / total:.3f}" if total else "-"
        print(f"{code:26}{total:8}{hits:8}{alarms:8}{precision:>11}{recall:>8}")
    for case in quality.missed:
        print(f"missed {case.code}: {case.in_english[0]} | {case.in_arabic[0]}")
    share = len(quality.stopped) / quality.sound_count
    print(f"sound cases stopped: {len(quality.stopped)} ({share:.1%})")
    for case, codes in quality.stopped:
        print(f"stopped {', '.join(sorted(codes))}: {case.in_english[0]} | {case.in_arabic[0]}")


if __name__ == "__main__":
    main()
