"""What is drafted for phantoms is scored as a PACS would get it, and a broken text ends nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from harness.fake_drafter import FakeDrafter

from cli.phantom_drafts import draft_phantoms
from core.drafting import DraftRequest
from core.report import Finding, Language, Report, Severity
from model.phantom.ranges import UNSEEN

_BLOCK = Finding(code="BROKEN_LETTERS", severity=Severity.BLOCK, message="Letters were lost.")


class BrokenDrafter(FakeDrafter):
    """One of its drafts holds what no SR may hold, and is withheld for it."""

    def draft(
        self, request: DraftRequest, on_step: Callable[[str], None] = lambda _step: None
    ) -> Report:
        report = super().draft(request, on_step)
        if request is not self.requests[0]:
            return report
        narratives = tuple(
            replace(
                narrative,
                sections=tuple(replace(s, text=f"{s.text} \ufffd") for s in narrative.sections),
            )
            for narrative in report.narratives
        )
        return replace(report, narratives=narratives, findings=(_BLOCK,))


def test_a_draft_that_no_sr_could_hold_counts_as_withheld_and_the_others_are_scored() -> None:
    truths, drafts = draft_phantoms(BrokenDrafter(), count=3, seed=5, size=64, ranges=UNSEEN)
    assert len(truths) == len(drafts) == 3
    (broken,) = [draft for draft in drafts if draft.is_withheld]
    assert broken.reasons == ("BROKEN_LETTERS",)
    assert "\ufffd" in broken.reports[Language.EN]
    assert all("\ufffd" not in d.reports[Language.EN] for d in drafts if not d.is_withheld)
