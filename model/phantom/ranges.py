"""From where the numbers of a phantom are drawn: how the patient stands, how the film is exposed.

`TRAINING` is what a model learns from. `UNSEEN` lies partly outside it: more turned, more unevenly
exposed, grainier films of narrower and wider chests, so that an evaluation tells more than memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Ranges:
    """Lowest and highest value of each number; angles in radians, lengths in half picture widths.

    Attributes:
        angle: How far the whole body is tilted.
        turn: How far the patient is rotated: one lung looks wider, the other narrower.
        scale: Size of the body against the picture, across and down.
        shift: Distance of its middle from the picture's, across and down.
        lung_width: Half the width of a lung.
        dome: Height of the left diaphragm.
        ribs: Strength of the ribs.
        lungs: How much less the lungs weaken the beam than flesh.
        lesions: Strength of what lies in the lungs.
        gamma: Exponent of the film's curve.
        floor: Grey of what is black at the best.
        ceiling: Grey of what is white at the best.
        grain: Standard deviation of the noise in a picture of 160 pixels.
        blur: Radius of the unsharpness, in pixels of a picture of 160.
        stretch: Width of the film against its height.
    """

    angle: Range = (-0.06, 0.06)
    turn: Range = (-0.08, 0.08)
    scale: Range = (0.82, 1.1)
    shift: Range = (-0.08, 0.08)
    lung_width: Range = (0.34, 0.4)
    dome: Range = (0.38, 0.54)
    ribs: Range = (0.7, 1.3)
    lungs: Range = (0.46, 0.62)
    lesions: Range = (0.5, 0.85)
    gamma: Range = (0.6, 1.3)
    floor: Range = (0.0, 0.3)
    ceiling: Range = (0.78, 1.0)
    grain: Range = (0.003, 0.02)
    blur: Range = (0.2, 1.0)
    stretch: Range = (0.85, 1.1)


TRAINING = Ranges()
UNSEEN = Ranges(
    angle=(-0.075, 0.075),
    turn=(-0.1, 0.1),
    scale=(0.8, 1.13),
    shift=(-0.095, 0.095),
    lung_width=(0.33, 0.41),
    ribs=(0.6, 1.4),
    gamma=(0.55, 1.4),
    floor=(0.0, 0.35),
    grain=(0.003, 0.025),
    blur=(0.2, 1.2),
    stretch=(0.82, 1.13),
)


def draw(span: Range, rng: np.random.Generator) -> float:
    """Return a number of a range, each as likely as another."""
    return float(rng.uniform(*span))
