"""How a study ends whose draft is out, and what the archive is sent then."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from core.errors import PermanentError
from core.lifecycle import DeliveryState
from harness import (
    Site,
    a_finding,
    film,
    film_of_another_patient,
    report_object,
)
from worker.sweep import sweep_once


def settle_withdrawals(site: Site, **changes: Any) -> None:
    """Change the site's `[withdrawal]`."""
    withdrawal = site.settings.withdrawal.model_copy(update=changes)
    site.settings = site.settings.model_copy(update={"withdrawal": withdrawal})
    site.parts.settings = site.settings


def documents_sent(site: Site) -> list[Dataset]:
    """Return what archives were sent, in order."""
    return [
        dcmread(BytesIO(artifact.content))
        for delivery, artifact in site.deliveries()
        if delivery.state == DeliveryState.SENT and artifact.kind != "oru" and artifact.content
    ]


def predecessor_of(document: Dataset) -> str:
    """Return the one document that another one takes the place of."""
    [study] = document.PredecessorDocumentsSequence
    [reference] = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    return str(reference.ReferencedSOPInstanceUID)


def sweep_and_deliver(site: Site) -> None:
    """Let what has ended be taken back, and send what is due."""
    sweep_once(site.parts)
    site.deliver_due()


def fail(site: Site, image: Dataset) -> None:
    """Let the study's next draft fail."""
    site.drafter.script.append(PermanentError("no"))
    site.take_in(film(image.StudyInstanceUID))


def withhold(site: Site, image: Dataset) -> None:
    """Let the study's next draft be withheld by a check."""
    site.drafter.script.append((a_finding(),))
    site.take_in(film(image.StudyInstanceUID))


def report_elsewhere(site: Site, image: Dataset) -> None:
    """Somebody else's final report comes while something of ours still waits to be sent."""
    with site.writing() as session:
        row = session.merge(site.deliveries()[-1][0])
        row.state, row.next_attempt_at = DeliveryState.PENDING, site.clock()
    site.receive(report_object(image.StudyInstanceUID))
    site.deliver_due()


def come_from_another_patient(site: Site, image: Dataset) -> None:
    """Let an image of another patient come under the study's UID."""
    site.take_in(film_of_another_patient(image.StudyInstanceUID))
