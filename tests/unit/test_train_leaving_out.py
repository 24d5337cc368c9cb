"""A finding left out of texts of training."""

from __future__ import annotations

import pytest

from model.train.leaving_out import affirmed_findings, left_out

EFFUSION, FRACTURE, NODULE, TUBE = "pleural_effusion", "fracture", "nodule", "endotracheal_tube"
LIST = "Chest: nodule, left lower zone; right pleural effusion; left rib fracture."


@pytest.mark.parametrize(
    ("text", "finding", "wanted"),
    [
        (LIST, NODULE, "Chest: right pleural effusion; left rib fracture."),
        (LIST, EFFUSION, "Chest: nodule, left lower zone; left rib fracture."),
        (LIST, FRACTURE, "Chest: nodule, left lower zone; right pleural effusion."),
        ("Right effusion, nodule, left upper zone.", NODULE, "Right effusion."),
        (
            "الصدر: أنبوب رغامي؛ انصباب جنبي أيسر؛ كسر ضلعي أيمن.",
            TUBE,
            "الصدر: انصباب جنبي أيسر؛ كسر ضلعي أيمن.",
        ),
        (
            "Findings:\nRight effusion, small. Heart: enlarged.\n\nImpression:\nCardiomegaly.",
            EFFUSION,
            "Findings:\nHeart: enlarged.\n\nImpression:\nCardiomegaly.",
        ),
        ("No effusion, no nodule. Rib fracture.", FRACTURE, "No effusion, no nodule."),
        ("Cardiomegaly.", NODULE, "Cardiomegaly."),
    ],
)
def test_a_finding_is_left_out_with_all_that_names_it(text: str, finding: str, wanted: str) -> None:
    assert left_out(text, finding) == wanted


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("Right pleural effusion and left rib fracture.", FRACTURE),
        ("Findings:\nNodule. Heart: enlarged.\n\nImpression:\nNodule.", NODULE),
        ("Right pleural effusion.", EFFUSION),
    ],
)
def test_a_finding_that_cannot_go_alone_stays(text: str, finding: str) -> None:
    assert left_out(text, finding) is None


def test_the_findings_that_a_text_affirms_are_named() -> None:
    assert affirmed_findings("Left rib fracture. No effusion. Nodule.") == [FRACTURE, NODULE]
    assert affirmed_findings("لا انصباب جنبي. عقيدة في الرئة اليسرى.") == [NODULE]
