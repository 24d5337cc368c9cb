"""What is learned of a sender's pauses, and what must not be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.settings import Settings
from dicom_node.pace import learned_seconds, longest_pauses, quiet_time, usual_pause

START = datetime(2026, 3, 1, 8, tzinfo=UTC)


def _at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def _settings(**completion: object) -> Settings:
    return Settings.model_validate(
        {
            "senders": [{"ae_title": "CT"}, {"ae_title": "FIXED", "quiet_seconds": 7}],
            "completion": {"quiet_seconds": 60, "quiet_max_seconds": 900, **completion},
        }
    )


@pytest.mark.parametrize(
    ("pauses", "usual"),
    [
        ([], 0),
        ([80], 0),
        ([80, 85], 80),
        ([1, 80, 85], 80),
        ([1] * 9 + [800], 1),
        ([1] * 18 + [700, 800], 1),
        ([1] * 17 + [600, 700, 800], 600),
        ([80] * 40, 80),
    ],
)
def test_nine_studies_in_ten_say_what_is_usual_and_the_longest_never_alone(
    pauses: list[float], usual: float
) -> None:
    assert usual_pause(pauses) == usual
    assert usual_pause(pauses[::-1]) == usual


@pytest.mark.parametrize(
    "pauses", [[], [0.0] * 40, [39.0] * 40, [80.0] * 5, [899.0] * 40, [1e9] * 3]
)
@pytest.mark.parametrize(("base", "maximum"), [(60, 900), (1, 2), (900, 60)])
def test_what_is_learned_stays_within_its_bounds(
    pauses: list[float], base: float, maximum: float
) -> None:
    seconds = learned_seconds(pauses, base=base, maximum=maximum)

    assert base <= seconds <= max(base, maximum)


def test_a_sender_that_pauses_is_waited_for_half_as_long_again() -> None:
    quiet = quiet_time(_settings(), "CT", [80, 80, 80])

    assert (quiet.seconds, quiet.source) == (120, "learned from 3 studies of CT")


def test_a_sender_that_hardly_pauses_is_waited_for_as_long_as_the_settings_say() -> None:
    quiet = quiet_time(_settings(), "CT", [0.1, 0.2, 30])

    assert (quiet.seconds, quiet.counted_seconds) == (60, 2)
    assert quiet.source == "completion.quiet_seconds"


def test_an_archives_word_does_not_make_a_known_pause_the_end() -> None:
    assert quiet_time(_settings(), "CT", [20, 20, 20]).counted_seconds == 30
    # It is only ever a shorter way.
    assert quiet_time(_settings(), "CT", [80, 80, 80]).counted_seconds == 120


def test_a_senders_own_quiet_time_is_neither_learned_nor_bounded() -> None:
    quiet = quiet_time(_settings(quiet_max_seconds=60), "FIXED", [80] * 40)

    assert (quiet.seconds, quiet.source) == (7, "quiet_seconds of FIXED")
    assert quiet.counted_seconds == 2


def test_an_archives_word_takes_no_longer_than_a_very_short_quiet_time() -> None:
    assert quiet_time(_settings(quiet_seconds=0.5), "CT", []).counted_seconds == 0.5


def test_nothing_is_learned_where_that_is_switched_off() -> None:
    assert quiet_time(_settings(learn=False), "CT", [80] * 40).seconds == 60


def test_who_is_no_longer_configured_has_the_settings_quiet_time() -> None:
    assert quiet_time(_settings(), "GONE", []).seconds == 60


def test_the_longest_pause_belongs_to_the_sender_that_was_silent() -> None:
    images = [(_at(0), "A"), (_at(5), "A"), (_at(35), "B"), (_at(40), "A")]

    pauses = longest_pauses(images, since=START, longest_seconds=900)

    assert pauses == {"A": 30, "B": 5}


def test_images_that_were_indexed_in_another_order_make_the_same_pauses() -> None:
    images = [(_at(9), "A"), (_at(0), "A"), (_at(2), "A")]

    assert longest_pauses(images, since=START, longest_seconds=900) == {"A": 7}


def test_a_resend_next_week_is_no_pause() -> None:
    week = 7 * 24 * 3600
    images = [(_at(0), "A"), (_at(week), "A"), (_at(week + 3), "A")]

    assert longest_pauses(images, since=_at(week), longest_seconds=900) == {"A": 3}
    assert longest_pauses(images[:2], since=_at(week), longest_seconds=900) == {}


def test_a_late_image_counts_the_pause_that_was_taken_for_the_end_and_no_earlier_one() -> None:
    images = [(_at(0), "A"), (_at(50), "A"), (_at(80), "A"), (_at(81), "A")]

    assert longest_pauses(images, since=_at(80), longest_seconds=900) == {"A": 30}
    assert longest_pauses(images, since=START, longest_seconds=900) == {"A": 50}


def test_one_image_says_nothing_of_pauses() -> None:
    assert longest_pauses([(_at(0), "A")], since=START, longest_seconds=900) == {}
