"""An archive's answer beside what has come."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.errors import SettingsError
from core.settings import Settings
from dicom_node.archives import Answer, Archives, Held, Standing, compare
from dicom_node.query import ArchivedStudy

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OURS = frozenset({"9.1", "9.2"})


def _answer(count: int | None, images: set[str] | None = None, problem: str = "") -> Answer:
    found = ArchivedStudy(count=count, images=None if images is None else frozenset(images))
    return Answer(archive="main", newest=1, found=found, problem=problem)


@pytest.mark.parametrize(
    ("count", "own", "standing"),
    [
        (2, frozenset(), Standing.WHOLE),
        (3, frozenset(), Standing.MISSING),
        # It is behind us: it has no say.
        (1, frozenset(), Standing.UNDECIDED),
        # It does not know the study.
        (0, frozenset(), Standing.UNDECIDED),
        # With reports of ours there a number proves nothing, unless there are too many even so.
        (2, OURS, Standing.UNDECIDED),
        (4, OURS, Standing.UNDECIDED),
        (5, OURS, Standing.MISSING),
    ],
)
def test_a_number_alone_is_compared_with_what_came(
    count: int, own: frozenset[str], standing: Standing
) -> None:
    word = compare(_answer(count), Held(objects=2, own=own))

    assert word.standing is standing
    assert word.expected == count
    assert word.reason == f"main holds {count} objects, 2 came"


@pytest.mark.parametrize(
    ("images", "standing", "reason"),
    [
        ({"1", "2"}, Standing.WHOLE, "main holds 2 images, 2 came"),
        ({"1", "2", "9.1"}, Standing.WHOLE, "main holds 2 images, 2 came"),
        ({"1", "2", "3"}, Standing.MISSING, "main holds 3 images, 2 came"),
        ({"1", "3"}, Standing.MISSING, "main holds 2 images, 1 came"),
        ({"1"}, Standing.UNDECIDED, "main holds 1 images, 1 came"),
        (set(), Standing.UNDECIDED, "main holds 0 images, 0 came"),
    ],
)
def test_a_list_of_images_is_compared_one_by_one_and_ours_never_count(
    images: set[str], standing: Standing, reason: str
) -> None:
    held = Held(objects=7, images=frozenset({"1", "2"}), own=OURS)

    word = compare(_answer(99, images), held)

    assert (word.standing, word.reason) == (standing, reason)


def test_an_archive_that_does_not_answer_is_named_with_the_reason() -> None:
    word = compare(_answer(None, problem="no connection"), Held(objects=2))

    assert (word.standing, word.expected) == (Standing.UNANSWERED, None)
    assert "main" in word.reason
    assert "no connection" in word.reason


def test_a_sender_whose_archive_nobody_knows_is_said_at_the_start() -> None:
    settings = Settings.model_validate(
        {"senders": [{"ae_title": "CT", "count_at": "other"}], "pacs": []}
    )

    with pytest.raises(SettingsError, match=r"count_at of sender CT names no \[\[pacs\]\]: other"):
        Archives(settings, lambda: NOW)
