"""Variants of training data: sides exchanged, sentences moved, pictures a little otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.drafting import DraftContext
from core.report import Language, SectionKind
from model.agreement import compare_languages
from model.prompts import Task, question
from model.statements import read_statements
from model.train.conversations import Conversation, Turn
from model.train.samples import Samples
from model.train.toy import GEOMETRY, build_tokenizer
from model.train.variants import exchanged, variants_of
from model.train.varied import varied

CONTEXT = DraftContext(modality="DX")
ENGLISH = (
    "Findings:\nLeft pleural effusion, small. Heart: enlarged. Bones: no fracture.\n\n"
    "Impression:\nLeft pleural effusion. Cardiomegaly."
)
ARABIC = (
    "نتائج:\nانصباب جنبي أيسر، صغير. القلب: متضخم. العظام: لا كسر.\n\n"
    "انطباع:\nانصباب جنبي أيسر. تضخم القلب."
)
OTHER_ENGLISH = (
    "Findings:\nRight lung: mass, upper zone. Heart: not enlarged.\n\n"
    "Impression:\nMass, right upper zone."
)
OTHER_ARABIC = (
    "نتائج:\nالرئة اليمنى: كتلة، المنطقة العليا. القلب: غير متضخم.\n\n"
    "انطباع:\nكتلة، المنطقة العليا من الرئة اليمنى."
)


def look(answer: str, *, name: str = "1", asked: str = "What is seen?") -> Conversation:
    return Conversation(
        id=name, images=(Path(f"{name}.png"),), turns=(Turn(question=asked, answer=answer),)
    )


def about(source: str, answer: str, *, name: str, task: Task = Task.REPORT_AR) -> Conversation:
    return look(answer, name=name, asked=question(task, CONTEXT, source))


def quoted(one: Conversation) -> str:
    return one.turns[0].question.partition("\n\n")[2]


def pieces(text: str) -> list[tuple[str, list[str]]]:
    parts = [part.partition("\n") for part in text.split("\n\n")]
    return [(heading, body.removesuffix(".").split(". ")) for heading, _, body in parts]


TRANSLATIONS = (
    about(ENGLISH, ARABIC, name="a"),
    about(OTHER_ENGLISH, OTHER_ARABIC, name="b"),
)


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


def test_sentences_of_a_translation_move_with_their_counterparts() -> None:
    known = {
        (source, target)
        for english, arabic in ((ENGLISH, ARABIC), (OTHER_ENGLISH, OTHER_ARABIC))
        for text, other in (
            (english, arabic),
            (exchanged(english) or "", exchanged(arabic) or ""),
        )
        for (_, ours), (_, theirs) in zip(pieces(text), pieces(other), strict=True)
        for source, target in zip(ours, theirs, strict=True)
    }
    made = variants_of(TRANSLATIONS, 12, 3)
    assert len(made) > 12
    for one in made:
        source, answer = pieces(quoted(one)), pieces(one.turns[0].answer)
        assert [heading for heading, _ in source] == ["Findings:", "Impression:"]
        assert [heading for heading, _ in answer] == ["نتائج:", "انطباع:"]
        for (_, ours), (_, theirs) in zip(source, answer, strict=True):
            assert set(zip(ours, theirs, strict=True)) <= known
    assert any("mass" in quoted(one) and "effusion" in quoted(one) for one in made)


def test_the_languages_of_a_variant_agree() -> None:
    for one in variants_of(TRANSLATIONS, 12, 5):
        english, arabic = (
            {
                kind: read_statements(text.partition("\n")[2], language)
                for kind, text in zip(
                    (SectionKind.FINDINGS, SectionKind.IMPRESSION),
                    whole.split("\n\n"),
                    strict=True,
                )
            }
            for whole, language in (
                (quoted(one), Language.EN),
                (one.turns[0].answer, Language.AR),
            )
        )
        assert not list(compare_languages(english, arabic))


def test_a_summary_and_a_free_translation_only_have_their_sides_exchanged() -> None:
    joined = ARABIC.replace(". القلب", " والقلب")
    free = about(ENGLISH, joined, name="a")
    summary = about(ENGLISH, "Chest: left effusion.", name="b", task=Task.SUMMARY_EN)

    made = variants_of((free, summary), 4, 1)

    assert [one.turns[0].answer for one in made] == [exchanged(joined), "Chest: right effusion."]
    assert {quoted(one) for one in made} == {exchanged(ENGLISH)}


def test_the_seed_settles_the_variants_and_every_one_has_a_name_of_its_own() -> None:
    data = (*TRANSLATIONS, look("Left effusion.", name="c"))
    made = variants_of(data, 6, 1)
    assert made == variants_of(data, 6, 1)
    assert made != variants_of(data, 6, 2)
    names = [one.id for one in (*data, *made)]
    assert len(set(names)) == len(names)
    assert not [one for one in made if one.id.startswith("c")]
    assert variants_of(data, 0, 1) == []


def test_several_questions_have_no_variants() -> None:
    one = look("Left effusion.")
    assert variants_of([replace(one, turns=one.turns * 2)], 4, 1) == []


def test_a_picture_is_moved_and_lit_a_little_and_the_seed_settles_how() -> None:
    pictures = torch.zeros(2, 3, 80, 80)
    pictures[:, :, 40, 40] = 50
    made = varied(pictures, np.random.default_rng(1))
    assert made.shape == pictures.shape
    assert torch.equal(made, varied(pictures, np.random.default_rng(1)))
    assert not torch.equal(made, varied(pictures, np.random.default_rng(2)))
    assert not torch.equal(made[0], made[1])
    for picture in made:
        row, column = divmod(int(picture[0].argmax()), 80)
        assert abs(row - 40) <= 2
        assert abs(column - 40) <= 2
        assert 40 < picture.max() < 60
        assert picture[0].median().abs() < 0.5


def test_samples_show_a_picture_otherwise_each_time_where_that_is_asked_for(tmp_path: Path) -> None:
    pixels = np.zeros((20, 20), dtype=np.uint8)
    pixels[:, :5] = 255
    Image.fromarray(pixels).save(tmp_path / "1.png")
    one = replace(look("Right mass."), images=(tmp_path / "1.png",))
    tokenizer = build_tokenizer()

    still, moving = (
        Samples(tokenizer, [one], GEOMETRY, longest=300, are_varied=are_varied)
        for are_varied in (False, True)
    )

    assert torch.equal(still.batch([0], 0)["pixels"], still.batch([0], 1)["pixels"])
    assert torch.equal(moving.batch([0], 0)["pixels"], moving.batch([0], 0)["pixels"])
    assert not torch.equal(moving.batch([0], 0)["pixels"], moving.batch([0], 1)["pixels"])
