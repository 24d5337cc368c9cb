"""Final reports as questions and answers, in the form that training reads and the engine asks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.drafting import DraftContext
from core.report import ArabicSource, Language, Section, SectionKind
from model.parsing import parse_report
from model.prompts import Task, question
from model.train.conversations import Conversation, read_conversations
from model.train.pairs import FinalText, final_text, pairs_of

EN, AR = Language.EN, Language.AR
CONTEXT = DraftContext(modality="CT", indication="cough <image> since May")
ENGLISH = FinalText(report="FINDINGS:\nClear.", summary="Normal.")
ARABIC = FinalText(report="النتائج:\nطبيعي.")
K = SectionKind


def read(
    folder: Path,
    finals: dict[Language, FinalText],
    arabic: ArabicSource = ArabicSource.TRANSLATE,
    images: int = 1,
) -> dict[str, Conversation]:
    names = [f"{n}.png" for n in range(images)]
    for name in names:
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(folder / name)
    file = folder / "pairs.jsonl"
    pairs = pairs_of("r", names, CONTEXT, finals, arabic=arabic)
    file.write_text("".join(json.dumps(pair) + "\n" for pair in pairs), encoding="utf-8")
    return {record.id: record for record in read_conversations(file)}


def test_questions_are_those_of_the_engine_less_what_looks_like_a_picture(tmp_path: Path) -> None:
    records = read(tmp_path, {EN: ENGLISH, AR: ARABIC}, images=3)
    assert list(records) == ["r-report_en", "r-report_ar", "r-summary_en"]
    plain = DraftContext(modality="CT", indication="cough  since May")
    wanted = question(Task.SUMMARY_EN, plain, ENGLISH.report).replace("cough s", "cough  s")
    assert records["r-summary_en"].turns[0].question == wanted
    assert [path.name for path in records["r-report_en"].images] == ["0.png", "1.png", "2.png"]


@pytest.mark.parametrize(
    ("finals", "arabic", "is_translated"),
    [
        ({EN: ENGLISH, AR: ARABIC}, ArabicSource.TRANSLATE, True),
        ({EN: ENGLISH, AR: ARABIC}, ArabicSource.FROM_IMAGE, False),
        ({AR: ARABIC}, ArabicSource.TRANSLATE, False),
    ],
)
def test_arabic_is_asked_for_as_the_site_makes_it(
    tmp_path: Path, finals: dict[Language, FinalText], arabic: ArabicSource, *, is_translated: bool
) -> None:
    asked = read(tmp_path, finals, arabic)["r-report_ar"].turns[0].question
    assert (ENGLISH.report in asked) is is_translated
    assert ("Translate" in asked) is is_translated


@pytest.mark.parametrize("language", [EN, AR])
def test_a_final_text_reads_back_as_the_sections_that_were_signed(language: Language) -> None:
    sections = tuple(
        Section(kind=kind, text=f"{kind} one.\n{kind} two.")
        for kind in (K.FINDINGS, K.IMPRESSION, K.RECOMMENDATIONS)
    )
    more = (
        Section(kind=K.HISTORY, text="Cough."),
        Section(kind=K.SUMMARY, text="All <image> well."),
    )
    text = final_text((*more, *sections), language)
    assert parse_report(text.report, language).sections == sections
    assert text.summary == "All  well."


def test_a_recommendation_alone_is_no_report() -> None:
    only = (Section(kind=K.RECOMMENDATIONS, text="Follow up."), Section(kind=K.FINDINGS, text=" "))
    assert final_text(only, EN).report == ""
