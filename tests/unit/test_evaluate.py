"""Scores against values worked out by hand, and the ways in which a run can be scored wrongly."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from cli.evaluate import evaluate
from core.errors import PermanentError
from core.report import Language
from model.evaluate.findings import Reading, agree, compare, read_report
from model.evaluate.reports import (
    Drafted,
    Reference,
    compare_drafts,
    draft_line,
    read_drafts,
    read_references,
    score_reports,
    truth_of,
)
from model.evaluate.resampling import compare_runs, interval
from model.evaluate.table import Format, comparison_table, scores_table
from model.evaluate.text_scores import bleu, bleu_counts, meteor, rouge_l, split_words
from model.evaluate.vqa import Answered, is_right, score_answers

EN, AR = Language.EN, Language.AR


def corpus_bleu(candidate: str, reference: str, order: int) -> float:
    ours, wanted = split_words(candidate), split_words(reference)
    hits, totals = bleu_counts(ours, wanted)
    return bleu(hits[:order], totals[:order], len(ours), len(wanted))


def test_bleu_is_that_of_the_papers_own_example() -> None:
    # Papineni et al. 2002, example 2: "the" seven times; clipped, 2 of 7.
    assert corpus_bleu("the the the the the the the", "The cat is on the mat", 1) == pytest.approx(
        2 / 7
    )
    # 1-grams 5/6, 2-grams 3/5, 3-grams 1/4, no 4-gram: 0; up to 2 the geometric mean.
    candidate, reference = "the cat sat on the mat", "the cat is on the mat"
    assert corpus_bleu(candidate, reference, 2) == pytest.approx((5 / 6 * 3 / 5) ** 0.5)
    assert corpus_bleu(candidate, reference, 4) == 0
    # Half as long as its reference: the brevity penalty is e to the minus one.
    assert corpus_bleu("a b", "a b c d", 1) == pytest.approx(np.exp(-1))


def test_rouge_l_is_that_of_lins_own_example() -> None:
    # Lin 2004, 3.1: "police killed the gunman" with "police kill the gunman" shares three of four,
    # with "the gunman kill police" two.
    reference = split_words("police killed the gunman")
    assert rouge_l(split_words("police kill the gunman"), reference) == pytest.approx(0.75)
    assert rouge_l(split_words("the gunman kill police"), reference) == pytest.approx(0.5)


def test_meteor_is_that_of_the_formula() -> None:
    words = split_words("no pleural effusion is seen")
    # One chunk of five: the penalty is 0.5 * (1/5)^3.
    assert meteor(words, words) == pytest.approx(1 - 0.5 * 0.2**3)
    # Turned round: five chunks of five, half is lost.
    assert meteor(words[::-1], words) == pytest.approx(0.5)
    # precision 1, recall 1/2: 0.5 / (0.9 + 0.05), one chunk of two.
    two = meteor(split_words("a b"), split_words("a b c d"))
    assert two == pytest.approx(0.5 / 0.95 * (1 - 0.5 * 0.5**3))
    assert meteor((), words) == meteor(words, ()) == 0


def test_arabic_words_are_compared_without_vowel_marks_and_by_one_form_of_each_letter() -> None:
    assert split_words("تُشاهَدُ عُقَيْدَة!") == split_words("تشاهد عقيدة")
    assert rouge_l(split_words("أذينة"), split_words("اذينه")) == 1


def test_findings_sides_and_denials_are_counted() -> None:
    truth = Reading(
        affirmed=frozenset({"nodule", "oedema"}),
        denied=frozenset({"pneumothorax"}),
        sides={"nodule": frozenset({"left"})},
    )
    said = read_report("A nodule on the right. There is a pneumothorax. No oedema.", EN)
    counts = compare(truth, said)
    assert (counts.found, counts.invented, counts.missed) == (1, 1, 1)
    assert (counts.right_sides, counts.sided) == (0, 1)
    assert (counts.same_polarity, counts.spoken_of) == (1, 3)


def test_languages_agree_where_findings_and_sides_do() -> None:
    english = read_report("A left pleural effusion. No pneumothorax.", EN)
    assert agree(english, read_report("انصباب جنبي أيسر.", AR))
    assert not agree(english, read_report("انصباب جنبي أيمن.", AR))
    assert not agree(english, read_report("لا يوجد انصباب جنبي أيسر.", AR))


def reference(number: int, side: str = "left") -> Reference:
    text = f"FINDINGS: There is a nodule in the {side} lung."
    arabic = {"left": "اليسرى", "right": "اليمنى"}[side]
    return Reference(
        id=str(number),
        reports={EN: text, AR: f"توجد عقيدة في الرئة {arabic}."},
        truth=truth_of([{"kind": "nodule", "side": side}]),
    )


def drafted(base: Reference, **changes: Any) -> Drafted:
    return Drafted(**{"id": base.id, "reports": base.reports, **changes})


def test_a_perfect_run_scores_one_and_a_withheld_draft_has_no_finding_and_no_side() -> None:
    references = [reference(n) for n in range(4)]
    perfect = score_reports(references, [drafted(ref) for ref in references])
    for language in Language:
        scores = perfect.by_language[language]
        assert {name: score.value for name, score in scores.items() if name != "meteor"} == {
            name: pytest.approx(1) for name in scores if name != "meteor"
        }
    assert perfect.agreement is not None
    assert perfect.agreement.value == 1

    one_withheld = [drafted(references[0], is_withheld=True), *map(drafted, references[1:])]
    scores = score_reports(references, one_withheld).by_language[EN]
    assert scores["coverage"].value == 0.75
    assert scores["finding_recall"].value == 0.75
    assert scores["finding_precision"].value == 1
    assert scores["side"].value == 0.75
    assert scores["finding_f1"].low < scores["finding_f1"].value <= scores["finding_f1"].high


def test_a_finding_that_is_not_there_costs_precision_and_another_side_costs_the_side() -> None:
    references = [reference(1), reference(2)]
    drafts = [
        drafted(references[0], reports={EN: "A nodule in the right lung.", AR: ""}),
        drafted(references[1], reports={EN: "A left nodule. There is oedema.", AR: ""}),
    ]
    scores = score_reports(references, drafts).by_language
    assert scores[EN]["finding_precision"].value == pytest.approx(2 / 3)
    assert scores[EN]["finding_recall"].value == 1
    assert scores[EN]["side"].value == 0.5
    assert scores[AR]["finding_recall"].value == 0


def test_truth_is_read_from_the_reference_where_no_other_is_known() -> None:
    plain = Reference(id="1", reports={EN: "No nodule. A left effusion."})
    scores = score_reports([plain], [Drafted(id="1", reports={EN: "A left pleural effusion."})])
    assert scores.by_language[EN]["finding_f1"].value == 1
    assert scores.agreement is None
    assert AR not in scores.by_language


def test_runs_over_other_reports_and_empty_ones_are_refused() -> None:
    with pytest.raises(PermanentError, match="not of the same: 2"):
        score_reports([reference(1)], [drafted(reference(1)), drafted(reference(2))])
    with pytest.raises(PermanentError, match="nothing"):
        score_reports([], [])


def test_an_interval_narrows_with_the_number_of_reports_and_covers_the_score() -> None:
    rng = np.random.default_rng(3)

    def mean(total: Any) -> float:
        return float(total[0] / total[1])

    widths = []
    for count in (50, 800):
        rows = np.stack([rng.random(count) < 0.8, np.ones(count)], axis=1).astype(float)
        found = interval(rows, mean, rounds=300)
        assert found.low < found.value < found.high
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 2.5
    assert interval(rows, mean, rounds=50) == interval(rows, mean, rounds=50)


def test_a_paired_test_tells_a_better_run_from_a_like_one() -> None:
    rng = np.random.default_rng(5)

    def mean(total: Any) -> float:
        return float(total[0] / total[1])

    base = (rng.random(300) < 0.6).astype(float)
    better = np.maximum(base, rng.random(300) < 0.3)
    first, second = (np.stack([row, np.ones(300)], axis=1) for row in (base, better))
    improved = compare_runs(first, second, mean, rounds=300)
    assert improved.low > 0
    assert improved.p < 0.01
    same = compare_runs(first, first, mean, rounds=100)
    assert (same.value, same.p) == (0, 1)
    with pytest.raises(ValueError, match="same reports"):
        compare_runs(first, second[:5], mean)


def test_tables_come_as_text_as_json_and_as_a_page() -> None:
    references = [reference(n) for n in range(3)]
    drafts = [drafted(ref) for ref in references]
    table = scores_table("<run>", score_reports(references, drafts))
    assert "finding F1" in table.render(Format.TEXT)
    told = json.loads(table.render(Format.JSON))
    assert told["by_language"]["en"]["finding_f1"]["value"] == 1
    page = table.render(Format.HTML)
    assert "&lt;run&gt;" in page
    assert "<run>" not in page
    differences = comparison_table("a", compare_drafts(references, drafts, drafts))
    assert "p = 1.000" in differences.render(Format.TEXT)


def test_each_finding_stands_by_itself_and_a_withheld_one_is_missed_with_its_side() -> None:
    references = [reference(1), reference(2), reference(3)]
    oedema = "A nodule in the right lung. There is oedema."
    drafts = [
        drafted(references[0]),
        drafted(references[1], reports={EN: oedema, AR: ""}),
        drafted(references[2], is_withheld=True, reasons=("REPETITION", "LANGUAGE")),
    ]
    scores = score_reports(references, drafts)
    nodule, invented = (scores.findings[EN][name] for name in ("nodule", "oedema"))
    assert (nodule.found, nodule.missed, nodule.invented) == (2, 1, 0)
    assert (nodule.right_sides, nodule.sided) == (1, 3)
    assert (invented.found, invented.invented) == (0, 1)
    assert scores.withheld == {"REPETITION": 1, "LANGUAGE": 1}
    # They add up to the micro scores of the table above.
    assert scores.by_language[EN]["side"].value == pytest.approx(1 / 3)
    assert scores.by_language[EN]["finding_f1"].value == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))

    table = scores_table("run", scores)
    text, page = table.render(Format.TEXT), table.render(Format.HTML)
    assert re.search(r"^nodule +2 +1 +0 +0\.800 +1 of 3$", text, re.MULTILINE)
    assert re.search(r"^REPETITION +1$", text, re.MULTILINE)
    assert "<h2>Findings, Arabic</h2>" in page
    assert "<td>REPETITION</td><td>1</td>" in page
    told = json.loads(table.render(Format.JSON))
    assert told["findings"]["en"]["oedema"]["invented"] == 1
    assert told["withheld"]["LANGUAGE"] == 1


def test_reports_are_scored_and_compared_from_files(tmp_path: Path) -> None:
    truth, good, bad = (tmp_path / name for name in ("truth.jsonl", "good.jsonl", "bad.jsonl"))
    records = [
        {
            "file": f"{n}.dcm",
            "report": {"en": "There is a left nodule.", "ar": "توجد عقيدة في الرئة اليسرى."},
            "findings": [{"kind": "nodule", "side": "left"}],
        }
        for n in range(4)
    ]
    truth.write_text("\n".join(json.dumps(record) for record in records))
    references = read_references(truth)
    drafts = [drafted(ref) for ref in references]
    good.write_text("\n".join(map(draft_line, drafts)), encoding="utf-8")
    withheld = (drafted(ref, is_withheld=True, reasons=("REPETITION",)) for ref in references)
    bad.write_text("\n".join(map(draft_line, withheld)), encoding="utf-8")
    assert read_drafts(good) == drafts

    shown = CliRunner().invoke(evaluate, ["reports", str(truth), str(good), "--format", "json"])
    assert json.loads(shown.output)["by_language"]["ar"]["side"]["value"] == 1
    compared = CliRunner().invoke(
        evaluate, ["reports", str(truth), str(good), "--against", str(bad)]
    )
    assert "+1.000" in compared.output

    truth.write_text('{"report": {}}')
    with pytest.raises(PermanentError, match="record 1 is no reference"):
        read_references(truth)
    # Letters that end a line elsewhere, and not within JSON.
    good.write_text(draft_line(drafted(references[0], reports={EN: "a\u2028b\x85c", AR: ""})))
    assert read_drafts(good)[0].reports[EN] == "a\u2028b\x85c"
    good.write_text("{}\nbroken")
    with pytest.raises(PermanentError, match=r"good\.jsonl:2: this is no JSON"):
        read_drafts(good)


def test_closed_questions_are_right_or_wrong() -> None:
    def right(wanted: str, answer: str) -> bool:
        return is_right(split_words(wanted), split_words(answer))

    assert right("yes", "Yes, there is.")
    assert not right("yes", "No, there is no yes.")
    assert not right("no", "The lungs are clear.")
    assert right("نعم", "نعم، يوجد.")
    assert right("left lung", "It is in the left lung.")
    assert not right("left lung", "It is in the right lung.")


def test_questions_are_scored_apart_as_closed_and_open() -> None:
    rows = [
        Answered(reference="yes", answer="yes", is_closed=True),
        Answered(reference="no", answer="yes", is_closed=True),
        Answered(reference="left upper lobe", answer="left lobe", is_closed=False),
    ]
    scores = {name: score.value for name, score in score_answers(rows)}
    assert scores["closed accuracy"] == 0.5
    assert scores["open recall"] == pytest.approx(2 / 3)
    assert scores["token F1"] == pytest.approx((1 + 0 + 0.8) / 3)
    assert scores["BLEU-1"] == pytest.approx(3 / 4 * np.exp(1 - 5 / 4))
    with pytest.raises(PermanentError, match="no question"):
        score_answers([])
