"""Which findings of a sentence are denied: how far a denial reaches, forwards and backwards.

No grammar is parsed. A denial holds for the findings after it until a word that ends it ("but",
"there is", "لكن"), or until a piece after "and" or a comma that begins something new ("no
pneumothorax, small left effusion", "no pneumothorax, effusion unchanged"). A denial behind its
findings ("is not seen", "غير مشاهد") reaches back over its own clause.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from core.report import Language
from model.denials import read_denials
from model.normality import read_normality
from model.qualities import read_limits
from model.terms import Kind, Lexicon, Match, lexicon
from model.words import Word

_SPOKEN = frozenset({Kind.NEGATION, Kind.FINDING})
_COMMAS = frozenset("،,()")
# Denials and what may stand against one, where no finding of the lexicon is concerned.
_DENIALS = frozenset({"before", "bare", "either", "after", "next", "inside"})
_PLURAL_VERBS = frozenset({"are", "were"})
_VERBS = _PLURAL_VERBS | {"is", "was"}
_ENGLISH_PLURALS = ("are ", "were ", "have ")
_ARABIC_PLURALS = ("ين", "ان")


@dataclass(frozen=True, kw_only=True)
class Mention:
    """A finding as a sentence names it.

    Attributes:
        is_qualified: Only some of its kind are denied ("no other nodule").
        limits: To which of its kind the denial is limited: ``acute``.
    """

    match: Match
    is_affirmed: bool
    is_qualified: bool = False
    limits: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Tone:
    """What a sentence sounds like, whatever it speaks of.

    Attributes:
        has_denial: Something is denied, in the lexicon or not.
        denies_more: Something else is denied than that a thing is normal.
        normal: The words that call something normal, clear, intact.
        plainly_normal: Those that no finding can be: "stable" is said of findings.
        abnormal: The words that deny that: "not clear", غير طبيعي.
        judged: Both by their places.
    """

    has_denial: bool
    denies_more: bool
    normal: tuple[str, ...]
    plainly_normal: tuple[str, ...]
    abnormal: tuple[str, ...]
    judged: tuple[tuple[str, int, int], ...]


@dataclass(kw_only=True)
class _Reader:
    """Reads one sentence from its first word to its last."""

    row: tuple[Word, ...]
    language: Language
    lexicon: Lexicon
    spoken: dict[int, Match]
    joints: dict[int, Match]
    openers: frozenset[int]
    lasting: frozenset[int]
    perceived: frozenset[int]
    qualifiers: dict[int, str]
    mentions: list[Mention] = field(default_factory=list)
    is_negated: bool = False
    negated_from: int = 0
    scope_start: int = 0
    denied_next: int = -1

    def read(self) -> tuple[Mention, ...]:
        position = 0
        while position < len(self.row):
            if self.is_negated and self._is_joint(position) and self._begins_anew(position):
                self._end_scope()
            match = self.spoken.get(position)
            if match is not None:
                self._take(match)
            position = match.end if match else position + 1
        return tuple(self.mentions)

    def _take(self, match: Match) -> None:
        if match.term.kind is Kind.FINDING:
            self._name(match)
        elif match.term.kind is Kind.NEGATION:
            self._deny(match)

    def _name(self, match: Match) -> None:
        inner = self.row[match.start + 1 : match.end - 1]
        is_denied = self.is_negated or match.start == self.denied_next
        is_denied |= _denies(inner, self.lexicon)
        window = range(self.negated_from if self.is_negated else match.start, match.end + 1)
        limits = frozenset(self.qualifiers[i] for i in window if is_denied and i in self.qualifiers)
        self.mentions.append(
            Mention(
                match=match, is_affirmed=not is_denied, is_qualified=bool(limits), limits=limits
            )
        )

    def _deny(self, match: Match) -> None:
        match match.name:
            case "ends" if not self.is_negated or match.start > self.negated_from:
                self._end_scope()
            case "after":
                self._deny_back(match)
            case "either" if self._reaches_back(match):
                self._deny_back(match)
            case "before" | "bare" | "either":
                self.is_negated, self.negated_from = True, match.end
                self.scope_start = len(self.mentions)
            case "next":
                self.denied_next = match.end
            case _:
                pass

    def _end_scope(self) -> None:
        self.is_negated, self.scope_start = False, len(self.mentions)

    def _deny_back(self, match: Match) -> None:
        reached = self._behind(match)
        first = len(self.mentions) - len(reached)
        self.mentions[first:] = [Mention(match=m.match, is_affirmed=False) for m in reached]

    def _reaches_back(self, denial: Match) -> bool:
        """Tell whether a denial that may reach either way is said of what stands before it.

        In English a word of perceiving is, whatever follows: "pneumothorax is not appreciated given
        the large effusion".
        """
        is_predicate = self.language is Language.EN and denial.end - 1 in self.perceived
        is_last = is_predicate or not self._finding_follows(denial.end)
        return is_last and bool(self._behind(denial))

    def _behind(self, denial: Match) -> list[Mention]:
        """Return the mentions that a denial reaches back to: its clause, a list if it is plural."""
        before = self.row[denial.start - 1].text + " " if denial.start else ""
        if self.language is Language.EN:
            is_plural = (before + denial.text).casefold().startswith(_ENGLISH_PLURALS)
            is_plural |= denial.text.casefold().startswith(_ENGLISH_PLURALS)
        else:
            is_plural = denial.text.endswith(_ARABIC_PLURALS)
        reached: list[Mention] = []
        edge = denial.start
        for mention in reversed(self.mentions[self.scope_start :]):
            span = range(mention.match.end, edge + (self.language is Language.AR and bool(reached)))
            if not is_plural and any(self._is_joint(index) for index in span):
                break
            reached.insert(0, mention)
            edge = mention.match.start
        return reached

    def _is_joint(self, index: int) -> bool:
        """Tell whether "and", its Arabic letter or a comma stands here."""
        joint = self.joints.get(index)
        return (
            self.row[index].text in _COMMAS
            or (joint is not None and joint.name == "and")
            or (self.language is Language.AR and self.lexicon.joins(self.row[index]))
        )

    def _finding_follows(self, position: int) -> bool:
        """Tell whether a finding stands between a denial and the end of its clause."""
        for index in range(position, len(self.row)):
            match = self.spoken.get(index)
            if match is not None and match.term.kind is Kind.FINDING:
                return True
            if match is not None or self._is_joint(index):
                return False
        return False

    def _begins_anew(self, index: int) -> bool:
        """Tell whether what follows "and" or a comma is said anew, not one more thing denied."""
        following = next(
            (self.spoken[i] for i in range(index, len(self.row)) if self._is_finding(i)), None
        )
        if following is None:
            return False
        is_comma = self.row[index].text in _COMMAS
        if is_comma and self._or_follows(index):
            return False
        if self.language is Language.AR:
            is_joined = is_comma and index + 1 < len(self.row)
            is_joined = is_joined and self.lexicon.joins(self.row[index + 1])
            return is_joined or following.end in self.openers
        is_opened = not self.openers.isdisjoint(range(index + 1, following.start))
        is_in_list = self._is_listed(index) if is_comma else True
        return is_opened or self._is_told_of(following, is_in_list=is_in_list)

    def _is_listed(self, comma: int) -> bool:
        """Tell whether a comma goes on with a list: "no haemorrhage, mass effect, shift is seen".

        An "and" or "or" before it has ended the list.
        """
        joints = (self.joints.get(index) for index in range(self.negated_from, comma))
        is_ended = any(joint is not None and joint.name in {"and", "or"} for joint in joints)
        return len(self.mentions) > self.scope_start + 1 and not is_ended

    def _is_told_of(self, finding: Match, *, is_in_list: bool) -> bool:
        """Tell whether English says behind a finding that it is there: "persists", "is present".

        In a list that is said of all of it: "no masses, nodules and effusion is seen".
        """
        if finding.end in self.lasting:
            return True
        verb = self.row[finding.end].text.casefold() if finding.end < len(self.row) else ""
        is_list = is_in_list and (
            verb in _PLURAL_VERBS or len(self.mentions) > self.scope_start + 1
        )
        return verb in _VERBS and finding.end + 1 in self.perceived and not is_list

    def _is_finding(self, index: int) -> bool:
        match = self.spoken.get(index)
        return match is not None and match.term.kind is Kind.FINDING

    def _or_follows(self, index: int) -> bool:
        """Tell whether the list goes on to an "or" before anything else is said."""
        for later in range(index, len(self.row)):
            match = self.spoken.get(later)
            if match is not None and match.term.kind is Kind.NEGATION:
                return False
            joint = self.joints.get(later)
            if joint is not None and joint.name == "or":
                return True
        return False


def read_mentions(row: tuple[Word, ...], language: Language) -> tuple[Mention, ...]:
    """Return the findings of a sentence in reading order, each affirmed or denied."""
    known = lexicon(language)
    deniers = read_normality(row, language).deniers
    denials = read_denials(row, known)
    spoken = {
        start: denials.get(start, match) if match.term.kind is Kind.NEGATION else match
        for start, match in known.starts(row, _SPOKEN).items()
    }
    reader = _Reader(
        row=row,
        language=language,
        lexicon=known,
        spoken={start: match for start, match in spoken.items() if start not in deniers},
        joints=known.starts(row, frozenset({Kind.JOINT})),
        openers=frozenset(known.starts(row, frozenset({Kind.OPENER}))),
        lasting=frozenset(known.starts(row, frozenset({Kind.LASTING}))),
        perceived=frozenset(known.starts(row, frozenset({Kind.PERCEIVED}))),
        qualifiers=read_limits(row, known),
    )
    return reader.read()


def read_tone(row: tuple[Word, ...], language: Language) -> Tone:
    """Return what a sentence sounds like."""
    known = lexicon(language)
    normality = read_normality(row, language)
    named = known.starts(row, frozenset({Kind.FINDING}))
    denials = [
        match
        for match in _denials(row, known)
        if match.start not in named or named[match.start].end < match.end
    ]
    return Tone(
        has_denial=bool(denials),
        denies_more=any(match.start not in normality.deniers for match in denials),
        normal=normality.normal,
        plainly_normal=normality.plainly_normal,
        abnormal=normality.abnormal,
        judged=normality.judged,
    )


def _denies(row: tuple[Word, ...], known: Lexicon) -> bool:
    return bool(_denials(row, known))


def _denials(row: tuple[Word, ...], known: Lexicon) -> list[Match]:
    found = known.matches(row, frozenset({Kind.NEGATION}))
    return [match for match in found if match.name in _DENIALS]
