"""Received instances are audited by the association and study, not one by one (PS3.15 A.5.3.7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from core.audit_events import StudyInstances
from core.received import ReceivedInstance

# A crash of the index loses what is gathered and not yet told: no more than this.
_LONGEST = timedelta(seconds=60)
# One association may bring instances of very many studies.
_MOST_TRANSFERS = 1000


class _Key(NamedTuple):
    """What one message may tell of: one association, study and patient, new or known content."""

    association: str
    sender: str
    study_uid: str
    patient_id: str
    patient_issuer: str
    is_new: bool


@dataclass(kw_only=True)
class Transfer:
    """Instances of one study that one association brought.

    Attributes:
        address: Where the sender called from; empty where that is not known any more.
        is_new: We did not hold them before.
        last_at: When the last of them was whole.
    """

    association: str
    sender: str
    address: str
    is_new: bool
    first_at: datetime
    last_at: datetime
    study_uid: str
    patient_id: str
    patient_issuer: str
    accession_numbers: set[str] = field(default_factory=set)
    sop_classes: Counter[str] = field(default_factory=Counter)

    def instances(self) -> StudyInstances:
        """Return them as a message counts them."""
        return StudyInstances(
            study_uid=self.study_uid,
            patient_id=self.patient_id,
            patient_issuer=self.patient_issuer,
            accession_numbers=tuple(sorted(self.accession_numbers)),
            sop_classes=dict(self.sop_classes),
        )


class ReceivedTransfers:
    """Gathers instances until their association has ended or a minute has passed."""

    def __init__(self) -> None:
        self._open: dict[_Key, Transfer] = {}

    def add(self, batch: Sequence[ReceivedInstance], addresses: dict[str, str]) -> None:
        """Count instances; `addresses` says where the open associations come from."""
        for received in batch:
            patient = received.study.patient
            key = _Key(
                received.association,
                received.sender,
                received.study.study_uid,
                patient.id,
                patient.issuer,
                # Content that was known already got no place of its own.
                bool(received.path),
            )
            transfer = self._open.get(key)
            if transfer is None:
                transfer = self._open[key] = Transfer(
                    association=key.association,
                    sender=key.sender,
                    address=addresses.get(key.association, ""),
                    is_new=key.is_new,
                    first_at=received.received_at,
                    last_at=received.received_at,
                    study_uid=key.study_uid,
                    patient_id=key.patient_id,
                    patient_issuer=key.patient_issuer,
                )
            transfer.last_at = max(transfer.last_at, received.received_at)
            transfer.sop_classes[received.sop_class_uid] += 1
            if number := received.study.accession_number:
                transfer.accession_numbers.add(number)

    def take(self, at: datetime, open_associations: Collection[str]) -> list[Transfer]:
        """Return and forget what is to be told now."""
        too_many = len(self._open) > _MOST_TRANSFERS
        over = [
            key
            for key, transfer in self._open.items()
            if too_many
            or transfer.association not in open_associations
            or at - transfer.first_at >= _LONGEST
        ]
        return [self._open.pop(key) for key in over]
