"""A study that does not fit the model's memory, and one that becomes stale while it is drafted."""

from __future__ import annotations

from collections.abc import Callable

from harness import Site, film
from harness.site import Timing, one_database

from core.errors import MemoryExhaustedError
from core.lifecycle import State

pytestmark = one_database


def test_where_memory_runs_out_fewer_pictures_are_shown_and_the_draft_says_so(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    first = film()
    second = film(str(first.StudyInstanceUID), ViewPosition="LATERAL", value=50)
    site.drafter.script.append(MemoryExhaustedError("Memory ran out."))

    site.take_in(first, second)

    assert [len(request.images) for request in site.drafter.requests] == [2, 1]
    assert site.state() is State.IN_REVIEW
    (draft,) = site.drafts()
    assert len(draft.selection["frames"]) == 1
    assert "Memory ran out with 2 images; the model saw the first 1." in draft.selection["reasons"]


def test_a_study_that_does_not_fit_with_one_picture_is_tried_again_later(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    site.drafter.script.append(MemoryExhaustedError("Memory ran out."))
    site.take_in(film())
    assert site.state() is State.QUEUED
    assert site.study().attempts == 1


def test_a_draft_that_became_stale_is_cancelled_while_it_is_written(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(timing=Timing(lease_seconds=0.3))
    first = film()
    site.receive(first)
    site.go_quiet()

    def late_image() -> None:
        site.receive(film(str(first.StudyInstanceUID), ViewPosition="LATERAL", value=50))
        cancelled = site.drafter.requests[0].cancelled
        assert cancelled is not None
        assert cancelled.wait(10)

    site.drafter.during = late_image
    assert not site.draft()
    assert site.state() is State.RECEIVING
    assert not site.drafts()
