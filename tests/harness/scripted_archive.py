"""An archive that answers C-FIND as a test tells it to, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ComputedRadiographyImageStorage
from pynetdicom import evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from harness.listening import ListeningEntity

PENDING, SUCCESS = 0xFF00, 0x0000
Answers = Iterator[tuple[int, Dataset | None]]


class ScriptedArchive(ListeningEntity):
    """`with ScriptedArchive() as archive: archive.keep(film)`: it knows what it was given.

    Attributes:
        script: Called instead of the archive's own answer, with the identifier.
        gives_count: Whether it tells Number of Study Related Instances.
        lists: The levels that it answers; the others it refuses.
        asked: Level by level what it was asked for.
    """

    def __init__(self) -> None:
        super().__init__("ARCHIVE")
        self.script: Callable[[Dataset], Answers] | None = None
        self.gives_count = True
        self.gives_classes = True
        self.lists = {"STUDY", "SERIES", "IMAGE"}
        self.asked: list[Dataset] = []
        self.kept: list[Dataset] = []
        self.entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)

    def keep(self, *objects: Dataset) -> None:
        """Let it hold objects."""
        self.kept += objects

    @property
    def levels(self) -> list[str]:
        """At which levels it was asked, in order."""
        return [str(identifier.QueryRetrieveLevel) for identifier in self.asked]

    def handlers(self) -> list[Any]:
        return [(evt.EVT_C_FIND, self._find)]

    def _find(self, event: evt.Event) -> Answers:
        identifier = event.identifier
        self.asked.append(identifier)
        answers = self.script or self._answers
        yield from answers(identifier)

    def _answers(self, identifier: Dataset) -> Answers:
        if identifier.QueryRetrieveLevel not in self.lists:
            yield 0xA900, None
            return
        for match in self.matches(identifier):
            yield PENDING, match

    def matches(self, identifier: Dataset) -> list[Dataset]:
        """Return what it knows of what it is asked for."""
        level = str(identifier.QueryRetrieveLevel)
        objects = [o for o in self.kept if o.StudyInstanceUID == identifier.StudyInstanceUID]
        if level == "STUDY":
            return [self._study(identifier, len(objects))] if objects else []
        if level == "SERIES":
            series = {str(o.SeriesInstanceUID) for o in objects}
            return [_match(identifier, SeriesInstanceUID=uid) for uid in sorted(series)]
        objects = [o for o in objects if o.SeriesInstanceUID == identifier.SeriesInstanceUID]
        return [self._image(identifier, o) for o in objects]

    def _study(self, identifier: Dataset, count: int) -> Dataset:
        found = _match(identifier)
        if self.gives_count:
            found.NumberOfStudyRelatedInstances = count
        return found

    def _image(self, identifier: Dataset, kept: Dataset) -> Dataset:
        found = _match(identifier, SOPInstanceUID=kept.SOPInstanceUID)
        if self.gives_classes:
            found.SOPClassUID = kept.SOPClassUID
        return found


def _match(identifier: Dataset, **attributes: Any) -> Dataset:
    found = Dataset()
    # A name that only Latin-1 can hold: nobody may need to read it.
    found.SpecificCharacterSet = "ISO_IR 100"
    found.PatientName = "J\xf6rg^M\xfcller"
    found.QueryRetrieveLevel = identifier.QueryRetrieveLevel
    found.StudyInstanceUID = identifier.StudyInstanceUID
    if "SeriesInstanceUID" in identifier:
        found.SeriesInstanceUID = identifier.SeriesInstanceUID
    for keyword, value in attributes.items():
        setattr(found, keyword, value)
    return found


def image(study_uid: str, sop_instance_uid: str, series_uid: str = "1.2.3") -> Dataset:
    """Return as much of an image as an archive must know of it."""
    kept = Dataset()
    kept.SOPClassUID = ComputedRadiographyImageStorage
    kept.SOPInstanceUID, kept.StudyInstanceUID = sop_instance_uid, study_uid
    kept.SeriesInstanceUID = series_uid
    return kept
