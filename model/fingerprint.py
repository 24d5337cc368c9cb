"""Which model lies in a folder: its name, and a digest over its files that is taken once.

A digest over 16 GB takes half a minute. It is kept in a small file of Taqrir's own, and believed
as long as no file of the folder has changed its size, times or place on the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.clock import utcnow
from core.errors import CheckpointError
from core.report import ModelVersion
from model.layouts import CARD_NAME, Layout, read_blueprint, read_card

CACHE_NAME = "model-fingerprints.json"

_CHUNK_BYTES = 1 << 20
_REVISION_DIGITS = 12
_DIGEST_DIGITS = 64
# A file that was written within the clock's coarseness may change again without its times showing.
_SETTLED_SECONDS = 3.0

_Signature = list[list[str | int]]


@dataclass(frozen=True, kw_only=True)
class FileDigest:
    """SHA-256 of one file's contents."""

    file: Path
    sha256: str


def files_that_count(folder: Path) -> list[Path]:
    """Return the files that the digest is taken over, sorted by name.

    Files that begin with a dot are a download tool's, and those that end in `.md` are for people:
    neither counts.

    Raises:
        CheckpointError: The folder is not there or cannot be read.
    """
    if not folder.is_dir():
        raise CheckpointError(f"There is no model folder at {folder}.")
    try:
        return [
            file
            for file in sorted(folder.iterdir())
            if file.is_file() and not file.name.startswith(".") and file.suffix != ".md"
        ]
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be read: {error.strerror}.") from None


def folder_digest(folder: Path, on_file: Callable[[FileDigest], None] | None = None) -> str:
    """Return the digest over names and contents of a folder's files, each framed by its length.

    Args:
        folder: The folder.
        on_file: Called with each file's own digest, which doubles the work.

    Raises:
        CheckpointError: The folder is not there or cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for file in files_that_count(folder):
            own = hashlib.sha256()
            digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
            with file.open("rb") as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    if on_file:
                        own.update(chunk)
            if on_file:
                on_file(FileDigest(file=file, sha256=own.hexdigest()))
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be read: {error.strerror}.") from None
    return digest.hexdigest()


class DigestCache:
    """Digests of folders, kept in a file; without one they are taken each time."""

    def __init__(self, file: Path | None = None) -> None:
        """Remember where digests are kept; a file that cannot be read is as good as none."""
        self._file = file

    def known(self, folder: Path) -> str | None:
        """Return a folder's digest if it was taken and nothing has changed since."""
        kept = self._read().get(str(folder.resolve()))
        if not isinstance(kept, dict) or kept.get("signature") != _signature(folder):
            return None
        digest = kept.get("digest")
        return digest if isinstance(digest, str) and len(digest) == _DIGEST_DIGITS else None

    def digest(self, folder: Path) -> str:
        """Return a folder's digest, taking it where it is not known.

        Raises:
            CheckpointError: The folder is not there or cannot be read.
        """
        if known := self.known(folder):
            return known
        before = _signature(folder)
        digest = folder_digest(folder)
        if before == _signature(folder):
            self.keep(folder, digest)
        return digest

    def keep(self, folder: Path, digest: str) -> None:
        """Write a digest down, unless a file is so new that a change might not show."""
        if self._file is None or not _is_settled(folder):
            return
        kept = self._read()
        kept[str(folder.resolve())] = {"signature": _signature(folder), "digest": digest}
        # Several workers may start at once: each writes a file of its own and moves it in place.
        part = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        try:
            part.write_text(json.dumps(kept, indent=1), encoding="utf-8")
            part.replace(self._file)
        except OSError:
            # A folder that cannot be written only costs the time of the next digest.
            part.unlink(missing_ok=True)

    def _read(self) -> dict[str, object]:
        try:
            kept = json.loads(self._file.read_text(encoding="utf-8")) if self._file else {}
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}


def _signature(folder: Path) -> _Signature:
    """Return what shows a change of a file without its being read; ctime cannot be set back."""
    rows: _Signature = []
    for file in files_that_count(folder):
        stat = file.stat()
        rows.append([file.name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino])
    return rows


def _is_settled(folder: Path) -> bool:
    newest = max((file.stat().st_ctime for file in files_that_count(folder)), default=0.0)
    return utcnow().timestamp() - newest > _SETTLED_SECONDS


def read_version(folder: Path, cache_file: Path | None = None) -> ModelVersion:
    """Return which model lies in a folder.

    Args:
        folder: The checkpoint.
        cache_file: Where digests are kept; without it every file is read.

    Raises:
        CheckpointError: The folder is not there or cannot be read.
    """
    cache = DigestCache(cache_file)
    return version_of(folder, [cache.digest(part) for part in _parts(folder)])


def known_version(folder: Path, cache_file: Path | None) -> ModelVersion | None:
    """Return which model lies in a folder if its files were read before, else None.

    Raises:
        CheckpointError: The folder is not there or cannot be read.
    """
    cache = DigestCache(cache_file)
    digests = [cache.known(part) for part in _parts(folder)]
    known = [digest for digest in digests if digest]
    return version_of(folder, known) if len(known) == len(digests) else None


def _parts(folder: Path) -> tuple[Path, ...]:
    """Return every folder that the model is made of: an adapter alone is not a model."""
    if not folder.is_dir():
        raise CheckpointError(f"There is no model folder at {folder}.")
    blueprint = read_blueprint(folder)
    return (folder,) if blueprint.layout is Layout.HF else blueprint.folders


def version_of(folder: Path, digests: Sequence[str]) -> ModelVersion:
    """Return name and revision; the digest of one folder alone stands as it is.

    Args:
        folder: The checkpoint.
        digests: Of every folder that it is made of, its own first.

    Raises:
        CheckpointError: The card is damaged.
    """
    revision = digests[0]
    if len(digests) > 1:
        revision = hashlib.sha256("\0".join(digests).encode()).hexdigest()
    name, is_demonstration = read_name(folder)
    return ModelVersion(
        name=name, revision=revision[:_REVISION_DIGITS], is_demonstration=is_demonstration
    )


def adapter_version(
    base: ModelVersion, name: str, folder: Path, cache_file: Path | None
) -> ModelVersion:
    """Return which model answers with an adapter that is switched on over a base.

    Raises:
        CheckpointError: The adapter's folder is not there or cannot be read.
    """
    digests = (base.revision, DigestCache(cache_file).digest(folder))
    revision = hashlib.sha256("\0".join(digests).encode()).hexdigest()[:_REVISION_DIGITS]
    return ModelVersion(
        name=f"{base.name} + {name}", revision=revision, is_demonstration=base.is_demonstration
    )


def read_name(folder: Path) -> tuple[str, bool]:
    """Return name and demonstration flag from `taqrir.json`; without one the folder's name.

    Raises:
        CheckpointError: The card is damaged.
    """
    if not (folder / CARD_NAME).is_file():
        return folder.resolve().name, False
    card = read_card(folder)
    # An adapter's card may only say where its base lies.
    name = card.get("name", folder.resolve().name if "base" in card else None)
    is_demonstration = card.get("is_demonstration", False)
    if not isinstance(name, str) or not name.strip() or not isinstance(is_demonstration, bool):
        raise CheckpointError(
            f"{folder / CARD_NAME}: name must be text and is_demonstration true or false."
        )
    return name.strip(), is_demonstration
