"""Phantoms as pictures for a drafter."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cli.demo import PHANTOM
from cli.phantom import write_phantom
from core.drafting import ModelImage
from core.report import FrameReference
from model.phantom.case import Case, Kind, PhantomFinding, Side, Size
from model.phantom.phantoms import draw_phantom

# Of `drafted_film`.
ACCESSION = "PH002026000009"


def drafted_film(folder: Path) -> Path:
    """Write the film that the demonstration shows: its model's draft passes the checks."""
    return folder / str(write_phantom(folder, *PHANTOM).file)


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
