"""The first rule that fits an image decides; what an image is comes before any rule."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from dicom_samples import STUDY_UID, instance, to_bytes
from pydicom import uid

from core.received import Admission
from core.report import Patient
from core.settings_node import RuleSettings
from core.tables import Instance
from dicom_node.contexts import IMAGE_SOP_CLASSES, STORAGE_SOP_CLASSES
from dicom_node.eligibility import READ_CLASSES, SECONDARY_CAPTURE_CLASSES
from dicom_node.header import InstanceHeader, from_plain, read_header, to_plain
from dicom_node.rules import decide, explain, looked_at

SENDER = "CR_ROOM_1"
_CAPTURE = uid.SecondaryCaptureImageStorage


def image(**values: Any) -> InstanceHeader:
    """Return the header of a chest film."""
    defaults: dict[str, Any] = {
        "study_uid": STUDY_UID,
        "series_uid": f"{STUDY_UID}.1",
        "sop_instance_uid": f"{STUDY_UID}.2",
        "sop_class_uid": uid.ComputedRadiographyImageStorage,
        "transfer_syntax_uid": uid.ExplicitVRLittleEndian,
        "patient": Patient(id="P1", name="Test^Patient"),
        "modality": "CR",
        "body_part": "CHEST",
        "study_description": "Thorax PA",
        "series_description": "Portable [ICU]",
    }
    return InstanceHeader(**{**defaults, **values})


def rule(name: str = "r", **values: Any) -> RuleSettings:
    return RuleSettings(name=name, **values)


def is_admitted(header: InstanceHeader, *rules: RuleSettings, sender: str = SENDER) -> bool:
    return decide(header, sender, rules).is_admitted


# Without rules


@pytest.mark.parametrize("sop_class", READ_CLASSES)
def test_without_rules_every_class_that_we_read_starts_a_draft(sop_class: str) -> None:
    admission = decide(image(sop_class_uid=sop_class, modality=READ_CLASSES[sop_class][0]), "", ())

    assert (admission.is_admitted, admission.rule) == (True, "")
    assert (admission.priority, admission.options) == ("routine", {})


@pytest.mark.parametrize("sop_class", sorted(set(STORAGE_SOP_CLASSES) - set(READ_CLASSES)))
def test_without_rules_no_other_class_does(sop_class: str) -> None:
    assert not is_admitted(image(sop_class_uid=sop_class))


def test_every_class_that_we_read_holds_images() -> None:
    assert {*READ_CLASSES, *SECONDARY_CAPTURE_CLASSES} <= IMAGE_SOP_CLASSES
    assert {
        c for c in STORAGE_SOP_CLASSES if "SecondaryCapture" in c.keyword
    } == SECONDARY_CAPTURE_CLASSES


def test_without_rules_a_class_with_a_foreign_modality_starts_none() -> None:
    assert not is_admitted(image(modality="MG"))
    assert is_admitted(image(modality=""))


# The first that fits


def test_the_first_rule_that_fits_decides() -> None:
    hands = rule("hands", body_part=["HAND"], action="ignore")
    chests = rule("chests", body_part=["CHEST"], priority="stat", max_images=2, max_new_tokens=64)
    others = rule("others", modality=["CR"])

    chest = decide(image(), SENDER, (hands, chests, others))
    hand = decide(image(body_part="HAND"), SENDER, (hands, chests, others))
    foot = decide(image(body_part="FOOT"), SENDER, (hands, chests, others))

    assert (chest.is_admitted, chest.rule, chest.priority) == (True, "chests", "stat")
    assert chest.options == {"max_images": 2, "max_new_tokens": 64}
    assert (hand.is_admitted, hand.rule, hand.options) == (False, "hands", {})
    assert (foot.is_admitted, foot.rule, foot.priority) == (True, "others", "routine")


def test_an_ignoring_rule_before_another_takes_its_images() -> None:
    assert not is_admitted(image(), rule("no", action="ignore"), rule("yes", modality=["CR"]))
    assert is_admitted(image(), rule("yes", modality=["CR"]), rule("no", action="ignore"))


def test_where_rules_are_set_and_none_fits_nothing_is_drafted_for() -> None:
    admission = decide(image(), SENDER, (rule("hands", body_part=["HAND"]),))

    assert admission == Admission(is_admitted=False, reason="no rule fits")


def test_a_rule_without_criteria_fits_every_image_that_we_read() -> None:
    assert is_admitted(image(), rule())
    assert not is_admitted(
        image(sop_class_uid=uid.NuclearMedicineImageStorage, modality="NM"), rule()
    )


# The criteria


@pytest.mark.parametrize(
    ("criterion", "fitting", "other"),
    [
        ("modality", "CR", "DX"),
        ("sop_class", "ComputedRadiographyImageStorage", "CTImageStorage"),
        ("sop_class", uid.ComputedRadiographyImageStorage, uid.CTImageStorage),
        ("body_part", "CHEST", "HAND"),
        ("description", "Thorax*", "Thorax"),
        ("description", "*icu]", "icu"),
        ("sender", SENDER, "CR_ROOM_2"),
    ],
)
class TestACriterion:
    def test_fits_by_any_of_its_values(self, criterion: str, fitting: str, other: str) -> None:
        assert is_admitted(image(), rule(**{criterion: [other, fitting]}))
        assert not is_admitted(image(), rule(**{criterion: [other]}))

    def test_is_compared_without_case_and_outer_spaces(
        self, criterion: str, fitting: str, other: str
    ) -> None:
        del other
        assert is_admitted(image(), rule(**{criterion: [f"  {fitting.swapcase()} "]}))

    def test_does_not_make_up_for_another(self, criterion: str, fitting: str, other: str) -> None:
        del other
        unmet = {"modality": ["DX"]} if criterion != "modality" else {"body_part": ["HAND"]}
        assert not is_admitted(image(), rule(**{criterion: [fitting]}, **unmet))


def test_spaces_and_case_of_the_image_play_no_part_either() -> None:
    header = image(body_part=" Chest ", study_description=" THORAX pa ", modality="CR")

    assert is_admitted(header, rule(body_part=["chest"], description=["thorax PA"]))
    assert is_admitted(header, rule(sender=[SENDER]), sender=f" {SENDER.lower()} ")


@pytest.mark.parametrize(
    "criterion", ["body_part", "sender", "description"], ids=lambda name: f"no {name}"
)
def test_an_attribute_that_is_absent_fits_no_value(criterion: str) -> None:
    bare = image(body_part="", study_description="", series_description="")
    values = {"body_part": ["CHEST"], "sender": [SENDER], "description": ["?*"]}

    assert not is_admitted(bare, rule(**{criterion: values[criterion]}), sender="")


def test_a_missing_modality_counts_as_what_the_class_is_read_as() -> None:
    header = image(modality="", sop_class_uid=uid.CTImageStorage)

    assert is_admitted(header, rule(modality=["CT"]))
    assert not is_admitted(header, rule(modality=["CR"]))


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("*", True),
        ("thorax ??", True),
        ("thorax ?", False),
        ("*orax*", True),
        ("thorax", False),
        ("portable [icu]", True),
        ("portable [icux]*", False),
        ("p[o]rtable*", False),
        ("portable [!x]*", False),
    ],
)
def test_a_description_is_matched_as_a_whole_by_star_and_question_mark_alone(
    pattern: str, fits: bool
) -> None:
    assert is_admitted(image(), rule(description=[pattern])) is fits


def test_descriptions_in_other_scripts_are_compared_as_text() -> None:
    arabic = image(study_description="أشعة الصدر", series_description="STRASSE ÄÖ")

    assert is_admitted(arabic, rule(description=["*الصدر"]))
    assert is_admitted(arabic, rule(description=["straße äö"]))


# What an image is comes first


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"is_own": True}, "our own"),
        ({"sop_class_uid": uid.BasicTextSRStorage, "modality": "SR"}, "no image"),
        ({"sop_class_uid": uid.EncapsulatedPDFStorage, "modality": "DOC"}, "no image"),
        ({"sop_class_uid": uid.XRayRadiationDoseSRStorage, "modality": "SR"}, "no image"),
        ({"quality_control_image": "YES"}, "phantom"),
        ({"quality_control_subject": "YES"}, "phantom"),
        ({"body_part": "PHANTOM"}, "phantom"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")}, "localizer"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "SCOUT")}, "localizer"),
        ({"image_type": ("DERIVED", "SECONDARY", "SCREEN SAVE")}, "screen save"),
        ({"image_type": ("DERIVED", "SECONDARY", "DOSE_INFO")}, "dose"),
        ({"sop_class_uid": uid.NuclearMedicineImageStorage, "modality": "NM"}, "that we read"),
        ({"modality": "MG"}, "that we read"),
    ],
)
def test_what_never_starts_a_draft_is_no_matter_of_rules(
    values: dict[str, Any], words: str
) -> None:
    header = image(**values)
    named = rule("named", sop_class=[header.sop_class_uid])

    for rules in ((), (rule("all"),), (named,)):
        explanation = explain(header, SENDER, rules)
        assert not explanation.admission.is_admitted
        assert words in explanation.admission.reason
        assert (explanation.admission.rule, explanation.trials) == ("", ())


def test_what_is_not_read_is_named_by_a_modality_and_by_nothing_else() -> None:
    reasons = [decide(image(modality=m), SENDER, ()).reason for m in ("MG", "MILLER^JOHN")]

    assert reasons == [f"no image that we read (modality {m})" for m in ("MG", "unknown")]


def test_a_person_may_be_called_phantom_and_a_film_may_be_no_quality_control_image() -> None:
    header = image(
        patient=Patient(id="PHANTOM", name="Phantom^Quality"),
        study_description="phantom pain",
        quality_control_image="NO",
        quality_control_subject="NO",
        image_type=("DERIVED", "SECONDARY"),
    )

    assert is_admitted(header)


def test_the_quality_control_attributes_are_read_from_the_object_and_kept() -> None:
    dataset = instance(
        uid.ComputedRadiographyImageStorage,
        Modality="CR",
        QualityControlImage="YES",
        QualityControlSubject="NO",
    )
    kept = from_plain(to_plain(_read(to_bytes(dataset))))

    assert (kept.quality_control_image, kept.quality_control_subject) == ("YES", "NO")
    assert not is_admitted(kept)


def test_a_header_that_was_kept_before_these_attributes_is_read() -> None:
    old = to_plain(image())
    del old["quality_control_image"], old["quality_control_subject"]

    assert from_plain(old) == image()


def _read(content: bytes) -> InstanceHeader:
    return read_header(BytesIO(content))


# Secondary captures


@pytest.mark.parametrize("sop_class", sorted(SECONDARY_CAPTURE_CLASSES))
def test_a_secondary_capture_needs_a_rule_that_names_its_class(sop_class: str) -> None:
    capture = image(sop_class_uid=sop_class)
    named = rule("scans", sop_class=["CTImageStorage", sop_class])

    assert not is_admitted(capture)
    assert not is_admitted(capture, rule("all"))
    assert not is_admitted(capture, rule("films", modality=["CR"]))
    assert decide(capture, SENDER, (rule("all"), named)).rule == "scans"


@pytest.mark.parametrize("modality", ["CR", "OT", ""])
def test_a_scanned_film_is_admitted_whatever_modality_it_names(modality: str) -> None:
    capture = image(sop_class_uid=_CAPTURE, modality=modality)

    assert is_admitted(capture, rule(sop_class=["SecondaryCaptureImageStorage"]))


def test_a_rule_that_ignores_takes_secondary_captures_too() -> None:
    capture = image(sop_class_uid=_CAPTURE)
    ignored, scans = rule("no", action="ignore"), rule("scans", sop_class=[_CAPTURE])

    assert decide(capture, SENDER, (ignored, scans)).rule == "no"


def test_a_dose_sheet_stays_out_where_secondary_captures_come_in() -> None:
    sheet = image(sop_class_uid=_CAPTURE, image_type=("DERIVED", "SECONDARY", "SCREEN SAVE"))

    assert not is_admitted(sheet, rule(sop_class=[_CAPTURE]))


# The explanation


def test_an_explanation_names_the_criterion_that_failed_rule_by_rule() -> None:
    rules = (
        rule("ct", modality=["CT", "MR"]),
        rule("elsewhere", modality=["CR"], sender=["OTHER"]),
        rule("knees", description=["*knee*"]),
        rule("chests", body_part=["CHEST"]),
        rule("never-asked"),
    )

    explanation = explain(image(), SENDER, rules)

    assert [(trial.rule, trial.mismatch) for trial in explanation.trials] == [
        ("ct", "modality is none of CT, MR"),
        ("elsewhere", "sender is none of OTHER"),
        ("knees", "description is none of *knee*"),
        ("chests", ""),
    ]
    assert explanation.admission == decide(image(), SENDER, rules)


def test_an_explanation_says_why_a_secondary_capture_does_not_fit() -> None:
    (trial,) = explain(image(sop_class_uid=_CAPTURE), SENDER, (rule("all"),)).trials

    assert trial.mismatch == "a secondary capture, and sop_class does not name it"


def test_what_was_looked_at_holds_no_text_that_a_person_typed() -> None:
    shown = looked_at(image(study_description="Miller John chest", series_description=""), SENDER)

    assert shown["sop_class"] == "ComputedRadiographyImageStorage"
    assert (shown["modality"], shown["body_part"], shown["sender"]) == ("CR", "CHEST", SENDER)
    assert (shown["study_description"], shown["series_description"]) == ("given, not shown", "")
    assert not any("Miller" in value or "P1" in value for value in shown.values())


def test_a_private_class_is_shown_by_its_uid() -> None:
    assert looked_at(image(sop_class_uid="1.2.3.4"), "")["sop_class"] == "1.2.3.4"


def test_every_reason_fits_its_column() -> None:
    longest = "r" * 32
    headers = [image(), image(sop_class_uid=_CAPTURE), image(modality="NM"), image(is_own=True)]
    actions = [(), (rule(longest),), (rule(longest, action="ignore"),), (rule("x", sender=["y"]),)]

    reasons = {decide(header, SENDER, rules).reason for header in headers for rules in actions}

    assert len(reasons) > 5
    assert all(0 < len(reason) <= Instance.admission.type.length for reason in reasons)
