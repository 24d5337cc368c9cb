"""Files, folders and zip archives that a person named, as a list of files."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What was found.

    Attributes:
        files: Files to look at; those out of an archive lie in a temporary folder.
        missing: Paths that do not exist.
        names: What a person would call a file that lies elsewhere.
    """

    files: list[Path] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
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
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            target = scratch / f"{len(inputs.files):08d}.dcm"
            with archive.open(member) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy)
            inputs.files.append(target)
            inputs.names[target] = f"{path}:{member.filename}"
