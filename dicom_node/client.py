"""Verification and storage as SCU: one object to a PACS, or many files to a node.

Objects leave as the bytes they were handed over in: pynetdicom is told to send the data set from
the file (``STORE_SEND_CHUNKED_DATASET``) instead of decoding and encoding it anew. Proposed is the
file's own transfer syntax, and for a document of ours beside it, in a context of its own, Implicit
VR Little Endian (PS3.5 10.1): only a peer that takes nothing else is sent the document in that.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import _config, build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at run time

from core.errors import (
    PeerRefusedError,
    PeerUnreachableError,
    TransientError,
    UnreadableInstanceError,
)
from dicom_node.connecting import Peer, associate
from dicom_node.header import InstanceHeader, read_header
from dicom_node.rewriting import in_implicit_vr
from dicom_node.store_status import SUCCESS, StoreAnswer, judge

__all__ = ["Peer", "SentFile", "StoreAnswer", "echo", "send_files", "store"]

_config.STORE_SEND_CHUNKED_DATASET = True

# PS3.8 9.3.2: context identifiers are the odd numbers of one byte.
_MAX_CONTEXTS = 128


@dataclass(frozen=True, kw_only=True)
class SentFile:
    """What became of one file.

    Attributes:
        problem: A sentence; empty where the file was stored.
    """

    path: Path
    sop_instance_uid: str = ""
    answer: StoreAnswer | None = None
    problem: str = ""

    @property
    def is_stored(self) -> bool:
        """Whether the peer keeps it."""
        return not self.problem


def echo(peer: Peer) -> None:
    """Ask the peer for a sign of life (C-ECHO).

    Raises:
        PeerUnreachableError: No connection, or no answer in time.
        PeerRefusedError: The answer was no.
        TransientError: The answer was "not now".
    """
    with associate(peer, [build_context(Verification)]) as association:
        status = _status_of(association.send_c_echo(), peer)
        if status != SUCCESS:
            raise PeerRefusedError(f"{peer} answered C-ECHO with status {status:04X}.")


def store(peer: Peer, data: bytes) -> StoreAnswer:
    """Send one object, given as a whole DICOM file, as those very bytes.

    Raises:
        NoConnectionError: No connection.
        PeerUnreachableError: It broke before the answer came: whether the peer keeps the object is
            unknown.
        PeerRefusedError: The answer was no.
        TransientError: The answer was "not now".
        UnreadableInstanceError: The bytes are no DICOM file.
    """
    header = read_header(BytesIO(data))
    syntaxes = [header.transfer_syntax_uid]
    if header.transfer_syntax_uid == ExplicitVRLittleEndian:
        syntaxes.append(ImplicitVRLittleEndian)
    contexts = [build_context(header.sop_class_uid, syntax) for syntax in syntaxes]
    with (
        associate(peer, contexts) as association,
        # pynetdicom sends undecoded bytes from a file only.
        tempfile.NamedTemporaryFile(suffix=".dcm") as file,
    ):
        taken = [str(c.transfer_syntax[0]) for c in association.accepted_contexts]
        is_own = header.transfer_syntax_uid in taken
        file.write(data if is_own else in_implicit_vr(data))
        file.flush()
        answer = _store_file(association, Path(file.name), peer)
    if answer.is_success:
        return answer
    if answer.is_passing:
        raise TransientError(_refusal(peer, answer), words=answer.comment)
    raise PeerRefusedError(_refusal(peer, answer), words=answer.comment)


def send_files(
    peer: Peer, paths: Iterable[Path], on_progress: Callable[[SentFile], None] = lambda _sent: None
) -> list[SentFile]:
    """Send files, in one association as long as they need at most 128 presentation contexts.

    A file that is not DICOM, or that the peer refuses, is reported and does not stop the others;
    when the connection breaks, the rest is reported as not sent.

    Args:
        peer: To whom.
        paths: Files.
        on_progress: Called for each file as its fate is known.

    Raises:
        PeerUnreachableError: No connection at all.
        PeerRefusedError, TransientError: The peer refuses the association as a whole.
    """
    results: list[SentFile] = []

    def report(sent: SentFile) -> None:
        results.append(sent)
        on_progress(sent)

    readable: list[tuple[Path, InstanceHeader]] = []
    for path in paths:
        try:
            readable.append((path, read_header(path)))
        except (UnreadableInstanceError, OSError) as error:
            why = "It cannot be read." if isinstance(error, OSError) else str(error)
            report(SentFile(path=path, problem=why))
    for batch in _batches(readable):
        _send_batch(peer, batch, report)
    return results


def _batches(
    files: Sequence[tuple[Path, InstanceHeader]],
) -> Iterator[list[tuple[Path, InstanceHeader]]]:
    """Part files so that each part needs at most 128 contexts, in their order."""
    batch: list[tuple[Path, InstanceHeader]] = []
    kinds: set[tuple[str, str]] = set()
    for path, header in files:
        kind = (header.sop_class_uid, header.transfer_syntax_uid)
        if kind not in kinds and len(kinds) == _MAX_CONTEXTS:
            yield batch
            batch, kinds = [], set()
        batch.append((path, header))
        kinds.add(kind)
    if batch:
        yield batch


def _send_batch(
    peer: Peer,
    batch: Sequence[tuple[Path, InstanceHeader]],
    report: Callable[[SentFile], None],
) -> None:
    contexts = {(h.sop_class_uid, h.transfer_syntax_uid): _context_for(h) for _, h in batch}
    waiting = list(reversed(batch))
    try:
        with associate(peer, list(contexts.values())) as association:
            while waiting:
                path, header = waiting[-1]
                report(_send_one(association, peer, path, header))
                waiting.pop()
    except PeerUnreachableError as error:
        if len(waiting) == len(batch):
            raise
        for path, header in reversed(waiting):
            report(
                SentFile(path=path, sop_instance_uid=header.sop_instance_uid, problem=str(error))
            )


def _send_one(association: Association, peer: Peer, path: Path, header: InstanceHeader) -> SentFile:
    uid = header.sop_instance_uid
    try:
        answer = _store_file(association, path, peer)
    except PeerRefusedError as error:
        return SentFile(path=path, sop_instance_uid=uid, problem=str(error))
    problem = "" if answer.is_success else _refusal(peer, answer)
    return SentFile(path=path, sop_instance_uid=uid, answer=answer, problem=problem)


def _context_for(header: InstanceHeader) -> PresentationContext:
    return build_context(header.sop_class_uid, header.transfer_syntax_uid)


def _store_file(association: Association, path: Path, peer: Peer) -> StoreAnswer:
    if not association.is_established:
        raise PeerUnreachableError(f"The connection to {peer} broke.")
    try:
        # Not under `pydicom_warnings`: its lock must never be held while a peer is waited for.
        response = association.send_c_store(path)
    except ValueError:
        raise PeerRefusedError(
            f"{peer} takes no objects of this SOP class and transfer syntax."
        ) from None
    except (AttributeError, RuntimeError, OSError):
        raise PeerUnreachableError(f"The connection to {peer} broke.") from None
    status = _status_of(response, peer)
    comment = str(response.get("ErrorComment", ""))
    return judge(status, comment)


def _status_of(response: Dataset, peer: Peer) -> int:
    """Return the status of an answer; without one the connection broke or time was up."""
    status = response.get("Status")
    if status is None:
        raise PeerUnreachableError(f"{peer} gave no answer.")
    return int(status)


def _refusal(peer: Peer, answer: StoreAnswer) -> str:
    return f"{peer} did not store the object: {answer.status:04X} {answer.meaning}."
