"""The rule that says whether a study is whole: every kind of evidence against every other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.lifecycle import Event
from dicom_node.archives import GRACE_SECONDS, Standing, Word
from dicom_node.completeness import Evidence, Reason, decide, explain, judge
from dicom_node.pace import QuietTime

QUIET = QuietTime(seconds=60, counted_seconds=2, source="completion.quiet_seconds")
HARD_LIMIT = 3600.0


def _evidence(
    silent: float, standing: Standing = Standing.NOT_ASKED, *, opened: float = 0, carriers: int = 0
) -> Evidence:
    return Evidence(
        silent_seconds=silent,
        open_seconds=max(opened, silent),
        quiet=QUIET,
        word=Word(standing=standing, archive="main", reason="main holds 3 images, 2 came"),
        carriers=carriers,
    )


@pytest.mark.parametrize(
    ("standing", "not_yet", "then", "reason"),
    [
        (Standing.NOT_ASKED, 59.9, 60, Reason.QUIET),
        (Standing.UNANSWERED, 59.9, 60, Reason.QUIET),
        (Standing.UNDECIDED, 59.9, 60, Reason.QUIET),
        (Standing.WHOLE, 1.9, 2, Reason.COUNTED),
        (Standing.MISSING, HARD_LIMIT - 1, HARD_LIMIT, Reason.HARD_LIMIT),
    ],
)
def test_each_word_of_an_archive_has_its_silence(
    standing: Standing, not_yet: float, then: float, reason: Reason
) -> None:
    assert judge(_evidence(not_yet, standing), hard_limit_seconds=HARD_LIMIT) is None
    assert judge(_evidence(then, standing), hard_limit_seconds=HARD_LIMIT) is reason


def test_an_answer_is_waited_for_after_the_quiet_time_and_not_for_ever() -> None:
    evidence = _evidence(9999, Standing.PENDING)
    in_vain = Word(standing=Standing.PENDING, waited_seconds=GRACE_SECONDS)

    assert judge(evidence, hard_limit_seconds=HARD_LIMIT * 9) is None
    assert judge(replace(evidence, word=in_vain), hard_limit_seconds=HARD_LIMIT * 9) is Reason.QUIET
    early = replace(evidence, word=in_vain, silent_seconds=59)
    assert judge(early, hard_limit_seconds=HARD_LIMIT * 9) is None


@pytest.mark.parametrize("standing", Standing)
def test_an_open_association_outweighs_all_but_the_hard_limit(standing: Standing) -> None:
    held = _evidence(HARD_LIMIT - 1, standing, carriers=1)
    over = _evidence(0, standing, opened=HARD_LIMIT, carriers=1)

    assert judge(held, hard_limit_seconds=HARD_LIMIT) is None
    assert judge(over, hard_limit_seconds=HARD_LIMIT) is Reason.HARD_LIMIT


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_sentence_with_what_the_archive_and_the_associations_say(
    reason: Reason,
) -> None:
    sentence = explain(reason, _evidence(61, carriers=2), hard_limit_seconds=HARD_LIMIT)

    assert "main holds 3 images, 2 came" in sentence
    assert "open associations that carry it: 2" in sentence


def test_the_sentence_names_the_figure_that_decided() -> None:
    evidence = _evidence(61)

    words = {reason: explain(reason, evidence, hard_limit_seconds=HARD_LIMIT) for reason in Reason}

    assert "60 s (completion.quiet_seconds)" in words[Reason.QUIET]
    assert "2 s" in words[Reason.COUNTED]
    assert "60 minutes" in words[Reason.HARD_LIMIT]


@pytest.mark.parametrize(
    ("images", "admitted", "version", "has_conflict", "event", "code"),
    [
        (2, 2, 1, False, Event.WENT_QUIET, ""),
        (2, 1, 1, False, Event.WENT_QUIET, ""),
        (2, 0, 1, False, Event.NOT_FOR_US, "NOT_ADMITTED"),
        (0, 0, 1, False, Event.NOT_FOR_US, "NO_IMAGE"),
        (2, 2, 6, False, Event.NOT_FOR_US, "TOO_MANY_VERSIONS"),
        (2, 0, 6, False, Event.NOT_FOR_US, "NOT_ADMITTED"),
        (0, 0, 9, True, Event.IDENTITY_CONFLICT, ""),
    ],
)
def test_what_becomes_of_a_whole_study(
    *, images: int, admitted: int, version: int, has_conflict: bool, event: Event, code: str
) -> None:
    decision = decide(
        images=images,
        admitted=admitted,
        admission="rule dose: ignored",
        version=version,
        max_versions=5,
        has_conflict=has_conflict,
    )

    assert (decision.event, decision.code) == (event, code)
    assert ("rule dose: ignored" in decision.reason) == (code == "NOT_ADMITTED")
