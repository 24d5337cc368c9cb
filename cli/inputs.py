"""Files, folders and zip archives that a person named, as a list of files."""

from __future__ import annotations

import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

# What zipfile raises for damage, a password (RuntimeError) and an unknown method.
_UNPACKING_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,
    NotImplementedError,
)


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What was found.

    Attributes:
        files: Files to look at; those out of an archive lie in a temporary folder.
        missing: Paths that do not exist.
        unreadable: Archives, or files in them, that cannot be unpacked: ``PATH: why``.
        names: What a person would call a file that lies elsewhere.
    """

    files: list[Path] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    names: dict[Path, str] = field(default_factory=dict)

    def name_of(self, path: Path) -> str:
        """Return a file's name as the person knows it."""
        return self.names.get(path, str(path))


@contextmanager
def opened(paths: Sequence[Path]) -> Iterator[Inputs]:
    """Look into folders and archives; what archives held is removed at the end."""
    inputs = Inputs()
    with tempfile.TemporaryDirectory(prefix="taqrir-send-") as folder:
        for path in paths:
            _open(path, inputs, Path(folder))
        yield inputs


def _open(path: Path, inputs: Inputs, scratch: Path) -> None:
    if path.is_dir():
        inputs.files.extend(sorted(p for p in path.rglob("*") if p.is_file()))
    elif not path.is_file():
        inputs.missing.append(str(path))
    elif zipfile.is_zipfile(path):
        _unpack(path, inputs, scratch)
    else:
        inputs.files.append(path)


def _unpack(path: Path, inputs: Inputs, scratch: Path) -> None:
    """Copy an archive's files out under names of our own: theirs could lead anywhere."""
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        inputs.unreadable.append(f"{path}: the archive is damaged")
        return
    with archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            name = f"{path}:{member.filename}"
            target = scratch / f"{len(inputs.files):08d}.dcm"
            try:
                with archive.open(member) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
            except _UNPACKING_ERRORS as error:
                inputs.unreadable.append(f"{name}: {_why(error)}")
                continue
            inputs.files.append(target)
            inputs.names[target] = name


def _why(error: Exception) -> str:
    match error:
        case NotImplementedError():
            return "packed by a method that is not supported"
        case RuntimeError():
            return "a password is needed"
        case _:
            return "the archive is damaged"
