"""Where the English and the Arabic text say different things.

Both texts are compared as a whole, section by section, and sentence by sentence where a section has
as many sentences in one language as in the other and they name the same findings. The finer the
pieces, the less can hide: "right scar, left band" against the same two swapped agrees as a whole.
What a section says of each thing is gathered and compared, too: sentences need not pair up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from core.report import Finding, Language, SectionKind
from model.faults import NAMES, fault
from model.gathered import differing_as_gathered
from model.locations import by_code
from model.mislaid import differing_locations
from model.normality import NORMAL, NOT_NORMAL
from model.numbers import Quantity
from model.opposition import opposed
from model.restated import differing_values
from model.sides import LEFT, RIGHT
from model.statements import Sentence, Statements, joined

Sections = Mapping[SectionKind, Statements]


def compare_languages(english: Sections, arabic: Sections) -> Iterator[Finding]:
    """Yield each fault where it shows first: in the whole, in a section, in a sentence."""
    told: set[str] = set()
    for level in _levels(english, arabic):
        found = [f for one, other in level for f in _differences(one, other)]
        yield from (f for f in found if f.code not in told)
        told |= {f.code for f in found}
    yield from _of_gathered(english, arabic, told)
    if "NEGATION_MISMATCH" not in told:
        yield from _of_opposed(english, arabic)
    yield from _uncertainty(joined(english.values()), joined(arabic.values()))
    yield from _missing(joined(english.values()), joined(arabic.values()))


def _levels(english: Sections, arabic: Sections) -> Iterator[list[tuple[Statements, Statements]]]:
    """Yield pairs of pieces to compare, ever smaller ones."""
    yield [(joined(english.values()), joined(arabic.values()))]
    sections = [(english[kind], arabic[kind]) for kind in english if kind in arabic]
    yield sections
    yield [
        (Statements(sentences=(one,)), Statements(sentences=(other,)))
        for in_english, in_arabic in sections
        if _are_aligned(in_english, in_arabic)
        for one, other in zip(in_english.sentences, in_arabic.sentences, strict=True)
    ]


def _of_gathered(english: Sections, arabic: Sections, told: set[str]) -> Iterator[Finding]:
    """Yield what sections say otherwise of a thing, unless it is told already."""
    for kind in english:
        if kind in arabic:
            found = differing_as_gathered(english[kind], arabic[kind])
            yield from (f for f in found if f.code not in told)
            yield from (f for f in _values(english[kind], arabic[kind]) if f.code not in told)


def _values(english: Statements, arabic: Statements) -> Iterator[Finding]:
    """Yield a size or length that a finding of one place has in one language only."""
    for value in dict.fromkeys(differing_values(english, arabic)):
        message = f"{human(value.thing)} is {value.what} in English than in Arabic."
        yield fault(value.code, message, words=value.words)


def _of_opposed(english: Sections, arabic: Sections) -> Iterator[Finding]:
    """Yield what a sentence calls normal and its counterpart does not."""
    for kind in english:
        if kind in arabic and _are_aligned(english[kind], arabic[kind]):
            yield from opposed(english[kind], arabic[kind])


def _are_aligned(english: Statements, arabic: Statements) -> bool:
    return len(english.sentences) == len(arabic.sentences) and all(
        _may_be_same(one, other)
        for one, other in zip(english.sentences, arabic.sentences, strict=True)
    )


def _may_be_same(one: Sentence, other: Sentence) -> bool:
    return not one.findings or not other.findings or bool(one.findings & other.findings)


def _differences(english: Statements, arabic: Statements) -> Iterator[Finding]:
    yield from _sides_of_findings(english, arabic)
    yield from _sides_of_text(english, arabic)
    yield from _numbers(english, arabic)
    yield from _polarities(english, arabic)
    yield from _denials(english, arabic)
    yield from _normality(english, arabic)
    yield from differing_locations(english, arabic)
    if len(english.sentences) == len(arabic.sentences) == 1:
        yield from _arrangement(english.sentences[0], arabic.sentences[0])


def _sides_of_findings(english: Statements, arabic: Statements) -> Iterator[Finding]:
    for name in sorted(english.sides.keys() & arabic.sides.keys()):
        if _lacks_side_of(name, english, arabic) or _lacks_side_of(name, arabic, english):
            message = (
                f"{human(name)} is {_listed(english.sides[name])} in English and "
                f"{_listed(arabic.sides[name])} in Arabic."
            )
            yield fault("SIDE_MISMATCH", message, words=_words_of(name, english, arabic))


def _lacks_side_of(name: str, one: Statements, other: Statements) -> bool:
    """Tell whether the other text lacks a side of a finding, and no dual stands for it."""
    lacking = one.sides[name] - other.sides[name]
    nothing: set[str] = set()
    ours, theirs = (text.sides_apart.get(name, nothing) for text in (one, other))
    is_told_by_both = not lacking & ours and theirs <= ours
    return bool(lacking) and not (is_told_by_both and name in other.perhaps_both)


def _sides_of_text(english: Statements, arabic: Statements) -> Iterator[Finding]:
    """Yield a side that only one text names, or that one gains while it loses the other.

    How often a side is named may differ ("right upper and lower lobe"). A "both" may stand against
    a bare dual or plural of the other language ("both lungs" and الرئتان); a side with a word of
    its own may not ("right lung" and الرئتان).
    """
    gained = {s: arabic.side_counts[s] - english.side_counts[s] for s in (RIGHT, LEFT)}
    is_swapped = gained[RIGHT] * gained[LEFT] < 0
    is_lacking = any(
        _lacks_side(side, english, arabic) or _lacks_side(side, arabic, english) for side in gained
    )
    if is_swapped or is_lacking:
        message = (
            f"English names right {english.side_counts[RIGHT]} and left "
            f"{english.side_counts[LEFT]} times, Arabic right {arabic.side_counts[RIGHT]} and "
            f"left {arabic.side_counts[LEFT]} times."
        )
        yield fault("SIDE_MISMATCH", message, words=(*english.side_words, *arabic.side_words))


def _lacks_side(side: str, one: Statements, other: Statements) -> bool:
    """Tell whether the other text never names a side, and no dual or plural stands for it."""
    if not one.side_counts[side] or other.side_counts[side]:
        return False
    is_told_by_both = side not in one.apart and other.apart <= one.apart
    return not (is_told_by_both and other.spare_pairs)


def _numbers(english: Statements, arabic: Statements) -> Iterator[Finding]:
    only_english = _only_in(english, arabic)
    only_arabic = _only_in(arabic, english)
    if only_english or only_arabic:
        message = (
            f"Numbers differ: only in English {', '.join(only_english) or 'none'}; "
            f"only in Arabic {', '.join(only_arabic) or 'none'}."
        )
        yield fault("NUMBER_MISMATCH", message, words=(*only_english, *only_arabic))


def _only_in(one: Statements, other: Statements) -> list[str]:
    """Return the numbers that the other text lacks, small ones only where it says otherwise."""
    firm = [Counter(str(q) for q in s.quantities if not _is_soft(q)) for s in (one, other)]
    lacking = list((firm[0] - firm[1]).elements())
    soft = {str(q): q for q in one.quantities if _is_soft(q)}
    lacking += [text for text, q in soft.items() if not _is_implied(q, other)]
    return sorted(lacking)


def _is_soft(quantity: Quantity) -> bool:
    return quantity.is_small or quantity.is_one


def _is_implied(quantity: Quantity, other: Statements) -> bool:
    """Tell whether the other text may say one or two by the form of a noun, or says it outright."""
    if str(quantity) in {str(q) for q in other.quantities}:
        return True
    if quantity.is_one:
        ones = [q for q in other.quantities if q.is_one and q.unit]
        return not (quantity.unit and ones)
    says_one = any(q.is_one and not q.unit for q in other.quantities)
    says_both = {RIGHT, LEFT} <= other.side_counts.keys()
    duals = sum(sentence.dual_words for sentence in other.sentences)
    return not says_one and (says_both or duals > 0)


def _polarities(english: Statements, arabic: Statements) -> Iterator[Finding]:
    for name in sorted(english.polarities.keys() & arabic.polarities.keys()):
        if english.polarities[name] != arabic.polarities[name]:
            message = (
                f"{human(name)} is {said(english.polarities[name])} in English and "
                f"{said(arabic.polarities[name])} in Arabic."
            )
            yield fault("NEGATION_MISMATCH", message, words=_words_of(name, english, arabic))


def _denials(english: Statements, arabic: Statements) -> Iterator[Finding]:
    """Yield a denial in one language only, whatever is denied.

    "Normal" may stand against it; against "not normal" what is found instead.
    """
    for one, other, language in ((english, arabic, Language.EN), (arabic, english, Language.AR)):
        is_answered = any(s.tone.has_denial for s in other.sentences)
        is_answered |= bool(other.normal or other.abnormal)
        if not any(s.tone.denies_more for s in one.sentences):
            is_answered |= bool(other.affirmed)
        if any(s.tone.has_denial for s in one.sentences) and not is_answered:
            message = f"Something is denied in the {NAMES[language]} text only."
            yield fault("NEGATION_MISMATCH", message, words=_named(one))


def _normality(english: Statements, arabic: Statements) -> Iterator[Finding]:
    """Yield what is normal in one language and not normal in the other.

    What is found instead may be named: "heart size is not normal" and القلب متضخم.
    """
    for one, other, language in ((english, arabic, Language.EN), (arabic, english, Language.AR)):
        is_turned = len(one.abnormal) > len(other.abnormal) and len(other.normal) > len(one.normal)
        if is_turned and not other.affirmed - one.affirmed:
            message = f"Something is not normal in the {NAMES[language]} text only."
            yield fault("NEGATION_MISMATCH", message, words=(*one.abnormal, *other.normal))


def _arrangement(english: Sentence, arabic: Sentence) -> Iterator[Finding]:
    """Yield what lies on the right in one sentence and on the left in the other."""
    one, other = _single(english.placed), _single(arabic.placed)
    same_order = english.sides.order == arabic.sides.order
    differing = sorted(thing for thing in one.keys() & other.keys() if one[thing] != other[thing])
    if differing:
        code = "SIDE_MISMATCH"
        if same_order:
            code = _code_of(differing)
        message = f"On one side in English and on the other in Arabic: {', '.join(differing)}."
        yield fault(code, message, words=tuple(differing))
    elif _are_opposed(english, arabic) or (
        not one.keys() & other.keys() and _is_turned(english, arabic)
    ):
        message = "Right and left stand in one order in English and in the other in Arabic."
        yield fault("SIDE_MISMATCH", message, words=(*english.sides.words, *arabic.sides.words))
    yield from _lengths(english, arabic)


def _code_of(things: list[str]) -> str:
    """Return the code of things that change sides: that of a number where one is among them."""
    if {NORMAL, NOT_NORMAL} & set(things):
        return "NEGATION_MISMATCH"
    codes = by_code(tuple(things)).keys()
    return "NUMBER_MISMATCH" if "PLACE_MISMATCH" in codes else max(codes)


def _lengths(english: Sentence, arabic: Sentence) -> Iterator[Finding]:
    """Yield lengths that change places, as they do not in a translation."""
    lengths, others = _single(english.measured), _single(arabic.measured)
    for name in sorted(lengths.keys() & others.keys()):
        if lengths[name] != others[name]:
            message = f"{human(name)} is {lengths[name]} in English and {others[name]} in Arabic."
            yield fault("NUMBER_MISMATCH", message, words=(lengths[name], others[name]))
    rows = [[str(q) for q in s.quantities if q.unit == "mm"] for s in (english, arabic)]
    is_explained = english.measured == arabic.measured and english.placed == arabic.placed
    is_told = is_explained and (english.measured or english.placed)
    if rows[0] != rows[1] and sorted(rows[0]) == sorted(rows[1]) and not is_told:
        message = "English and Arabic have the same lengths in another order."
        yield fault("NUMBER_MISMATCH", message, words=(*rows[0], *rows[1]))


def _single(pairs: frozenset[tuple[str, str]]) -> dict[str, str]:
    """Return what has one value only."""
    counts = Counter(thing for thing, _ in pairs)
    return {thing: value for thing, value in pairs if counts[thing] == 1}


def _are_opposed(english: Sentence, arabic: Sentence) -> bool:
    """Tell whether one goes from right to left and the other from left to right."""
    both = english.sides.has_direction and arabic.sides.has_direction
    return both and english.sides.order != arabic.sides.order


def _is_turned(english: Sentence, arabic: Sentence) -> bool:
    """Tell whether right and left change places and no finding known shows that they may."""
    orders = [s.sides.order for s in (english, arabic) if s.sides.are_apart]
    if english.sides.are_together and arabic.sides.are_together:
        return False
    if len(orders) != 2 or orders[0] != tuple(reversed(orders[1])):  # noqa: PLR2004 - both
        return False
    one, other = (
        _single(frozenset((s.finding, side) for s in x.statements for side in s.sides))
        for x in (english, arabic)
    )
    return orders[0] != orders[1] and not one.keys() & other.keys()


def _uncertainty(english: Statements, arabic: Statements) -> Iterator[Finding]:
    """Yield a finding that one language calls possible and the other certain."""
    for one, other, language in ((english, arabic, Language.AR), (arabic, english, Language.EN)):
        for name in sorted((one.hedged & other.polarities.keys()) - other.hedged):
            if True in other.polarities[name]:
                message = f"{human(name)} is certain in the {NAMES[language]} text only."
                words = tuple(sorted(other.words_of[name]))
                yield fault("UNCERTAINTY_MISMATCH", message, language, words)


def _missing(english: Statements, arabic: Statements) -> Iterator[Finding]:
    for one, other, language in ((english, arabic, Language.AR), (arabic, english, Language.EN)):
        for name in sorted(one.polarities.keys() - other.polarities.keys()):
            message = f"{human(name)} is not found in the {NAMES[language]} text."
            yield fault("FINDING_MISSING", message, language, tuple(sorted(one.words_of[name])))


def _words_of(name: str, english: Statements, arabic: Statements) -> tuple[str, ...]:
    return (*sorted(english.words_of[name]), *sorted(arabic.words_of[name]))


def _named(text: Statements) -> tuple[str, ...]:
    return tuple(sorted({statement.text for statement in text.all}))


def human(name: str) -> str:
    """Return a finding's name as a sentence begins with it."""
    return name.replace("_", " ").capitalize()


def said(polarities: set[bool]) -> str:
    """Return how a finding is stated, in words."""
    return " and ".join("affirmed" if p else "negated" for p in sorted(polarities))


def _listed(sides: set[str]) -> str:
    return " and ".join(sorted(sides))
