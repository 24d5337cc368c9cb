"""Safetensors files looked at from the outside: complete or not, without reading the tensors."""

from __future__ import annotations

import json
from pathlib import Path

from core.errors import CheckpointError

INDEX_NAME = "model.safetensors.index.json"
SINGLE_NAME = "model.safetensors"

# A header is a table of tensor names; the safetensors library itself refuses more than this.
_MAX_HEADER_BYTES = 100_000_000
_LENGTH_BYTES = 8


def weight_files(folder: Path) -> tuple[Path, ...]:
    """Return the weight files of a checkpoint, sorted by name.

    Raises:
        CheckpointError: There are none, or the index names one that is not there.
    """
    index = folder / INDEX_NAME
    if index.is_file():
        files = tuple(folder / name for name in _names_in(index))
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise CheckpointError(
                f"{folder} lacks the weight files {', '.join(missing)} that its {INDEX_NAME} names."
            )
        return files
    if (folder / SINGLE_NAME).is_file():
        return (folder / SINGLE_NAME,)
    raise CheckpointError(
        f"{folder} has no weights: neither {SINGLE_NAME} nor {INDEX_NAME} is there. "
        "Weights in pickle files (.bin, .pt) are not read."
    )


def _names_in(index: Path) -> list[str]:
    """Return the file names of an index; a name that leads out of the folder is refused."""
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise CheckpointError(f"{index} cannot be read: {error}.") from None
    if not names or any(not isinstance(name, str) or Path(name).name != name for name in names):
        raise CheckpointError(f"{index} names no weight files, or ones outside its folder.")
    return names


def check_complete(file: Path) -> None:
    """Compare a safetensors file's length with what its header promises.

    Raises:
        CheckpointError: The file is cut short, too long, or no safetensors file.

    Source: the safetensors format: 8 bytes of header length (little endian), header (JSON), data.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
        if length > min(size, _MAX_HEADER_BYTES):
            raise CheckpointError(f"{file} is truncated or is no safetensors file.")
        header = stream.read(length)
    try:
        entries = json.loads(header)
        end = max(
            (int(e["data_offsets"][1]) for name, e in entries.items() if name != "__metadata__"),
            default=0,
        )
    except (ValueError, KeyError, AttributeError, TypeError, IndexError):
        raise CheckpointError(f"{file} is damaged: its header cannot be read.") from None
    expected = _LENGTH_BYTES + length + end
    if size != expected:
        raise CheckpointError(
            f"{file} is truncated or damaged: it has {size} bytes, its header promises {expected}."
        )
