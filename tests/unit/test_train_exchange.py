"""Right and left exchanged in texts of training, of all findings or of some."""

from __future__ import annotations

import pytest

from model.train.exchange import exchanged, exchanged_for, sided_findings

EFFUSION, FRACTURE, NODULE = "pleural_effusion", "fracture", "nodule"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Right lung. LEFT hip; left", "Left lung. RIGHT hip; right"),
        ("Shift to the right, leftward.", "Shift to the left, rightward."),
        ("انصباب أيمن في الرئة اليسرى", "انصباب أيسر في الرئة اليمنى"),
        ("إلى اليمين وباليسار وللأيمن", "إلى اليسار وباليمين وللأيسر"),
        ("right chest pain; ألم في الركبة اليمنى", "left chest pain; ألم في الركبة اليسرى"),
        ("The mass is left-sided.", "The mass is right-sided."),
        ("Bilateral effusions, bright T2.", "Bilateral effusions, bright T2."),
        ("No acute abnormality.", "No acute abnormality."),
    ],
)
def test_right_and_left_are_exchanged_and_nothing_else(text: str, wanted: str) -> None:
    assert exchanged(text) == wanted
    assert exchanged(wanted) == text


@pytest.mark.parametrize(
    "text",
    [
        *("RUL nodule.", "Mass in the lingula.", "Rt. effusion.", "عقيدة في اللسينة."),
        "The drain was left in the right pleura.",
    ],
)
def test_a_side_in_other_words_and_a_verb_are_left_alone(text: str) -> None:
    assert exchanged(text) is None


@pytest.mark.parametrize(
    ("text", "finding", "wanted"),
    [
        (
            "Right pleural effusion. Bones: left rib fracture.",
            EFFUSION,
            "Left pleural effusion. Bones: left rib fracture.",
        ),
        (
            "Chest: right pleural effusion, nodule, left upper zone.",
            NODULE,
            "Chest: right pleural effusion, nodule, right upper zone.",
        ),
        (
            "الصدر: انصباب جنبي أيمن، كسر ضلعي أيسر.",
            FRACTURE,
            "الصدر: انصباب جنبي أيمن، كسر ضلعي أيمن.",
        ),
        ("Left pleural effusion.\nNo nodule.", NODULE, "Left pleural effusion.\nNo nodule."),
        (
            "Bilateral pleural effusions. Left rib fracture.",
            FRACTURE,
            "Bilateral pleural effusions. Right rib fracture.",
        ),
    ],
)
def test_the_sides_of_one_finding_are_exchanged(text: str, finding: str, wanted: str) -> None:
    assert exchanged_for(text, {finding}) == wanted
    assert exchanged_for(wanted, {finding}) == text


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("Right pleural effusion and rib fracture.", EFFUSION),
        ("RUL nodule, right pleural effusion.", NODULE),
        ("The drain was left in the right pleural effusion. Left rib fracture.", EFFUSION),
    ],
)
def test_a_text_of_which_it_is_unsure_is_left_alone(text: str, finding: str) -> None:
    assert exchanged_for(text, {finding}) is None


def test_the_findings_that_a_text_puts_on_a_side_are_named() -> None:
    text = "Right pleural effusion. No left pneumothorax. Heart: enlarged. Left rib fracture."
    assert sided_findings(text) == [FRACTURE, EFFUSION]
    assert sided_findings("لا يوجد انصباب جنبي أيمن. عقيدة في الرئة اليسرى.") == [NODULE]
