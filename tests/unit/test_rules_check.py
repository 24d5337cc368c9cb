"""Rules that cannot be meant stop the start, with the rule's name and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.errors import SettingsError
from core.settings_file import load
from core.settings_node import RuleSettings
from dicom_node.rule_check import check_rules

_CAPTURE = "SecondaryCaptureImageStorage"


def rule(name: str = "r", **values: Any) -> RuleSettings:
    return RuleSettings(name=name, **values)


def _refusal(*rules: RuleSettings, senders: tuple[str, ...] = ()) -> str:
    with pytest.raises(SettingsError) as caught:
        check_rules(rules, senders)
    return str(caught.value)


# What a rule asks for


@pytest.mark.parametrize(
    "name", ["CRImageStorage", "1.2.3", "Verification", "ComputedRadiography*", "1.2.840.10008.1.1"]
)
def test_a_sop_class_that_nobody_knows_is_named(name: str) -> None:
    refusal = _refusal(rule("films", sop_class=["CTImageStorage", name]))

    assert refusal.startswith(f"[[rules]] films: sop_class {name}: no storage SOP class")
    assert "CTImageStorage:" not in refusal


@pytest.mark.parametrize(
    "values",
    [
        {"modality": ["NM"]},
        {"sop_class": ["NuclearMedicineImageStorage"]},
        {"sop_class": ["BasicTextSRStorage"]},
        {"sop_class": ["CTImageStorage"], "modality": ["CR"]},
    ],
)
def test_a_draft_of_what_we_do_not_read_is_refused(values: dict[str, Any]) -> None:
    assert "it can never fit: no image that we read (CR, DX, CT, MR, MG, US," in _refusal(
        rule(**values)
    )


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"modality": ["NM", "cr"]},
        {"sop_class": [" ctimagestorage "], "modality": ["CT"]},
        {"sop_class": ["1.2.840.10008.5.1.4.1.1.1"]},
        {"sop_class": [_CAPTURE], "modality": ["OT"]},
        {"action": "ignore", "modality": ["NM"]},
        {"action": "ignore", "sop_class": ["NuclearMedicineImageStorage"]},
    ],
)
def test_a_rule_that_may_fit_or_that_ignores_is_let_pass(values: dict[str, Any]) -> None:
    check_rules([rule(**values)])


def test_a_sender_that_may_not_send_is_named() -> None:
    refusal = _refusal(rule("icu", sender=["ICU"]), senders=("CT1",))

    assert "icu: it can never fit: sender ICU is not in [[senders]]" in refusal
    check_rules([rule(sender=["ICU", " ct1 "])], ("CT1",))


def test_a_name_that_two_rules_bear_is_refused() -> None:
    assert "films: two rules bear this name" in _refusal(
        rule("films", modality=["CR"]), rule("films", modality=["DX"])
    )


def test_every_mistake_is_named_at_once() -> None:
    refusal = _refusal(rule("a", sop_class=["X", "Y"]), rule("b", modality=["NM"]))

    assert len(refusal.splitlines()) == 3


# What stands before it


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ({}, {"modality": ["CR"]}),
        ({}, {}),
        ({"action": "ignore"}, {"sop_class": [_CAPTURE]}),
        ({"description": ["*"]}, {"description": ["*chest*"]}),
        ({"description": ["*"]}, {"modality": ["CR"]}),
        ({"modality": ["CR", "DX"]}, {"modality": ["dx "], "sender": ["A"]}),
        ({"sop_class": ["CTImageStorage"]}, {"sop_class": ["1.2.840.10008.5.1.4.1.1.2"]}),
        ({"description": ["*Chest*"]}, {"description": ["*chest*"], "body_part": ["CHEST"]}),
        ({"sop_class": [_CAPTURE]}, {"sop_class": [_CAPTURE], "modality": ["CR"]}),
    ],
)
def test_a_rule_behind_one_that_takes_all_it_would_is_refused(
    earlier: dict[str, Any], later: dict[str, Any]
) -> None:
    refusal = _refusal(rule("first", **earlier), rule("second", **later))

    assert refusal == (
        "[[rules]] second: it can never fit: first stands before it and takes every image that it "
        "would"
    )


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ({"modality": ["CR"]}, {}),
        ({"modality": ["CR"]}, {"modality": ["CR", "DX"]}),
        ({"modality": ["CR"]}, {"body_part": ["CHEST"]}),
        ({"modality": ["CR"], "sender": ["A"]}, {"modality": ["CR"]}),
        # A secondary capture needs a rule that names it, which the first does not.
        ({}, {"sop_class": [_CAPTURE, "CTImageStorage"]}),
        ({"description": ["chest*"]}, {"description": ["*chest*"]}),
    ],
)
def test_a_rule_that_an_earlier_one_leaves_something_is_let_pass(
    earlier: dict[str, Any], later: dict[str, Any]
) -> None:
    check_rules([rule("first", **earlier), rule("second", **later)])


# The settings' own part


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('modality = [""]', "taqrir.toml:3: rules.0.modality = ['']: an empty value fits nothing"),
        ('sender = ["A", " "]', "taqrir.toml:3: rules.0.sender = ['A', ' ']: an empty value"),
        ('modality = "CR"', "taqrir.toml:3: rules.0.modality = 'CR': input should be a valid tup"),
        ('priority = "urgent"', "taqrir.toml:3: rules.0.priority = 'urgent': input should be "),
        ("max_images = 0", "taqrir.toml:3: rules.0.max_images = 0: "),
        ('modalities = ["CR"]', "taqrir.toml:3: unknown setting rules.0.modalities; known here: "),
        ('action = "ignore"\npriority = "stat"', "priority: without effect where action = "),
        ('action = "ignore"\nmax_images = 2', "max_images: without effect where action = "),
    ],
)
def test_a_wrong_value_is_refused_where_it_stands(
    tmp_path: Path, lines: str, expected: str
) -> None:
    path = tmp_path / "taqrir.toml"
    path.write_text(f'[[rules]]\nname = "films"\n{lines}\n', encoding="utf-8")

    with pytest.raises(SettingsError) as caught:
        load(path, {})

    assert expected in str(caught.value)
