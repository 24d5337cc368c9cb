"""Rules that can never decide anything stop the start: somebody meant something by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.errors import SettingsError
from core.settings_node import RuleSettings
from dicom_node.eligibility import READ_CLASSES, READ_MODALITIES, SECONDARY_CAPTURE_CLASSES
from dicom_node.rules import CRITERIA, plain, sop_class_uid

_EVERYTHING = "*"


def check_rules(rules: Sequence[RuleSettings], senders: Sequence[str] = ()) -> None:
    """Refuse rules that cannot be meant.

    Args:
        rules: `[[rules]]`, in their order.
        senders: Calling AE titles of `[[senders]]`; nobody else gets as far as a rule.

    Raises:
        SettingsError: A SOP class is unknown, two rules share a name, or one can never fit: it asks
            for what we do not read or for who may not send, or an earlier rule takes all it would.
            Every mistake is named.
    """
    problems = [problem for rule in rules for problem in _own_problems(rule, senders)]
    problems += _same_names(rules)
    if not problems:
        problems = [*_shadowed(rules)]
    if problems:
        raise SettingsError("\n".join(f"[[rules]] {problem}" for problem in problems))


def _own_problems(rule: RuleSettings, senders: Sequence[str]) -> Iterator[str]:
    unknown = [value for value in rule.sop_class if not sop_class_uid(value)]
    for value in unknown:
        yield (
            f"{rule.name}: sop_class {value}: no storage SOP class has this UID or keyword; "
            "a keyword looks like ComputedRadiographyImageStorage"
        )
    if not unknown and rule.action == "draft" and not _can_be_read(rule):
        yield (
            f"{rule.name}: it can never fit: no image that we read ({', '.join(READ_MODALITIES)}) "
            "is of such a SOP class and modality"
        )
    known = {plain(title) for title in senders}
    if rule.sender and known and known.isdisjoint(map(plain, rule.sender)):
        titles = ", ".join(rule.sender)
        yield f"{rule.name}: it can never fit: sender {titles} is not in [[senders]]"


def _can_be_read(rule: RuleSettings) -> bool:
    """Say whether some image that we read fits both SOP class and modality of a rule."""
    classes = set(map(sop_class_uid, rule.sop_class))
    if classes & SECONDARY_CAPTURE_CLASSES:
        return True
    modalities = set(map(plain, rule.modality))
    return any(
        not modalities or not modalities.isdisjoint(map(plain, family))
        for sop_class, family in READ_CLASSES.items()
        if not classes or sop_class in classes
    )


def _same_names(rules: Sequence[RuleSettings]) -> Iterator[str]:
    names = [rule.name for rule in rules]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{name}: two rules bear this name"


def _shadowed(rules: Sequence[RuleSettings]) -> Iterator[str]:
    for number, rule in enumerate(rules):
        earlier = next((other for other in rules[:number] if _takes_all_of(other, rule)), None)
        if earlier:
            yield (
                f"{rule.name}: it can never fit: {earlier.name} stands before it and takes every "
                "image that it would"
            )


def _takes_all_of(earlier: RuleSettings, later: RuleSettings) -> bool:
    """Say whether every image that fits the later rule fits the earlier one already.

    Only what can be told from the lists of values: patterns are compared as they are written.
    """
    named = _values(later, "sop_class")
    if earlier.action == "draft" and not earlier.sop_class and named & SECONDARY_CAPTURE_CLASSES:
        return False
    return all(_is_within(_values(later, name), _values(earlier, name)) for name in CRITERIA)


def _is_within(asked: set[str], taken: set[str]) -> bool:
    """Say whether one criterion allows nothing but what another does; none given allows all."""
    return not taken or (bool(asked) and asked <= taken)


def _values(rule: RuleSettings, criterion: str) -> set[str]:
    """Return what a criterion allows, in one spelling; nothing where it allows everything."""
    given: tuple[str, ...] = getattr(rule, criterion)
    values = {sop_class_uid(v) if criterion == "sop_class" else plain(v) for v in given}
    return set() if criterion == "description" and _EVERYTHING in values else values
