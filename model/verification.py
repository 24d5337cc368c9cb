"""A checkpoint folder read to its last byte: what a quick look at headers cannot see."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from core.errors import CheckpointError
from model.checkpoint import open_plan
from model.fingerprint import DigestCache, FileDigest, folder_digest, version_of
from model.plan import Plan
from model.weights import is_finite

SUMS_NAME = "SHA256SUMS"
# Where the Hub's download tool notes what the Hub says of each file: commit, digest, time.
_DOWNLOAD_NOTES = Path(".cache/huggingface/download")
_SHA256 = re.compile(r"^[0-9a-f]{64}$")
_SUM_LINE = re.compile(r"^(?P<sha256>[0-9a-fA-F]{64}) [ *](?P<name>.+)$")


@dataclass(frozen=True, kw_only=True)
class CheckedFile:
    """One file of the folder.

    Attributes:
        compared_with: Where its digest also stands, empty where nowhere.
    """

    file: Path
    sha256: str
    compared_with: str


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was found in a folder.

    Attributes:
        revision: The digest that drafts will carry; empty where it could not be taken.
        faults: In words; empty for a sound folder.
    """

    revision: str
    files: tuple[CheckedFile, ...]
    faults: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        """Nothing was found wrong."""
        return not self.faults


def verify_checkpoint(
    folder: Path,
    *,
    cache_file: Path | None = None,
    on_step: Callable[[str], None] = lambda _words: None,
) -> Verification:
    """Read a whole folder; a digest that is found sound is kept for the next load.

    Args:
        folder: The checkpoint.
        cache_file: Where digests are kept; see `model.fingerprint`.
        on_step: Called with what comes next, in words.
    """
    on_step("headers, configuration and tokenizer")
    try:
        plan, _ = open_plan(folder)
    except CheckpointError as error:
        return Verification(revision="", files=(), faults=(str(error),))
    files: list[CheckedFile] = []
    faults: list[str] = []
    digests: list[str] = []
    cache = DigestCache(cache_file)
    for part in plan.blueprint.folders:
        on_step(f"digests of {part}")
        digest, found, wrong = _check_digests(part, cache)
        digests.append(digest)
        files += found
        faults += wrong
    on_step("weights")
    faults += _weight_faults(plan)
    revision = "" if faults else version_of(folder, digests).revision
    return Verification(revision=revision, files=tuple(files), faults=tuple(faults))


def _check_digests(folder: Path, cache: DigestCache) -> tuple[str, list[CheckedFile], list[str]]:
    """Compare each file's digest with what is noted of it, and keep the folder's where all fit.

    Returns:
        The folder's digest, its files, and what is wrong.
    """
    files: list[CheckedFile] = []
    faults: list[str] = []
    taken: list[FileDigest] = []
    known = cache.known(folder)
    try:
        sums = _read_sums(folder)
        digest = folder_digest(folder, taken.append)
    except CheckpointError as error:
        return "", [], [str(error)]
    for one in taken:
        noted = _noted(one.file, sums)
        files.append(CheckedFile(file=one.file, sha256=one.sha256, compared_with=", ".join(noted)))
        faults += [
            f"{one.file} has the SHA-256 {one.sha256}, {where} says {expected}."
            for where, expected in noted.items()
            if expected != one.sha256
        ]
    present = {one.file.name for one in taken}
    faults += [
        f"{folder / name} stands in {SUMS_NAME} and is not there."
        for name in sums.keys() - present
        if not (folder / name).is_file()
    ]
    if known and known != digest:
        faults.append(
            f"{folder} has other contents than at an earlier load, though no file's size or time "
            "has changed: the disk may be failing."
        )
    if not faults:
        cache.keep(folder, digest)
    return digest, files, faults


def _read_sums(folder: Path) -> dict[str, str]:
    """Return the digests of `SHA256SUMS` by file name, as `sha256sum` writes it."""
    file = folder / SUMS_NAME
    if not file.is_file():
        return {}
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        raise CheckpointError(f"{file} cannot be read.") from None
    found = [_SUM_LINE.match(line) for line in lines if line.strip()]
    if not all(found):
        raise CheckpointError(f"{file} is not what sha256sum writes.")
    return {line["name"].removeprefix("./"): line["sha256"].lower() for line in found if line}


def _noted(file: Path, sums: dict[str, str]) -> dict[str, str]:
    """Return what is noted of a file, by where it is noted."""
    noted = {SUMS_NAME: sums[file.name]} if file.name in sums else {}
    note = file.parent / _DOWNLOAD_NOTES / f"{file.name}.metadata"
    try:
        digest = note.read_text(encoding="utf-8").splitlines()[1].strip()
    except (OSError, ValueError, IndexError):
        return noted
    # Small files are noted by their digest in git, which is of another kind.
    return {**noted, "the download's note": digest} if _SHA256.match(digest) else noted


def _weight_faults(plan: Plan) -> Iterator[str]:
    """Give every weight that is NaN or infinite, in its file or after the adapter's change."""
    try:
        for name, tensor in plan.tensors():
            if not is_finite(tensor):
                entry = plan.entries[name]
                wrong = int((~torch.isfinite(tensor)).sum())
                yield (
                    f"{entry.file}: {entry.key} holds {wrong} NaN or infinite numbers of "
                    f"{tensor.numel()}."
                )
    except CheckpointError as error:
        yield str(error)
