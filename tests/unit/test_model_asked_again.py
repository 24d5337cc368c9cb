"""A text that is asked for again, and summaries that are left out."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from check_pairs import image
from check_pairs.tasks import STEPS, Engine, task_of, write

from core.drafting import DraftContext, DraftRequest
from core.errors import (
    DraftCancelledError,
    MemoryExhaustedError,
    PermanentError,
    TaqrirError,
    TransientError,
)
from core.report import ArabicSource, Language, Report, SectionKind, Severity
from model.drafter import ModelDrafter
from model.generation import Completion, GenerationRequest

EN, AR = Language.EN, Language.AR
LEFT_EN = "FINDINGS:\nLeft pleural effusion.\nIMPRESSION:\nLeft pleural effusion."
LEFT_AR = "النتائج:\nانصباب جنبي أيسر.\nالانطباع:\nانصباب جنبي أيسر."
RIGHT_AR = LEFT_AR.replace("أيسر", "أيمن")
LEFT = {
    "report_en": LEFT_EN,
    "report_ar": LEFT_AR,
    "summary_en": "Left pleural effusion.",
    "summary_ar": "انصباب جنبي أيسر.",
}


def draws(engine: Engine) -> list[tuple[str, int]]:
    """Return what was asked for and with which draw, in order."""
    return [(task_of(request.question), request.draw) for request in engine.asked]


def test_a_translation_to_the_other_side_is_drawn_anew_and_summarised_as_it_then_is() -> None:
    engine = Engine(LEFT | {"report_ar": (RIGHT_AR, "النتائج:\nصدر.", LEFT_AR)})
    report = write(engine)

    assert report.blocking == ()
    assert "أيسر" in report.narrative(AR).sections[0].text
    assert draws(engine) == [
        ("report_en", 0),
        ("report_ar", 0),
        ("summary_en", 0),
        ("report_ar", 1),
        ("report_ar", 2),
        ("summary_ar", 0),
    ]
    assert LEFT_AR in engine.asked[-1].question
    assert report.reasons == (
        "report_ar was asked for 3 times: SIDE_MISMATCH held the first text back.",
    )
    assert report.decoding is not None
    assert not report.decoding.is_greedy


def test_a_summary_that_denies_what_the_report_says_is_drawn_anew() -> None:
    engine = Engine(LEFT | {"summary_en": ("No pleural effusion.", "Left pleural effusion.")})
    report = write(engine)
    assert report.blocking == ()
    assert draws(engine).count(("summary_en", 1)) == 1
    assert ("report_ar", 1) not in draws(engine)


def test_where_no_draw_passes_the_first_text_stands_and_is_held_back() -> None:
    engine = Engine(LEFT | {"report_ar": RIGHT_AR})
    report = write(engine)
    assert "SIDE_MISMATCH" in {finding.code for finding in report.blocking}
    assert [draw for task, draw in draws(engine) if task == "report_ar"] == [0, 1, 2]
    assert report.reasons == (
        "report_ar was asked for 3 times, and a check found a fault in each.",
    )
    assert report.decoding is not None
    assert report.decoding.is_greedy


def test_a_draw_that_leaves_the_finding_out_is_not_taken() -> None:
    without = "النتائج:\nالرئتان صافيتان.\nالانطباع:\nالرئتان صافيتان."
    texts: dict[str, Any] = LEFT | {
        "report_ar": (RIGHT_AR, without, without),
        "summary_ar": "الرئتان صافيتان.",
    }
    engine = Engine(texts)
    report = write(engine)
    assert "SIDE_MISMATCH" in {finding.code for finding in report.blocking}
    assert "أيمن" in report.narrative(AR).sections[0].text


class Failing(Engine):
    """Answers each task once; every further attempt ends in an error."""

    error: type[TaqrirError] = TransientError

    def submit(self, request: GenerationRequest) -> Future[Completion]:
        if not request.draw:
            return super().submit(request)
        failed: Future[Completion] = Future()
        failed.set_exception(self.error("too slow"))
        return failed


@pytest.mark.parametrize("error", [TransientError, PermanentError, MemoryExhaustedError])
def test_a_second_attempt_that_fails_leaves_the_first_text(error: type[TaqrirError]) -> None:
    engine = Failing(LEFT | {"report_ar": RIGHT_AR})
    engine.error = error
    report = write(engine)
    assert "SIDE_MISMATCH" in {finding.code for finding in report.blocking}
    assert report.reasons == ("report_ar could not be asked for again: too slow",)


def test_a_second_attempt_that_is_cancelled_ends_the_draft() -> None:
    engine = Failing(LEFT | {"report_ar": RIGHT_AR})
    engine.error = DraftCancelledError
    with pytest.raises(DraftCancelledError):
        write(engine)


@pytest.mark.parametrize(
    ("texts", "arabic"),
    [
        (LEFT | {"report_en": "FINDINGS:\nLeft pleural effusion."}, ArabicSource.TRANSLATE),
        (LEFT | {"report_ar": RIGHT_AR}, ArabicSource.FROM_IMAGE),
    ],
    ids=["the first look", "a second look"],
)
def test_what_is_seen_in_the_pictures_is_asked_for_once(
    texts: dict[str, str], arabic: ArabicSource
) -> None:
    engine = Engine({**texts})
    report = write(engine, arabic=arabic)
    assert report.blocking
    assert len(engine.asked) == len(STEPS)
    assert report.reasons == ()


def test_a_fault_that_the_site_lets_through_costs_no_second_attempt() -> None:
    engine = Engine(LEFT | {"report_ar": RIGHT_AR})
    write(engine, severities=(("SIDE_MISMATCH", Severity.WARN),))
    assert len(engine.asked) == len(STEPS)


def test_a_site_may_have_every_text_asked_for_once() -> None:
    engine: Any = Engine(LEFT | {"report_ar": RIGHT_AR})
    request = DraftRequest(images=(image(),), context=DraftContext())
    report = ModelDrafter(engine, attempts=1).draft(request)
    assert report.blocking
    assert len(engine.asked) == len(STEPS)
    assert report.reasons == ()


# Summaries that are left out.

RIGHT_SUMMARY = LEFT | {"summary_ar": "انصباب جنبي أيمن."}
KEPT = (SectionKind.FINDINGS, SectionKind.IMPRESSION)


def kinds(report: Report, language: Language) -> tuple[SectionKind, ...]:
    return tuple(section.kind for section in report.narrative(language).sections)


def test_a_summary_that_is_never_right_is_left_out_in_both_languages_and_it_is_said() -> None:
    report = write(Engine({**RIGHT_SUMMARY}))

    assert report.blocking == ()
    assert kinds(report, EN) == kinds(report, AR) == KEPT
    (finding,) = report.findings
    assert (finding.code, finding.severity) == ("SUMMARY_LEFT_OUT", Severity.WARN)
    assert "SIDE_MISMATCH" in finding.message
    assert report.reasons == (
        "summary_ar was asked for 3 times, and a check found a fault in each.",
    )
    assert {said.section for said in report.confidences} <= set(KEPT)


def test_a_summary_that_was_drawn_and_left_out_counts_for_nothing() -> None:
    drawn = {"summary_en": ("No pleural effusion.", "Left pleural effusion.")}
    report = write(Engine({**RIGHT_SUMMARY, **drawn}))
    assert kinds(report, EN) == KEPT
    assert report.decoding is not None
    assert report.decoding.is_greedy


def test_of_one_language_the_summary_is_left_out_alone() -> None:
    report = write(Engine({**RIGHT_SUMMARY}), languages=(AR,))
    assert report.blocking == ()
    assert kinds(report, AR) == KEPT


@pytest.mark.parametrize(
    "texts",
    [
        RIGHT_SUMMARY | {"report_ar": RIGHT_AR, "summary_en": "No pleural effusion."},
        RIGHT_SUMMARY | {"report_en": "FINDINGS:\nLeft pleural effusion."},
    ],
    ids=["the translation is wrong too", "the look is wrong too"],
)
def test_a_draft_that_is_held_back_without_its_summaries_keeps_them(texts: dict[str, Any]) -> None:
    report = write(Engine(texts))
    assert report.blocking
    assert SectionKind.SUMMARY in kinds(report, AR)
    assert "SUMMARY_LEFT_OUT" not in {finding.code for finding in report.findings}


def test_a_site_may_have_a_draft_withheld_for_its_summary() -> None:
    report = write(Engine({**RIGHT_SUMMARY}), severities=(("SUMMARY_LEFT_OUT", Severity.BLOCK),))
    assert "SIDE_MISMATCH" in {finding.code for finding in report.blocking}
    assert SectionKind.SUMMARY in kinds(report, AR)
    assert "SUMMARY_LEFT_OUT" not in {finding.code for finding in report.findings}


def test_a_site_may_have_summaries_left_out_without_a_warning() -> None:
    report = write(Engine({**RIGHT_SUMMARY}), severities=(("SUMMARY_LEFT_OUT", Severity.NOTE),))
    assert [finding.severity for finding in report.findings] == [Severity.NOTE]


def test_a_sound_draft_keeps_its_summaries() -> None:
    report = write(Engine({**LEFT}))
    assert kinds(report, EN) == kinds(report, AR) == (*KEPT, SectionKind.SUMMARY)
