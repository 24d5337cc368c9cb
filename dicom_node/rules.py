"""Which images start a draft: the site's rules in their order, or ours where it has none.

What an image is comes first (`dicom_node.eligibility`): a phantom or a localizer starts no draft
whatever the rules say. Then the first rule that fits decides. Where rules are set and none fits,
the image is not for us; where none is set, every image that we read is.

A secondary capture fits only a rule that names its SOP class, or one that ignores: films that were
scanned come so, and so do dose sheets and pictures of a screen, and no attribute tells them apart.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydicom.uid import UID

from core.received import Admission
from core.settings_node import RuleSettings
from dicom_node.contexts import STORAGE_SOP_CLASSES
from dicom_node.eligibility import is_secondary_capture, obstacle, read_as
from dicom_node.header import InstanceHeader

# In the order in which an explanation names the first that does not fit.
CRITERIA = ("sender", "modality", "sop_class", "body_part", "description")
_DRAFT = "draft"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A rule that was held against an image.

    Attributes:
        mismatch: What did not fit, no patient data; empty where the rule fits.
    """

    rule: str
    action: str
    mismatch: str = ""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """How an image's admission came about.

    Attributes:
        trials: The rules in their order, up to the first that fits; none where what the image is
            already decides, or where the site has no rules.
    """

    admission: Admission
    trials: tuple[Trial, ...] = field(default=())


def decide(header: InstanceHeader, sender: str, rules: Sequence[RuleSettings]) -> Admission:
    """Return whether an image may start a draft, by which rule, in which lane.

    Args:
        header: The image's attributes.
        sender: The AE title that sent it.
        rules: `[[rules]]`, as `dicom_node.rule_check.check_rules` let them pass.
    """
    return explain(header, sender, rules).admission


def explain(header: InstanceHeader, sender: str, rules: Sequence[RuleSettings]) -> Explanation:
    """Return what `decide` says, and what every rule on the way to it said."""
    if words := obstacle(header):
        return Explanation(admission=Admission(is_admitted=False, reason=words))
    if not rules:
        return Explanation(admission=_by_our_own_rule(header))
    trials: list[Trial] = []
    for rule in rules:
        mismatch = _mismatch(rule, header, sender)
        trials.append(Trial(rule=rule.name, action=rule.action, mismatch=mismatch))
        if not mismatch:
            return Explanation(admission=_by_rule(rule), trials=tuple(trials))
    reason = "no rule fits"
    return Explanation(admission=Admission(is_admitted=False, reason=reason), trials=tuple(trials))


def _by_our_own_rule(header: InstanceHeader) -> Admission:
    if is_secondary_capture(header):
        return Admission(
            is_admitted=False, reason="a secondary capture, and no rule names its class"
        )
    return Admission(reason=f"no rules are set: every {read_as(header)} image is drafted for")


def _by_rule(rule: RuleSettings) -> Admission:
    if rule.action != _DRAFT:
        return Admission(
            is_admitted=False, rule=rule.name, reason=f"rule {rule.name} ignores such images"
        )
    given: dict[str, Any] = {
        "max_images": rule.max_images,
        "max_new_tokens": rule.max_new_tokens,
        "adapter": rule.adapter,
    }
    return Admission(
        rule=rule.name,
        reason=f"rule {rule.name} drafts for such images",
        priority=rule.priority,
        options={name: value for name, value in given.items() if value is not None},
    )


def _mismatch(rule: RuleSettings, header: InstanceHeader, sender: str) -> str:
    """Return the first criterion of a rule that an image does not meet; empty where it fits."""
    for name in CRITERIA:
        wanted: tuple[str, ...] = getattr(rule, name)
        if wanted and not _is_met(name, wanted, header, sender):
            return f"{name} is none of {', '.join(wanted)}"
    if rule.action == _DRAFT and is_secondary_capture(header) and not rule.sop_class:
        return "a secondary capture, and sop_class does not name it"
    return ""


def _is_met(name: str, wanted: tuple[str, ...], header: InstanceHeader, sender: str) -> bool:
    match name:
        case "sender":
            return _is_one_of(sender, wanted)
        case "modality":
            return _is_one_of(header.modality or read_as(header), wanted)
        case "sop_class":
            return header.sop_class_uid in map(sop_class_uid, wanted)
        case "body_part":
            return _is_one_of(header.body_part, wanted)
        case _:
            texts = (header.study_description, header.series_description)
            return any(_fits(text, pattern) for pattern in wanted for text in texts)


def _is_one_of(value: str, wanted: tuple[str, ...]) -> bool:
    return plain(value) in map(plain, wanted)


def _fits(text: str, pattern: str) -> bool:
    """Match `*` and `?`; a bracket is a bracket."""
    return fnmatch.fnmatchcase(plain(text), plain(pattern).replace("[", "[[]"))


def looked_at(header: InstanceHeader, sender: str) -> dict[str, str]:
    """Return the attributes that decide, by name; of descriptions only whether there are any.

    Descriptions are typed by people, and a name may stand in them.
    """
    return {
        "sender": sender,
        "modality": header.modality,
        "sop_class": UID(header.sop_class_uid).keyword or header.sop_class_uid,
        "body_part": header.body_part,
        "image_type": "\\".join(header.image_type),
        "quality_control_image": header.quality_control_image,
        "quality_control_subject": header.quality_control_subject,
        "study_description": "given, not shown" if header.study_description else "",
        "series_description": "given, not shown" if header.series_description else "",
    }


def plain(text: str) -> str:
    """Return a text as it is compared: without spaces at the ends, without upper and lower case."""
    return text.strip().casefold()


def sop_class_uid(text: str) -> str:
    """Return the UID of a storage SOP class that is given by UID or keyword; empty if unknown."""
    return _storage_classes().get(plain(text), "")


@cache
def _storage_classes() -> dict[str, str]:
    by_keyword = {plain(sop_class.keyword): str(sop_class) for sop_class in STORAGE_SOP_CLASSES}
    return by_keyword | {uid: uid for uid in by_keyword.values()}
