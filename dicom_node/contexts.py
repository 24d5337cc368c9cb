"""What the node accepts: one table of SOP classes and transfer syntaxes.

An acceptor answers each proposed presentation context with one of the transfer syntaxes offered in
it, and pynetdicom takes the first of OUR list that the requestor offers
(`pynetdicom.presentation.negotiate_as_acceptor` walks ``ac_context.transfer_syntax``); what the
requestor names first plays no part. The order below is therefore the policy:

1. Explicit VR Little Endian: nothing is recompressed, and every VR is kept.
2. Lossless compressed, then lossy compressed: a sender that offers only what its file holds keeps
   it; one that offers uncompressed as well is never asked to compress, least of all with loss.
3. Deflated and Explicit VR Big Endian (retired): whole-data-set encodings, for those that have
   nothing else.
4. Implicit VR Little Endian last: it drops the VR of private elements.

Syntaxes that no free decoder of ours can read (JPEG XL) are left out, so that a sender falls back
to one that can. Video is the exception: it has no fallback, and is stored though not drafted for.
"""

from __future__ import annotations

from pydicom import uid
from pydicom.uid import UID
from pynetdicom import AllStoragePresentationContexts, build_context
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at run time

TRANSFER_SYNTAXES: tuple[UID, ...] = (
    uid.ExplicitVRLittleEndian,
    # Lossless.
    uid.JPEGLosslessSV1,
    uid.JPEGLossless,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
    uid.RLELossless,
    # Lossy, or possibly so.
    uid.JPEG2000,
    uid.HTJ2K,
    uid.JPEGLSNearLossless,
    uid.JPEGExtended12Bit,
    uid.JPEGBaseline8Bit,
    # Video.
    uid.MPEG2MPML,
    uid.MPEG2MPMLF,
    uid.MPEG2MPHL,
    uid.MPEG2MPHLF,
    uid.MPEG4HP41,
    uid.MPEG4HP41F,
    uid.MPEG4HP41BD,
    uid.MPEG4HP41BDF,
    uid.MPEG4HP422D,
    uid.MPEG4HP422DF,
    uid.MPEG4HP423D,
    uid.MPEG4HP423DF,
    uid.MPEG4HP42STEREO,
    uid.MPEG4HP42STEREOF,
    uid.HEVCMP51,
    uid.HEVCM10P51,
    # Encodings of the whole data set.
    uid.DeflatedExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.ImplicitVRLittleEndian,
)

STORAGE_SOP_CLASSES: tuple[UID, ...] = tuple(
    context.abstract_syntax
    for context in AllStoragePresentationContexts
    if context.abstract_syntax is not None
)

# "Image" in a keyword says that there is something to look at, with these exceptions.
_IMAGES_BY_ANOTHER_NAME = (
    uid.EnhancedUSVolumeStorage,
    uid.OphthalmicThicknessMapStorage,
    uid.CornealTopographyMapStorage,
)
_RADIOTHERAPY = "RT"

IMAGE_SOP_CLASSES: frozenset[str] = frozenset(
    sop_class
    for sop_class in STORAGE_SOP_CLASSES
    if (
        "ImageStorage" in sop_class.keyword
        # Portal images, enhanced ones included, belong to a treatment and not to a report.
        and _RADIOTHERAPY not in sop_class.keyword
    )
    or sop_class in _IMAGES_BY_ANOTHER_NAME
)


def supported_contexts() -> list[PresentationContext]:
    """Return what the node supports as acceptor: every storage class and Verification."""
    contexts = [build_context(sop, list(TRANSFER_SYNTAXES)) for sop in STORAGE_SOP_CLASSES]
    return [*contexts, build_context(Verification)]


def is_image(sop_class_uid: str) -> bool:
    """Say whether objects of a class hold a picture for a person to look at.

    Reports, encapsulated documents, key objects, presentation states, waveforms, dose,
    segmentations, registrations and everything of radiotherapy do not count: their coming does not
    make a study new.
    """
    return sop_class_uid in IMAGE_SOP_CLASSES
