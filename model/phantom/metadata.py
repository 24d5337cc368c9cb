"""What a phantom's object says of itself: a patient who is none, a study, how it is stored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.phantom.anatomy import Field
from model.phantom.film import Photometric, StoredFilm, store

_METADATA = 3
_BITS = (8, 10, 12, 14, 16)


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """All that is written beside the pixels."""

    patient_id: str
    patient_name: str
    sex: str
    accession_number: str
    study_date: str
    study_time: str
    bits: int
    photometric: Photometric

    def store(self, film: Field) -> StoredFilm:
        """Return a film as this object's detector stores it."""
        return store(film, self.bits, self.photometric)


def metadata_of(seed: int, index: int) -> Metadata:
    """Return a phantom's metadata, always the same; drawn apart from its film."""
    rng = np.random.default_rng([seed, index, _METADATA])
    photometric = tuple(Photometric)[int(rng.integers(len(Photometric)))]
    return Metadata(
        patient_id=f"PHANTOM-{seed}-{index:06}",
        patient_name=f"Phantom^Number {index}",
        sex="MFO"[int(rng.integers(3))],
        accession_number=f"PH{seed % 10**6:06}{index:06}",
        study_date="20260101",
        study_time=f"{8 + int(rng.integers(9)):02}{int(rng.integers(60)):02}00",
        bits=int(rng.choice(_BITS)),
        photometric=photometric,
    )
