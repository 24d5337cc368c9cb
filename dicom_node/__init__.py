"""DICOM: receiving studies, making pictures of them, writing structured reports and sending them.

Three rules hold in the whole package, and this file enforces them:

* pydicom's warnings quote the values that they complain of, names of patients among them. Objects
  are therefore read under ``pydicom_warnings("ignore")``, written under
  ``pydicom_warnings("error")``, and the ``pydicom`` logger, which gets the same sentences, is off.
* pynetdicom logs identifiers (LOG_REQUEST_IDENTIFIERS, LOG_RESPONSE_IDENTIFIERS): off. Its
  formatted dumps of every message are off too; they cost a tenth of the speed.
* What pydicom raises when it meets a broken object stands in `PYDICOM_ERRORS`; nothing else is
  caught when somebody else's object is read.
"""

from __future__ import annotations

import logging
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from pydicom.errors import BytesLengthException, InvalidDicomError
from pynetdicom import _config

PYDICOM_ERRORS = (
    ValueError,  # also UnicodeError
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    OverflowError,
    EOFError,
    NotImplementedError,
    RecursionError,  # sequences nested beyond any sense
    RuntimeError,  # a decoder that failed
    struct.error,
    zlib.error,
    # These have Exception for their base.
    BytesLengthException,
    InvalidDicomError,
)

_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False
_config.LOG_HANDLER_LEVEL = "none"
# Importing pydicom sets its own level, so ours comes after.
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)

# warnings.catch_warnings swaps state of the whole process: two threads that interleave would leave
# the wrong filters behind.
_WARNINGS_LOCK = threading.RLock()


@contextmanager
def pydicom_warnings(action: Literal["ignore", "error"]) -> Iterator[None]:
    """Ignore warnings while foreign objects are read; raise them while ours are written.

    Calls in several threads wait for each other.
    """
    with _WARNINGS_LOCK, warnings.catch_warnings():
        warnings.simplefilter(action)
        yield
