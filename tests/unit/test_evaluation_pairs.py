"""English pairs go out for metrics that are not ours, and only their own scores come back in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from harness.bench import write_lines

from cli.evaluate import evaluate
from core.errors import PermanentError
from core.report import Language
from model.evaluate.pairs import pairs_of, read_scores
from model.evaluate.reports import Drafted, Reference, draft_line

EN, AR = Language.EN, Language.AR


def reference(name: str) -> Reference:
    return Reference(id=name, reports={EN: f"A nodule, {name}.", AR: "توجد عقيدة."})


def drafted(name: str, **changes: Any) -> Drafted:
    return Drafted(**{"id": name, "reports": {EN: "A nodule.", AR: "عقيدة."}, **changes})


REFERENCES = [reference(name) for name in "abcd"]
DRAFTS = [
    drafted("a"),
    drafted("b", is_withheld=True),
    drafted("c", reports={AR: "عقيدة."}),
    drafted("d"),
]


def scores_of(pairs: list[dict[str, str]], *numbers: Any) -> list[dict[str, Any]]:
    return [
        {"id": pair["id"], "pair": pair["pair"], "radgraph_simple": number}
        for pair, number in zip(pairs, numbers, strict=True)
    ]


def test_no_arabic_and_no_withheld_draft_is_handed_to_them() -> None:
    pairs = pairs_of(REFERENCES, DRAFTS)
    assert [(pair["id"], pair["reference"], pair["draft"]) for pair in pairs] == [
        ("a", "A nodule, a.", "A nodule."),
        ("d", "A nodule, d.", "A nodule."),
    ]
    assert json.dumps(pairs, ensure_ascii=False).isascii()
    with pytest.raises(PermanentError, match="not of the same: d"):
        pairs_of(REFERENCES[:3], DRAFTS)


@pytest.mark.parametrize("what", ["reference", "draft"])
def test_arabic_that_stands_where_english_should_is_named(what: str) -> None:
    mislaid = {EN: "توجد عقيدة في الرئة.", AR: "توجد عقيدة."}
    references = [Reference(id="a", reports=mislaid)] if what == "reference" else REFERENCES[:1]
    drafts = [drafted("a", reports=mislaid)] if what == "draft" else DRAFTS[:1]
    with pytest.raises(PermanentError, match=f"the {what} a is not English"):
        pairs_of(references, drafts)


def test_their_scores_stand_beside_ours_in_the_english_column_alone(tmp_path: Path) -> None:
    lines = [{"id": ref.id, "report": ref.reports} for ref in REFERENCES]
    references = write_lines(tmp_path / "references.jsonl", lines)
    drafts = tmp_path / "drafts.jsonl"
    drafts.write_text("\n".join(map(draft_line, DRAFTS)), encoding="utf-8")
    command = ["reports", str(references), str(drafts)]
    pairs, scores = tmp_path / "pairs.jsonl", tmp_path / "scores.jsonl"

    told = CliRunner().invoke(evaluate, [*command, "--pairs", str(pairs)], catch_exceptions=False)
    assert "2 English pairs of 4 drafts" in told.output
    written = [json.loads(line) for line in pairs.read_text(encoding="utf-8").splitlines()]
    write_lines(scores, scores_of(written, 0.5, 1))
    command += ["--scores", str(scores)]
    shown = CliRunner().invoke(evaluate, command, catch_exceptions=False).output
    (row,) = (line for line in shown.splitlines() if line.startswith("radgraph_simple"))
    assert row.endswith(" 0.750 (0.500 to 1.000)")
    assert row.count("(0.500") == 1
    told = CliRunner().invoke(evaluate, [*command, "--format", "json"], catch_exceptions=False)
    assert json.loads(told.output)["others"]["radgraph_simple"]["value"] == 0.75
    both = CliRunner().invoke(evaluate, [*command, "--pairs", str(pairs)])
    assert both.exit_code == 2


def test_scores_of_other_texts_are_refused(tmp_path: Path) -> None:
    scores = tmp_path / "scores.jsonl"
    write_lines(scores, scores_of(pairs_of(REFERENCES, DRAFTS), 0.5, 1))
    changed = [*DRAFTS[:3], drafted("d", reports={EN: "No nodule.", AR: ""})]
    with pytest.raises(PermanentError, match=r"not the scores of just these pairs \(d\)"):
        read_scores(scores, pairs_of(REFERENCES, changed))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[:1], r"just these pairs \(d\)"),
        (lambda rows: [*rows, rows[0]], "one of them twice"),
        (lambda rows: [rows[0], {**rows[1], "radgraph_simple": float("nan")}], "record 2 has no"),
        (lambda rows: [rows[0], {**rows[1], "radgraph_simple": "1"}], "record 2 has no number for"),
        (lambda rows: [rows[0], {k: v for k, v in rows[1].items() if k[0] != "r"}], "record 2"),
    ],
)
def test_what_is_wrong_with_a_file_of_scores_is_named(
    tmp_path: Path, change: Any, words: str
) -> None:
    pairs = pairs_of(REFERENCES, DRAFTS)
    scores = write_lines(tmp_path / "scores.jsonl", change(scores_of(pairs, 0.5, 1)))
    with pytest.raises(PermanentError, match=words):
        read_scores(scores, pairs)


def test_where_every_draft_was_withheld_there_is_nothing_to_compare(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="nothing to compare"):
        read_scores(write_lines(tmp_path / "scores.jsonl", []), [])
