"""Phantoms as pictures for a drafter."""

from __future__ import annotations

import numpy as np

from core.drafting import ModelImage
from core.report import FrameReference
from model.phantom.case import Case, Kind, PhantomFinding, Side, Size
from model.phantom.phantoms import draw_phantom


def picture(*findings: PhantomFinding, seed: int = 5) -> ModelImage:
    """Return a phantom that shows some findings, its sides known."""
    made = draw_phantom(Case(findings=findings), np.random.default_rng(seed))
    frame = FrameReference(
        series_uid="2.25.1", sop_class_uid="1.2.840.10008.5.1.4.1.1.1", sop_instance_uid="2.25.2"
    )
    return ModelImage(pixels=made.pixels, frame=frame, is_orientation_known=True)


def effusion(side: Side) -> PhantomFinding:
    """Return a large pleural effusion."""
    return PhantomFinding(kind=Kind.EFFUSION, side=side, size=Size.LARGE)
