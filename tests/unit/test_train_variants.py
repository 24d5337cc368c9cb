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
from model.train.exchange import exchanged
from model.train.samples import IGNORED, Samples
from model.train.toy import GEOMETRY, build_tokenizer
from model.train.variants import variants_of
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
    assert variants_of(data, 0, 1) == []


def test_a_summary_and_its_report_have_findings_left_out_or_on_the_other_side() -> None:
    source = "Findings:\nRight pleural effusion. Bones: left rib fracture."
    answer = "Chest: right pleural effusion, left rib fracture."

    made = variants_of([about(source, answer, name="a", task=Task.SUMMARY_EN)], 40, 1)

    effusion, fracture = "{} pleural effusion", "{} rib fracture"
    sides = ("right", "left")
    wanted = {f"Chest: {finding.format(s)}." for finding in (effusion, fracture) for s in sides}
    wanted |= {
        f"Chest: {effusion.format(one)}, {fracture.format(other)}."
        for one in sides
        for other in sides
    }
    assert {one.turns[0].answer for one in made} == wanted - {answer}
    for one in made:
        said = read_statements(one.turns[0].answer, Language.EN).sides
        assert read_statements(quoted(one).partition("\n")[2], Language.EN).sides == said


def test_what_only_a_summary_names_is_exchanged_with_all_the_rest_or_left_out() -> None:
    summary = about(
        "Right pleural effusion.",
        "Right effusion, left rib fracture.",
        name="a",
        task=Task.SUMMARY_EN,
    )
    made = variants_of([summary], 12, 1)
    assert {one.turns[0].answer for one in made} == {
        "Left effusion, right rib fracture.",
        "Right effusion.",
        "Left effusion.",
    }


def test_what_is_seen_is_told_of_the_mirrored_picture_once() -> None:
    data = [
        look("Left effusion.", name="a", asked="Context: left chest pain.\nWhat is seen?"),
        look("No effusion.", name="b"),
        look("RUL nodule.", name="c"),
    ]
    (made,) = variants_of(data, 4, 1)
    assert made.is_mirrored
    assert made.images == data[0].images
    assert made.turns == (
        Turn(question="Context: right chest pain.\nWhat is seen?", answer="Right effusion."),
    )


@pytest.mark.parametrize(
    ("answer", "sides"),
    [
        ("Left lung: mass. Heart: enlarged. Drain on the right.", "Left right"),
        # Three tokens, of which only the first tells the sides apart.
        ("Heart: enlarged. Right pacemaker. Left mass.", " Right Left"),
        ("الرئة اليمنى: كتلة. القلب: متضخم.", " اليمنى"),
    ],
)
def test_of_a_mirrored_picture_only_the_sides_are_learnt(
    tmp_path: Path, answer: str, sides: str
) -> None:
    pixels = np.zeros((20, 20), dtype=np.uint8)
    pixels[:, :5] = 255
    Image.fromarray(pixels).save(tmp_path / "1.png")
    plain = replace(look(answer), images=(tmp_path / "1.png",))
    tokenizer = build_tokenizer()
    data = Samples(tokenizer, [plain, replace(plain, is_mirrored=True)], GEOMETRY, longest=300)

    both = data.batch([0, 1], 0)

    learnt = both["labels"][1][both["labels"][1] != IGNORED]
    assert tokenizer.decode(learnt) == sides
    assert torch.equal(both["ids"][0], both["ids"][1])
    assert torch.equal(both["pixels"][0].flip(-1), both["pixels"][1])
    assert not torch.equal(both["pixels"][0], both["pixels"][1])


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
