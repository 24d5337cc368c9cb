"""The name that a study bears where nobody may know whose it is.

A keyed digest of the Study Instance UID: the same in every export of one installation, so that
exports can be compared, a study that was held out stays held out, and one whose consent is
withdrawn is found again. Whoever has not the key can neither make nor undo it. Deleting the key's
file cuts all exports loose from the studies.

Source: HMAC (RFC 2104) with SHA-256.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from functools import cached_property
from pathlib import Path

from core.errors import PermanentError

KEY_NAME = "pseudonyms.key"
_KEY_BYTES = 32
# 64 bits: two of a million studies share a name with a chance of one in ten million.
_DIGITS = 16


class Pseudonyms:
    """The names of one installation; the key is made when the first name is."""

    def __init__(self, data_dir: Path) -> None:
        self._file = data_dir / KEY_NAME

    def of(self, study_uid: str) -> str:
        """Return the name of a study.

        Raises:
            PermanentError: The key is damaged.
        """
        return hmac.new(self._key, study_uid.encode(), hashlib.sha256).hexdigest()[:_DIGITS]

    def known(self, study_uid: str) -> str:
        """Return the name that a study would have; empty where no name was ever made."""
        return self.of(study_uid) if self._file.exists() else ""

    @cached_property
    def _key(self) -> bytes:
        with contextlib.suppress(FileExistsError):
            self._make()
        key = self._file.read_bytes()
        if len(key) != _KEY_BYTES:
            raise PermanentError(
                f"{self._file} is damaged: without its key anybody could tell whose a name is. "
                "Restore it, or delete it: exports then have new names."
            )
        return key

    def _make(self) -> None:
        """Write a key, whole or not at all, unless there is one.

        Raises:
            FileExistsError: There is.
        """
        if self._file.exists():
            raise FileExistsError
        made = self._file.with_name(f"{KEY_NAME}.{os.getpid()}")
        made.touch(mode=0o600)
        with made.open("wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            # Not renamed: that would take the place of a key that another process made meanwhile.
            os.link(made, self._file)
        finally:
            made.unlink()
