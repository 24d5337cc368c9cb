"""The lexicon is whole: both languages, no term twice, none in two findings."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import yaml

from core.report import Language
from model.levels import read_levels
from model.terms import LEXICON, Kind, lexicon
from model.words import words

EN, AR = Language.EN, Language.AR
TABLES = {"sides", "negation", "joints", "modifiers", "qualities", "findings", "level_words"} | {
    "uncertainty", "comparison", "sexes", "age_words", "claims", "neutral",
}  # fmt: skip
# What only one language has a word for.
ONE_LANGUAGE_ONLY = {"inside", "after", "lasting"}


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(LEXICON.read_text(encoding="utf-8"))
    return loaded


def entries_of(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return every entry by its path."""
    tables = {name: content[name] for name in TABLES}
    tables |= {f"places.{name}": group for name, group in content["places"].items()}
    tables |= {
        f"numbers.{n}": content["numbers"][n] for n in ("units", "words", "ordinals", "ones")
    }
    tables |= {name: content[name] for name in ("levels", "ages", "regions")}
    tables["single"] = {name: content[name] for name in ("titles", "unfinished")}
    return {f"{t}.{name}": entry for t, table in tables.items() for name, entry in table.items()}


def test_every_entry_has_words_in_both_languages(content: dict[str, Any]) -> None:
    for path, entry in entries_of(content).items():
        for language in ("en", "ar"):
            assert all(isinstance(text, str) and text.strip() for text in entry[language]), path
            assert entry[language] or path.rpartition(".")[2] in ONE_LANGUAGE_ONLY, path
    assert all(row.keys() == {"ar"} for row in content["numbers"]["pairs"].values())


def test_no_entry_lists_a_term_twice(content: dict[str, Any]) -> None:
    for path, entry in entries_of(content).items():
        for language in ("en", "ar"):
            twice = [text for text, count in Counter(entry[language]).items() if count > 1]
            assert not twice, path


@pytest.mark.parametrize("language", [EN, AR])
@pytest.mark.parametrize("kind", [Kind.FINDING, Kind.PLACE, Kind.SPINE, Kind.CLAIM, Kind.UNIT])
def test_no_term_belongs_to_two_entries_of_a_kind(language: Language, kind: Kind) -> None:
    names: dict[Any, set[str]] = {}
    for terms in lexicon(language).by_first.values():
        for term in terms:
            if term.kind is kind:
                names.setdefault(term.phrase, set()).add(term.name)

    assert names
    assert [owners for owners in names.values() if len(owners) > 1] == []


def test_the_lexicon_has_at_least_150_findings(content: dict[str, Any]) -> None:
    assert len(content["findings"]) >= 150


def test_every_grave_finding_is_one(content: dict[str, Any]) -> None:
    assert set(content["grave"]) <= content["findings"].keys()


def test_every_region_near_another_is_one(content: dict[str, Any]) -> None:
    regions = content["regions"]
    assert all(near in regions for entry in regions.values() for near in entry["near"])


@pytest.mark.parametrize(
    ("text", "language", "levels"),
    [
        ("L4-L5 and L5/S1 discs", EN, "L4 L5 L5 S1"),
        ("L4/5 disc, L3-5", EN, "L4 L5 L3 L4 L5"),
        ("the fourth and fifth lumbar vertebrae", EN, "L4 L5"),
        ("second to fourth cervical vertebrae", EN, "C2 C3 C4"),
        ("12th thoracic vertebra", EN, "T12"),
        ("lumbar vertebrae 3 to 5", EN, "L3 L4 L5"),
        ("D12 and T12", EN, "T12 T12"),
        ("L4 5 mm anterolisthesis", EN, "L4"),
        # No levels at all.
        ("T1 signal and T2-weighted images", EN, ""),
        ("T2N0M0", EN, ""),
        ("five lumbar vertebrae", EN, ""),
        ("the patient's 12 nodules", EN, ""),
        ("lumbar spine, 2 views", EN, ""),
        ("الفقرة القطنية الرابعة", AR, "L4"),
        ("الفقرة الرابعة القطنية", AR, "L4"),
        ("الفقرتين القطنيتين الرابعة والخامسة", AR, "L4 L5"),
        ("بين الخامسة القطنية والأولى العجزية", AR, "L5 S1"),
        ("الفقرة الصدرية الثانية عشرة", AR, "T12"),
        ("الفقرات القطنية من الثالثة إلى الخامسة", AR, "L3 L4 L5"),
        ("في L2 وL3", AR, "L2 L3"),
        ("الفقرة القطنية ٤", AR, "L4"),
        ("الفقرة ق4", AR, "L4"),
        ("خمس فقرات قطنية", AR, ""),
        ("إشارة T1 طبيعية", AR, ""),
    ],
)
def test_levels_are_read_in_every_form(text: str, language: Language, levels: str) -> None:
    assert " ".join(map(str, read_levels(words(text, language), language))) == levels
