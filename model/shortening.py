"""What is left out of a prompt: always what names a patient, and by rule what does not fit.

Where a prompt is too long for the model's context, this goes, in this order:

1. The earlier report's impression.
2. The indication beyond its first hundred letters, then all of it.
3. Pictures, from the last one on, until one is left.

A text to translate or to summarise is never cut: half of it would be a report that says less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from core.cleaning import without_identifiers
from core.drafting import DraftContext, DraftRequest

_SHORT_INDICATION_LETTERS = 100


def allowed(context: DraftContext, identifiers: tuple[str, ...]) -> DraftContext:
    """Return a context whose free texts name no patient."""
    return replace(
        context,
        indication=without_identifiers(context.indication, identifiers),
        prior_impression=without_identifiers(context.prior_impression, identifiers),
    )


def shortened(request: DraftRequest) -> Iterator[tuple[DraftRequest, str]]:
    """Give ever shorter requests, each with a sentence that says what it leaves out."""
    if request.context.prior_impression:
        request = replace(request, context=replace(request.context, prior_impression=""))
        yield request, "The earlier impression was left out: the prompt was too long with it."
    indication = request.context.indication
    for kept in (indication[:_SHORT_INDICATION_LETTERS], ""):
        if kept != request.context.indication:
            request = replace(request, context=replace(request.context, indication=kept))
            what = "cut short" if kept else "left out"
            yield request, f"The indication was {what}: the prompt was too long with it."
    total = len(request.images)
    for count in range(total - 1, 0, -1):
        request = replace(request, images=request.images[:count])
        yield request, f"{count} of {total} pictures were shown: the prompt was too long with more."
