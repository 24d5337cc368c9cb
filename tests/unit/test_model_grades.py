"""Grades, types and classes are read with their letters; no other letter or figure is one."""

from __future__ import annotations

import pytest

from core.report import Language
from model.numbers import read_quantities
from model.words import words

EN, AR = Language.EN, Language.AR


def numbers(text: str, language: Language) -> list[str]:
    return [str(quantity) for quantity in read_quantities(words(text, language), language)]


@pytest.mark.parametrize(
    ("english", "arabic", "told"),
    [
        ("Stanford type A dissection", "تسلخ من نوع ستانفورد A", ["A"]),
        ("Stanford type B dissection", "تسلخ من النمط ب حسب ستانفورد", ["B"]),
        ("Weber C fracture", "كسر ويبر ج", ["C"]),
        ("Bosniak IV cyst", "كيسة بوسنياك 4", ["4"]),
        ("Bosniak category IIF cyst", "كيسة بوسنياك IIF", ["2F"]),
        ("stage IIIA", "المرحلة الثالثة أ", ["3A"]),
        ("stage IB", "المرحلة IB", ["1B"]),
        ("BI-RADS category 4a", "الفئة 4أ", ["4A"]),
        ("grade: II to III", "الدرجة: II - III", ["2", "3"]),
        ("type A2", "النوع A2", ["A", "2"]),
    ],
)
def test_a_grade_is_the_same_in_both_languages(english: str, arabic: str, told: list[str]) -> None:
    assert numbers(english, EN) == told
    assert numbers(arabic, AR) == told


@pytest.mark.parametrize(
    ("text", "language", "told"),
    [
        ("IV contrast", EN, []),
        ("of this type a fracture", EN, []),
        ("grade 3 a small effusion", EN, ["3"]),
        ("segment C5", EN, ["5"]),
        ("grade 2 C5 anterolisthesis", EN, ["2", "5"]),
        ("vitamin A", EN, []),
        ("من هذا النوع و كيسة", AR, []),
    ],
)
def test_a_word_or_a_vertebra_is_no_grade(text: str, language: Language, told: list[str]) -> None:
    assert numbers(text, language) == told


@pytest.mark.parametrize(
    ("text", "language", "told"),
    [
        ("45 cm3", EN, ["45 millilitre"]),
        ("45 سم³", AR, ["45 millilitre"]),
        ("30 سي سي", AR, ["30 millilitre"]),
        ("1.2 سم²", AR, ["1.2 cm2"]),
        ("٪50", AR, ["50 percent"]),
        ("بين 30٪ و٪50", AR, ["30 percent", "50 percent"]),
        ("30٪ 50", AR, ["30 percent", "50"]),
        ("٪50 stenosis", EN, ["50"]),
        ("3 x 2 cm", EN, ["30 mm", "20 mm"]),
    ],
)
def test_a_unit_is_read_in_every_spelling(text: str, language: Language, told: list[str]) -> None:
    assert numbers(text, language) == told


def test_a_third_of_a_bone_is_no_number() -> None:
    assert numbers("distal third of the third rib", EN) == ["3"]
    assert numbers("two thirds of the hemithorax", EN) == []
