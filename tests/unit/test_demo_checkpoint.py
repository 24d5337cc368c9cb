"""The demonstration checkpoint reads phantoms that it never saw, and looks at them."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cli.main import taqrir
from cli.phantom_drafts import Shown, draft_phantoms, references_of
from core.report import Language
from model.demo import CHECKPOINT
from model.drafter import ModelDrafter, open_drafter
from model.evaluate.reports import Scores, score_reports
from model.phantom.ranges import UNSEEN

# Below what the model card says, by about what chance gives or takes over so few phantoms.
LEAST_F1, LEAST_SIDE, LEAST_COVERAGE, LEAST_AGREEMENT = 0.85, 0.9, 0.9, 0.95
MOST_BLIND_F1 = 0.35


@pytest.fixture(scope="module")
def drafter() -> ModelDrafter:
    return open_drafter(CHECKPOINT, device="cpu", max_new_tokens=300)


def scores(drafter: ModelDrafter, count: int, shown: Shown) -> Scores:
    truths, drafts = draft_phantoms(
        drafter, count=count, seed=40, size=224, ranges=UNSEEN, shown=shown
    )
    return score_reports(references_of(truths), drafts)


def test_forty_phantoms_of_other_ranges_are_read_in_both_languages(drafter: ModelDrafter) -> None:
    found = scores(drafter, 40, Shown.FILM)
    for language in Language:
        reached = {name: score.value for name, score in found.by_language[language].items()}
        assert reached["coverage"] >= LEAST_COVERAGE, reached
        assert reached["finding_f1"] >= LEAST_F1, reached
        assert reached["side"] >= LEAST_SIDE, reached
    assert found.agreement is not None
    assert found.agreement.value >= LEAST_AGREEMENT


@pytest.mark.parametrize("shown", [Shown.BLANK, Shown.SHUFFLED])
def test_without_its_own_film_a_phantom_is_not_read(drafter: ModelDrafter, shown: Shown) -> None:
    found = scores(drafter, 10, shown)
    for language in Language:
        assert found.by_language[language]["finding_f1"].value <= MOST_BLIND_F1


@pytest.mark.parametrize("shown", Shown)
def test_the_command_shows_the_model_what_it_is_told_to(shown: Shown) -> None:
    words = ["model", "evaluate", "phantoms", str(CHECKPOINT), "--count", "1", "--size", "128"]
    done = CliRunner().invoke(taqrir, [*words, "--shown", shown.value, "--format", "json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert f", {shown} of seed" in told["title"]
