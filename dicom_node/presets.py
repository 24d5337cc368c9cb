"""How each kind of image is read: which objects it comes in, how frames are chosen and shown.

One row a kind of image; docs/presets.md shows the same table. Nothing here looks at a picture.

Sources: PS3.4 B.5 (SOP classes), PS3.3 C.7.3.1.1.1 (modalities); the windows are the ones that
radiologists set, in Hounsfield units as centre and width.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydicom import uid


class FrameRule(StrEnum):
    """How the frames of a study are chosen; each is a module's rule."""

    VIEWS = "views"  # `dicom_node.views`: one image a view
    SLICES = "slices"  # `dicom_node.stacks`: evenly spaced slices of one stack
    STILLS = "stills"  # `dicom_node.stills`: images and key frames of clips and volumes
    SLIDE = "slide"  # `dicom_node.stills`: a thumbnail and tiles of one level


class Sides(StrEnum):
    """What says which side of a patient a picture shows."""

    TURNED = "turned"  # the object's orientation, by which the picture is turned
    TURNED_AND_LATERALITY = "turned and laterality"  # both: a breast is hung by its side
    LATERALITY = "laterality"  # Laterality alone: the picture is never turned
    EITHER = "either"  # the orientation where it is given, else Laterality


@dataclass(frozen=True, kw_only=True)
class Window:
    """A named window: values around the centre are spread over the grey scale."""

    name: str
    center: float
    width: float


@dataclass(frozen=True, kw_only=True)
class Preset:
    """How one kind of image is read.

    Attributes:
        name: In words.
        modalities: DICOM modalities, in order of preference where a study holds several.
        classes: SOP classes, each with the modalities that may stand in it, the usual one first.
        frames: How frames are chosen.
        sides: What says which side of the patient is shown.
        has_text_above: Devices write the patient's name into the picture, above it: that strip is
            masked unless the object says where the picture ends, or that there is no text.
    """

    name: str
    modalities: tuple[str, ...]
    classes: tuple[tuple[str, tuple[str, ...]], ...]
    frames: FrameRule
    sides: Sides
    has_text_above: bool = False


def _all(modality: str, *classes: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((sop_class, (modality,)) for sop_class in classes)


PRESETS = (
    Preset(
        name="radiograph",
        modalities=("CR", "DX"),
        classes=(
            (uid.ComputedRadiographyImageStorage, ("CR", "DX")),
            (uid.DigitalXRayImageStorageForPresentation, ("DX", "CR")),
            (uid.DigitalXRayImageStorageForProcessing, ("DX", "CR")),
        ),
        frames=FrameRule.VIEWS,
        sides=Sides.TURNED,
    ),
    Preset(
        name="CT",
        modalities=("CT",),
        classes=_all(
            "CT",
            uid.CTImageStorage,
            uid.EnhancedCTImageStorage,
            uid.LegacyConvertedEnhancedCTImageStorage,
        ),
        frames=FrameRule.SLICES,
        sides=Sides.TURNED,
    ),
    Preset(
        name="MR",
        modalities=("MR",),
        classes=_all(
            "MR",
            uid.MRImageStorage,
            uid.EnhancedMRImageStorage,
            uid.LegacyConvertedEnhancedMRImageStorage,
        ),
        frames=FrameRule.SLICES,
        sides=Sides.TURNED,
    ),
    Preset(
        name="mammogram",
        modalities=("MG",),
        classes=_all(
            "MG",
            uid.DigitalMammographyXRayImageStorageForPresentation,
            uid.DigitalMammographyXRayImageStorageForProcessing,
        ),
        frames=FrameRule.VIEWS,
        sides=Sides.TURNED_AND_LATERALITY,
    ),
    Preset(
        name="ultrasound",
        modalities=("US",),
        classes=_all("US", uid.UltrasoundImageStorage, uid.UltrasoundMultiFrameImageStorage),
        frames=FrameRule.STILLS,
        sides=Sides.LATERALITY,
        has_text_above=True,
    ),
    Preset(
        name="photograph of the eye",
        modalities=("OP",),
        classes=_all(
            "OP",
            uid.OphthalmicPhotography8BitImageStorage,
            uid.OphthalmicPhotography16BitImageStorage,
        ),
        frames=FrameRule.STILLS,
        sides=Sides.EITHER,
    ),
    Preset(
        name="tomogram of the eye",
        modalities=("OPT",),
        classes=_all("OPT", uid.OphthalmicTomographyImageStorage),
        frames=FrameRule.STILLS,
        sides=Sides.LATERALITY,
    ),
    Preset(
        name="photograph",
        modalities=("XC", "DMS", "ES", "GM"),
        classes=(
            (uid.VLPhotographicImageStorage, ("XC", "DMS")),
            (uid.DermoscopicPhotographyImageStorage, ("DMS",)),
            (uid.VLEndoscopicImageStorage, ("ES",)),
            (uid.VLMicroscopicImageStorage, ("GM",)),
        ),
        frames=FrameRule.STILLS,
        sides=Sides.EITHER,
    ),
    Preset(
        name="slide",
        modalities=("SM",),
        classes=_all("SM", uid.VLWholeSlideMicroscopyImageStorage),
        frames=FrameRule.SLIDE,
        sides=Sides.LATERALITY,
    ),
)
_BY_MODALITY = {modality: preset for preset in PRESETS for modality in preset.modalities}

_LUNG = Window(name="lung", center=-600.0, width=1500.0)
_SOFT = Window(name="soft tissue", center=40.0, width=400.0)
_BONE = Window(name="bone", center=400.0, width=1800.0)
_BRAIN = Window(name="brain", center=40.0, width=80.0)
# Of a CT, most telling first; the first row with a name that is part of Body Part Examined decides.
CT_WINDOWS: tuple[tuple[tuple[str, ...], tuple[Window, ...]], ...] = (
    (("HEAD", "BRAIN", "SKULL"), (_BRAIN, _BONE)),
    (("CHEST", "LUNG", "THORAX"), (_LUNG, _SOFT, _BONE)),
    (
        ("SPINE", "EXTREMITY", "KNEE", "SHOULDER", "HIP", "ANKLE", "WRIST"),
        (_BONE, _SOFT),
    ),
    (("",), (_SOFT, _LUNG, _BONE)),
)
WINDOWS = {window.name: window for _, windows in CT_WINDOWS for window in windows}


def preset_of(modality: str) -> Preset:
    """Return how images of a modality are read.

    Raises:
        KeyError: They are not.
    """
    return _BY_MODALITY[modality]


def ct_windows(body_part: str) -> tuple[Window, ...]:
    """Return the windows of a CT of a part of the body, most telling first."""
    part = body_part.upper()
    return next(windows for names, windows in CT_WINDOWS if any(name in part for name in names))
