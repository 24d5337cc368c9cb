from __future__ import annotations

import pytest
from pydicom import uid
from pynetdicom import build_context
from pynetdicom.presentation import negotiate_as_acceptor
from pynetdicom.sop_class import Verification

from dicom_node.contexts import TRANSFER_SYNTAXES, is_image, supported_contexts
from dicom_node.decoding import DECODERS


def chosen(*offered: str) -> str:
    """Return what we answer to a CT context that offers these transfer syntaxes."""
    proposal = build_context(uid.CTImageStorage, list(offered))
    proposal.context_id = 1
    [answer], _ = negotiate_as_acceptor([proposal], supported_contexts())
    assert answer.result == 0x00
    return answer.transfer_syntax[0]


def test_all_170_storage_classes_and_verification_are_accepted():
    contexts = supported_contexts()
    assert len({c.abstract_syntax for c in contexts}) == 171
    assert Verification in {c.abstract_syntax for c in contexts}


def test_explicit_little_endian_is_taken_before_implicit_whatever_the_sender_names_first():
    offered = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian)
    assert chosen(*offered) == uid.ExplicitVRLittleEndian
    assert chosen(*reversed(offered)) == uid.ExplicitVRLittleEndian


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES)
def test_a_compressed_object_stays_as_it_is_rather_than_become_implicit(syntax):
    assert chosen(uid.ImplicitVRLittleEndian, syntax) == syntax


def test_lossless_is_taken_before_lossy():
    assert chosen(uid.JPEGBaseline8Bit, uid.JPEGLosslessSV1) == uid.JPEGLosslessSV1
    assert chosen(uid.JPEG2000, uid.JPEG2000Lossless) == uid.JPEG2000Lossless


def test_every_syntax_that_we_decode_is_accepted_and_none_twice():
    assert set(DECODERS) <= set(TRANSFER_SYNTAXES)
    assert len(set(TRANSFER_SYNTAXES)) == len(TRANSFER_SYNTAXES)


@pytest.mark.parametrize(
    "sop_class",
    [
        uid.ComputedRadiographyImageStorage,
        uid.DigitalXRayImageStorageForPresentation,
        uid.DigitalMammographyXRayImageStorageForProcessing,
        uid.CTImageStorage,
        uid.EnhancedCTImageStorage,
        uid.MRImageStorage,
        uid.UltrasoundMultiFrameImageStorage,
        uid.EnhancedUSVolumeStorage,
        uid.XRayAngiographicImageStorage,
        uid.SecondaryCaptureImageStorage,
        uid.NuclearMedicineImageStorage,
        uid.PositronEmissionTomographyImageStorage,
        uid.VideoEndoscopicImageStorage,
    ],
)
def test_what_a_person_looks_at_is_an_image(sop_class):
    assert is_image(sop_class)


@pytest.mark.parametrize(
    "sop_class",
    [
        uid.BasicTextSRStorage,
        uid.XRayRadiationDoseSRStorage,
        uid.EncapsulatedPDFStorage,
        uid.KeyObjectSelectionDocumentStorage,
        uid.GrayscaleSoftcopyPresentationStateStorage,
        uid.TwelveLeadECGWaveformStorage,
        uid.SegmentationStorage,
        uid.SpatialRegistrationStorage,
        uid.RTImageStorage,
        uid.RTDoseStorage,
        uid.RTStructureSetStorage,
        uid.RawDataStorage,
        uid.MRSpectroscopyStorage,
        Verification,
        "1.2.3",
        "",
    ],
)
def test_what_is_no_picture_is_no_image(sop_class):
    assert not is_image(sop_class)
