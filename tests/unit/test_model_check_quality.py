"""Over all pairs: nothing faulty passes unseen, and hardly anything sound is stopped."""

from __future__ import annotations

import re

import numpy as np
import pytest
from check_pairs import ScriptedEngine, draft
from check_pairs.quality import FALSE_ALARMS, Quality, faulty_cases, main, measure

from core.report import Language, Severity
from core.settings import Settings
from model.checks import SEVERITIES, StudyFacts, WrittenText, check
from model.faults import SUMMARY_LEFT_OUT
from model.parsing import parse_report, parse_summary
from model.phantom.case import draw_case
from model.phantom.wording import write

EN, AR = Language.EN, Language.AR
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def quality() -> Quality:
    return measure()


def test_there_are_at_least_200_faulty_and_200_sound_pairs(quality: Quality) -> None:
    assert sum(quality.faulty.values()) >= 200
    assert quality.sound_count >= 200


def test_no_faulty_pair_passes_unseen(quality: Quality) -> None:
    assert [(c.code, c.in_english[0], c.in_arabic[0]) for c in quality.missed] == []


def test_every_check_has_faulty_pairs(quality: Quality) -> None:
    # One of them is no fault of a text.
    assert SEVERITIES.keys() - {SUMMARY_LEFT_OUT} == quality.faulty.keys()


def test_at_most_one_sound_pair_in_twenty_is_stopped(quality: Quality) -> None:
    assert len(quality.stopped) <= 0.05 * quality.sound_count


def test_only_the_known_false_alarms_are_stopped(quality: Quality) -> None:
    stopped = {(case.in_english[0], case.in_arabic[0]) for case, _ in quality.stopped}

    assert stopped == set(FALSE_ALARMS)


def test_a_finding_points_at_words_but_never_repeats_a_patients_data() -> None:
    for case in faulty_cases():
        for finding in case.findings():
            assert finding.message.endswith(".")
            text = f"{finding.message} {finding.words}".casefold()
            assert all(word not in text for word in ("demir", "004711", "1961", "هدى"))


def test_the_table_prints_each_check(capsys: pytest.CaptureFixture[str]) -> None:
    main()

    printed = capsys.readouterr().out
    assert re.search(r"^SIDE_MISMATCH +\d+ +\d+ +\d+ +[\d.]+ +1\.000$", printed, re.MULTILINE)


@pytest.mark.parametrize(
    ("text", "language", "is_unfinished"),
    [
        ("The lungs are clear. There is no evidence of", EN, True),
        ("The heart is enlarged and", EN, True),
        ("يوجد انصباب في", AR, True),
        ("الرئتان صافيتان ولا يوجد", AR, True),
        ("The lungs are clear", EN, False),
        ("The nodule is no longer seen", EN, False),
        ("الرئتان صافيتان", AR, False),
        ("انصباب في الجانب الأيمن", AR, False),
        ("كسر في العظم", AR, False),
    ],
)
def test_a_text_that_stops_within_a_sentence_is_unfinished(
    text: str, language: Language, is_unfinished: bool
) -> None:
    assert ("UNFINISHED" in codes(text, language)) is is_unfinished


def codes(text: str, language: Language) -> set[str]:
    parsed = parse_report(text, language)
    found = check(
        reports={language: WrittenText(raw=text, sections=parsed.sections)},
        summaries={},
        are_orientations_known=True,
        facts=StudyFacts(identifiers=("DOE^JANE", "12345678", "19610423")),
    )
    return {finding.code for finding in found}


@pytest.mark.parametrize(
    ("piece", "language"),
    [
        ("nodule right left 5 mm, ", EN), ("عقيدة أيمن أيسر 5 مم، ", AR), ("(", AR), ("1", EN),
        ("1.", AR), ("\n", EN), ("L4-", AR), ("[name", EN), ("_", EN), ("و", AR), ("12 x ", EN),
        ("FINDINGS:\n", EN), ("# * ", EN), ("no effusion and ", EN), ("القطنية الأولى ", AR),
    ],
)  # fmt: skip
def test_a_megabyte_of_anything_is_blocked_and_not_read_to_its_end(
    piece: str, language: Language
) -> None:
    """Anything that grew with the square of the length would not come back."""
    text = (piece * MEGABYTE)[:MEGABYTE]

    assert codes(text, language) & {"TOO_LONG", "EMPTY_SECTION"}


def test_a_site_sets_severities_in_its_settings() -> None:
    chosen = Settings.model_validate({"checks": {"severities": {"REFUSAL": "note"}}}).checks
    written = WrittenText(
        raw="I am sorry.", sections=parse_summary("I am sorry. A summary.", EN).sections
    )
    found = check(
        reports={},
        summaries={EN: written},
        are_orientations_known=True,
        severities=chosen.severities,
    )
    assert [(f.code, f.severity) for f in found] == [("REFUSAL", Severity.NOTE)]


def test_the_demonstrations_wording_fits_its_header() -> None:
    rng = np.random.default_rng(2)
    facts = StudyFacts(body_part="CHEST", sex="F", age_band="60-69", has_prior=False)
    for _ in range(60):
        wording = write(draw_case(rng), rng)
        texts = {EN: wording.report_en, AR: wording.report_ar}
        found = check(
            reports={
                language: WrittenText(raw=text, sections=parse_report(text, language).sections)
                for language, text in texts.items()
            },
            summaries={},
            are_orientations_known=True,
            facts=facts,
        )
        assert [f for f in found if f.severity is Severity.BLOCK] == []


def test_a_draft_in_a_language_alone_and_an_empty_one_are_checked() -> None:
    assert codes("", EN) == {"EMPTY_SECTION"}
    parsed = parse_summary("Normal.", EN)
    written = WrittenText(raw="Normal.", sections=parsed.sections)
    found = check(reports={}, summaries={EN: written}, are_orientations_known=True)
    assert [f for f in found if f.severity is Severity.BLOCK] == []


def test_the_scripted_engine_answers_the_drafter_as_the_model_would() -> None:
    texts = ["FINDINGS:\nClear.\nIMPRESSION:\nNormal.", "النتائج:\nصافية.\nالانطباع:\nطبيعي."]
    report = draft([*texts, "Normal.", "طبيعي."])
    assert report.model == ScriptedEngine([]).version
