"""The real radiograph that the demonstration sends: a PA chest film of `pydicom-data`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from core.errors import PermanentError

# RG1 of the NEMA compression samples: CR, MONOCHROME1, Patient Orientation L\F.
_CHEST_FILM = "data_store/data/RG1_UNCR.dcm"


def chest_film() -> Path:
    """Return the film's file.

    The package is looked up by hand: pydicom's own search would try to download what it misses.

    Raises:
        PermanentError: The package is not installed.
    """
    spec = find_spec("data_store")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder).parent / _CHEST_FILM
        if path.exists():
            return path
    raise PermanentError(
        "the sample film is not installed: install taqrir[demo], or name files with --dicom"
    )
