"""Weight files: which there are, what is in them, and one tensor at a time.

What is in a file is read from its header: seconds for any size, and a file that is cut short is
found before the first tensor is read. Pickle files are read without running what they name.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core.errors import CheckpointError

SAFETENSORS = "model.safetensors"
PICKLE = "pytorch_model.bin"
INDEX_SUFFIX = ".index.json"

# A header is a table of tensor names; the safetensors library itself refuses more than this.
_MAX_HEADER_BYTES = 100_000_000
_LENGTH_BYTES = 8
# The number formats of LLaVA's weights; what else the format has is no weight that we load.
_FORMATS = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True, kw_only=True)
class TensorEntry:
    """One tensor of a file, from the file's header.

    Attributes:
        key: Its name in the file.
        dtype: Number format; None for one that torch has no name for.
    """

    file: Path
    key: str
    shape: tuple[int, ...]
    dtype: torch.dtype | None

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


def weight_files(folder: Path, names: tuple[str, ...] = (SAFETENSORS, PICKLE)) -> tuple[Path, ...]:
    """Return the weight files of a folder, sorted by name; safetensors before pickle files.

    Args:
        folder: The folder.
        names: What a single file may be called, in order of preference; with `.index.json` after
            it, the index of one that was cut into shards.

    Raises:
        CheckpointError: There are none, or the index names one that is not there.
    """
    for name in names:
        index = folder / f"{name}{INDEX_SUFFIX}"
        if index.is_file():
            files = tuple(folder / shard for shard in _names_in(index))
            missing = [file.name for file in files if not file.is_file()]
            if missing:
                raise CheckpointError(
                    f"{folder} lacks the weight files {', '.join(missing)} that its "
                    f"{index.name} names."
                )
            return files
        if (folder / name).is_file():
            return (folder / name,)
    raise CheckpointError(
        f"{folder} has no weights: none of {', '.join(names)} is there, nor an index of shards."
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


def read_entries(file: Path) -> tuple[TensorEntry, ...]:
    """Return what is in a file, from its header alone.

    Raises:
        CheckpointError: The file is cut short, damaged, or a pickle file that names more than
            tensors.
    """
    try:
        if file.suffix == ".safetensors":
            return _safetensors_entries(file)
        found = _load_pickle(file, "meta")
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror}.") from None
    return tuple(
        TensorEntry(file=file, key=key, shape=tuple(value.shape), dtype=value.dtype)
        for key, value in found.items()
    )


def _safetensors_entries(file: Path) -> tuple[TensorEntry, ...]:
    """Read a header, and compare the file's length with what it promises.

    Source: the safetensors format: 8 bytes of header length (little endian), header (JSON), data.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
        if length > min(size, _MAX_HEADER_BYTES):
            raise CheckpointError(f"{file} is truncated or is no safetensors file.")
        header = stream.read(length)
    try:
        table = {k: v for k, v in json.loads(header).items() if k != "__metadata__"}
        end = max((int(value["data_offsets"][1]) for value in table.values()), default=0)
        entries = tuple(
            TensorEntry(
                file=file,
                key=key,
                shape=tuple(int(edge) for edge in value["shape"]),
                dtype=_FORMATS.get(value["dtype"]),
            )
            for key, value in table.items()
        )
    except (ValueError, KeyError, AttributeError, TypeError, IndexError):
        raise CheckpointError(f"{file} is damaged: its header cannot be read.") from None
    expected = _LENGTH_BYTES + length + end
    if size != expected:
        raise CheckpointError(
            f"{file} is truncated or damaged: it has {size} bytes, its header promises {expected}."
        )
    return entries


def _load_pickle(file: Path, device: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a pickle file: on ``meta`` their shapes only, on ``cpu`` mapped."""
    if not zipfile.is_zipfile(file):
        raise CheckpointError(f"{file} is truncated or is no file that torch wrote.")
    try:
        found = torch.load(file, map_location=device, weights_only=True, mmap=True)
    except Exception:  # noqa: BLE001 - a damaged pickle raises anything; torch's advice is unsafe
        raise CheckpointError(
            f"{file} is damaged, or names code to be run: only plain tensors are read."
        ) from None
    if not isinstance(found, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in found.items()
    ):
        raise CheckpointError(f"{file} holds something other than a table of tensors.")
    return found


def is_finite(tensor: torch.Tensor) -> bool:
    """Say whether no number of a tensor is NaN or infinite.

    Both show in the extremes, which are found ten times faster than a look at each number.
    """
    return not tensor.numel() or all(bool(end.isfinite()) for end in torch.aminmax(tensor))


@contextmanager
def open_tensors(file: Path) -> Iterator[Callable[[str], torch.Tensor]]:
    """Give a function that returns a tensor of a file by its name in the file, on the CPU.

    Raises:
        CheckpointError: The file cannot be read.
    """
    if file.suffix != ".safetensors":
        yield _load_pickle(file, "cpu").__getitem__
        return
    from safetensors import SafetensorError, safe_open

    opened: Any
    try:
        opened = safe_open(file, framework="pt")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} is damaged: {error}.") from None
    with opened as tensors:
        yield tensors.get_tensor
