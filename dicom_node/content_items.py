"""Items of a content tree (PS3.3 C.17.3), and the device that observes (PS3.16 TID 1004)."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

from core.identifiers import DEVICE_UID, MANUFACTURER
from dicom_node import sr_terms as terms
from dicom_node.document_writing import frame_item
from dicom_node.documents import DocumentReference
from dicom_node.sr_terms import Term

OBSERVATION_CONTEXT = "HAS OBS CONTEXT"


def item(relationship: str, value_type: str, name: Dataset | None) -> Dataset:
    """Return a content item without its value."""
    found = Dataset()
    found.RelationshipType = relationship
    found.ValueType = value_type
    if name is not None:
        found.ConceptNameCodeSequence = [name]
    return found


def text(relationship: str, name: Dataset, value: str) -> Dataset:
    """Return a TEXT item."""
    found = item(relationship, "TEXT", name)
    found.TextValue = value
    return found


def code(relationship: str, name: Term, value: Term) -> Dataset:
    """Return a CODE item."""
    found = item(relationship, "CODE", name.item())
    found.ConceptCodeSequence = [value.item()]
    return found


def reference(value_type: str, document: DocumentReference, name: Dataset | None) -> Dataset:
    """Return an IMAGE or COMPOSITE item."""
    found = item("CONTAINS", value_type, name)
    found.ReferencedSOPSequence = [frame_item(document)]
    return found


def device_observer() -> Iterator[Dataset]:
    """Yield Taqrir as the observer."""
    yield code(OBSERVATION_CONTEXT, terms.OBSERVER_TYPE, terms.DEVICE)
    device = item(OBSERVATION_CONTEXT, "UIDREF", terms.DEVICE_UID_TERM.item())
    device.UID = DEVICE_UID
    yield device
    yield text(OBSERVATION_CONTEXT, terms.DEVICE_NAME.item(), MANUFACTURER)
