"""What a sentence calls normal, and of what it says that it is not."""

from __future__ import annotations

from dataclasses import dataclass

from core.report import Language
from model.denials import read_denials
from model.terms import Kind, Lexicon, Match, lexicon
from model.words import Word

# How many words may stand between "neither" and the "clear" that it denies.
_LONGEST_SUBJECT = 4
NORMAL, NOT_NORMAL = "normal", "not normal"
_COMMAS = frozenset("،,()")
_AHEAD = frozenset({"before", "bare", "either"})
_TELLING = _AHEAD | {"ends"}
_BEHIND = frozenset({"after", "either"})


@dataclass(frozen=True, kw_only=True)
class Normality:
    """What is called normal or not normal.

    Attributes:
        normal: The words that call something normal, clear, intact.
        plainly_normal: Those that no finding can be: "stable" is said of findings.
        abnormal: The words that deny that: "not clear", "abnormal", غير طبيعي.
        deniers: The places of the words that do, which deny nothing else: the "not" of "not clear".
        judged: The words of both by their places, named `NORMAL` or `NOT_NORMAL`.
    """

    normal: tuple[str, ...]
    plainly_normal: tuple[str, ...]
    abnormal: tuple[str, ...]
    deniers: frozenset[int]
    judged: tuple[tuple[str, int, int], ...]


@dataclass(kw_only=True)
class _Reader:
    """Reads the normality of one sentence."""

    row: tuple[Word, ...]
    lexicon: Lexicon
    joints: dict[int, Match]
    negations: dict[int, Match]
    within_findings: frozenset[int]

    def read(self) -> Normality:
        outright = self._matches(Kind.ABNORMAL)
        taken = self.within_findings | _places(outright)
        normals = [m for m in self._matches(Kind.NORMAL) if m.start not in taken]
        deniers = self._deniers()
        denied = [(deniers[m.start], m) for m in normals if m.start in deniers]
        abnormal = [f"{denier.text} {match.text}" for denier, match in denied]
        abnormal += [match.text for match in outright if not self._is_denied(match)]
        judged = [
            (NOT_NORMAL if m.start in deniers or m in outright else NORMAL, m.start, m.end)
            for m in (*normals, *outright)
        ]
        called = [match for match in normals if match.start not in deniers]
        openers = {match.start for match in self._matches(Kind.OPENER)}
        return Normality(
            normal=tuple(match.text for match in called),
            plainly_normal=tuple(m.text for m in called if m.start not in openers),
            abnormal=tuple(abnormal),
            deniers=_places(tuple(denier for denier, _ in denied)),
            judged=tuple(judged),
        )

    def _matches(self, kind: Kind) -> tuple[Match, ...]:
        return self.lexicon.matches(self.row, frozenset({kind}))

    def _deniers(self) -> dict[int, Match]:
        """Return the words that deny a "normal", by where it must stand."""
        found = {match.end: match for match in self._matches(Kind.BEFORE_NORMAL)}
        for match in self._matches(Kind.AROUND_NORMAL):
            for index in range(match.end, min(match.end + _LONGEST_SUBJECT, len(self.row))):
                if self._is_edge(index) or index in self.joints or index in self.within_findings:
                    break
                found.setdefault(index + 1, match)
        return found

    def _is_edge(self, index: int) -> bool:
        """Tell whether a comma or an "and" stands here."""
        joint = self.joints.get(index)
        is_and = joint is not None and joint.name == "and"
        word = self.row[index]
        return is_and or word.text in _COMMAS or self.lexicon.joins(word)

    def _is_denied(self, thing: Match) -> bool:
        """Tell whether a denial of its clause, or of its list with "or", reaches a thing."""
        return self._is_denied_ahead(thing) or self._is_denied_behind(thing)

    def _is_denied_ahead(self, thing: Match) -> bool:
        is_in_list = False
        for index in range(thing.start - 1, -1, -1):
            denial, joint = self.negations.get(index), self.joints.get(index)
            if denial is not None and denial.end <= thing.start and denial.name in _TELLING:
                return denial.name in _AHEAD
            is_in_list |= joint is not None and joint.name == "or"
            if self._is_edge(index) and not is_in_list:
                return False
        return False

    def _is_denied_behind(self, thing: Match) -> bool:
        for index in range(thing.end, len(self.row)):
            denial = self.negations.get(index)
            if denial is not None:
                return denial.name in _BEHIND
            if index in self.joints or self.row[index].text in _COMMAS:
                return False
        return False


def read_normality(row: tuple[Word, ...], language: Language) -> Normality:
    """Return what a sentence calls normal and what not."""
    known = lexicon(language)
    reader = _Reader(
        row=row,
        lexicon=known,
        joints=known.starts(row, frozenset({Kind.JOINT})),
        negations=read_denials(row, known),
        within_findings=_places(known.matches(row, frozenset({Kind.FINDING}))),
    )
    return reader.read()


def _places(matches: tuple[Match, ...]) -> frozenset[int]:
    """Return the places of all words of matches."""
    return frozenset(index for match in matches for index in range(match.start, match.end))
