"""Deliveries in the audit trail: what went to an archive, once it is known how that ended.

An attempt that may be repeated is not told: nobody knows yet what the archive has. HL7 messages are
no DICOM instances and have no message in PS3.15 A.5.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from core import store
from core.audit_events import StudyInstances
from core.audit_messages import Outcome
from core.lifecycle import DeliveryState
from core.tables import Artifact, Delivery
from worker.destinations import find_destination
from worker.destinations.documents import sop_class_of
from worker.parts import Parts

_OUTCOMES = {
    DeliveryState.SENT: Outcome.SUCCESS,
    DeliveryState.PARKED: Outcome.SERIOUS_FAILURE,
}


def tell_delivery(
    parts: Parts, session: Session, delivery: Delivery, state: DeliveryState, reason: str
) -> None:
    """Tell that an archive has an object of ours, or that it will not get it."""
    destination = find_destination(parts.settings, delivery.destination)
    outcome = _OUTCOMES.get(state)
    if outcome is None or destination is None or destination.recipient is None:
        return
    study = store.get(session, delivery.study_id)
    artifact = session.get_one(Artifact, delivery.artifact_id)
    parts.audit.instances_sent(
        StudyInstances(
            study_uid=study.study_uid,
            patient_id=study.patient_id,
            patient_issuer=study.patient_issuer,
            accession_numbers=(study.accession_number,),
            sop_classes={sop_class_of(artifact.kind): 1},
        ),
        ae_title=destination.recipient.ae_title,
        address=destination.recipient.address,
        outcome=outcome,
        description=reason if outcome is not Outcome.SUCCESS else "",
    )
