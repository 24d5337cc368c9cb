"""What people change in drafts, in numbers: by language and modality, over all that was signed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Integer, cast, func, select
from sqlalchemy.orm import Session

from core.tables import SignedText


@dataclass(frozen=True, kw_only=True)
class Edits:
    """The signed texts of one language and modality.

    Attributes:
        texts: How many: each language of a study counts once, as its newest version says.
        accepted: How many of them were signed as they were drafted, letter for letter.
        distance: Sum of their edit distances, each 0 (the same) to 1.
    """

    language: str
    modality: str
    texts: int
    accepted: int
    distance: float

    @property
    def accepted_share(self) -> float:
        """Share of texts that were signed without a change."""
        return self.accepted / self.texts

    @property
    def mean_distance(self) -> float:
        """Mean edit distance of a text."""
        return self.distance / self.texts


def count_edits(session: Session, *, since: datetime | None = None) -> Sequence[Edits]:
    """Return the numbers by language and modality, of what was signed since then."""
    query = (
        select(
            SignedText.language,
            SignedText.modality,
            func.count(),
            func.sum(cast(SignedText.is_accepted, Integer)),
            func.sum(SignedText.distance),
        )
        .group_by(SignedText.language, SignedText.modality)
        .order_by(SignedText.language.desc(), SignedText.modality)
    )
    if since is not None:
        query = query.where(SignedText.signed_at >= since)
    return [
        Edits(
            language=row[0],
            modality=row[1],
            texts=row[2],
            accepted=int(row[3]),
            distance=float(row[4]),
        )
        for row in session.execute(query)
    ]
