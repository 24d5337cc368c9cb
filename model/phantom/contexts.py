"""Contexts of phantoms: what studies bring beside their pictures, and what orders may hold."""

from __future__ import annotations

import numpy as np

from core.drafting import DraftContext

INDICATIONS = (
    "cough",
    "fever and cough",
    "dyspnoea",
    "shortness of breath",
    "chest pain",
    "pre-operative assessment",
    "follow-up",
    "trauma",
    "weight loss",
    "known malignancy",
    "rule out pneumonia",
    "routine check",
    "سعال",
    "ألم في الصدر",
    "ضيق في التنفس",
    "حمى",
)
_SCRIBBLES = (
    "abcdefghijklmnopqrstuvwxyz",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "aeiourstlnmpdchbg.,;:?!/()-+",
    "0123456789/.-mcTL",
    "ابتثجحخدذرزسشصضطظعغفقكلمنهويةىأإءؤئ",
)
_SCRIBBLED, _KNOWN_WORDS, _ONE_LETTER = 0.25, 0.25, 0.06


def draw_context(rng: np.random.Generator) -> DraftContext:
    """Return a context such as studies bring, each part absent now and then.

    It is drawn apart from the case: the pictures, not the context, are to decide what is written.
    """

    def one_of(values: tuple[str, ...], absent: float) -> str:
        return "" if rng.random() < absent else values[int(rng.integers(len(values)))]

    ages = tuple(f"{decade}-{decade + 9}" for decade in range(0, 90, 10))
    return DraftContext(
        modality=one_of(("CR", "DX"), 0.1),
        body_part=one_of(("CHEST", "THORAX"), 0.2),
        view=one_of(("PA", "AP"), 0.3),
        sex=one_of(("M", "F", "O"), 0.2),
        age_band=one_of((*ages, "90+"), 0.4),
        indication=_scribble(rng) if rng.random() < _SCRIBBLED else one_of(INDICATIONS, 0.5),
    )


def _scribble(rng: np.random.Generator) -> str:
    """Return words that mean nothing, of either script.

    An order's indication is free text: what the model has never seen must not put it off its task.
    """
    letters = _SCRIBBLES[int(rng.integers(len(_SCRIBBLES)))]
    words = []
    for _ in range(int(rng.integers(1, 9))):
        if rng.random() < _KNOWN_WORDS:
            words += INDICATIONS[int(rng.integers(len(INDICATIONS)))].split()
        else:
            length = int(rng.integers(1, 10))
            words.append("".join(letters[int(i)] for i in rng.integers(len(letters), size=length)))
    if rng.random() < _ONE_LETTER:
        words.append(letters[int(rng.integers(len(letters)))] * int(rng.integers(5, 60)))
    return " ".join(words)
