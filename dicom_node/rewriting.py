"""A file of ours in another transfer syntax, for peers that take no other."""

from __future__ import annotations

from io import BytesIO

from pydicom import dcmread, dcmwrite
from pydicom.uid import ImplicitVRLittleEndian

from dicom_node import pydicom_warnings


def in_implicit_vr(data: bytes) -> bytes:
    """Return a file's data set in Implicit VR Little Endian; the same bytes for the same file.

    Texts stay as they are: the character set is the data set's own, and no element of ours is
    private, so that no VR is lost.
    """
    with pydicom_warnings("error"):
        dataset = dcmread(BytesIO(data))
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        buffer = BytesIO()
        dcmwrite(buffer, dataset, implicit_vr=True, little_endian=True, enforce_file_format=True)
    return buffer.getvalue()
