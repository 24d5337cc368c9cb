"""Whatever happens to studies in whatever order: the invariants hold after every step."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from harness import MODALITY, Site, a_finding, film, new_uid, report_object, save
from pydicom import dcmread

from core import intake, store
from core.clock import utcnow
from core.database import reading
from core.errors import PeerRefusedError, PermanentError, TransientError, TransitionError
from core.intake import ReceivedInstance
from core.lifecycle import DeliveryState, Event, Origin, State
from dicom_node.header import InstanceHeader, read_header, to_plain
from worker.destinations.base import Receipt
from worker.sweep import sweep_once

STUDIES = 4
STEPS = 80


class Installation:
    """One archive, one information system, a few studies; only the sending is a stand-in."""

    def __init__(self, site: Site, seed: int) -> None:
        self.site = site
        self.chance = random.Random(seed)  # noqa: S311  no secret
        self._film = save(film(), site.settings.data_dir)
        self._image = read_header(self._film)
        self._other = read_header(save(report_object(), site.folder))
        self._study_uids = [new_uid() for _ in range(STUDIES)]
        self._answer: Exception | None = None
        self.arrived: dict[str, set[bytes]] = {}
        self.actions: dict[Callable[[], None], int] = {
            self.an_image_comes: 3,
            self.an_image_comes_that_may_have_come_before: 2,
            self.a_report_of_somebody_comes: 2,
            self.our_own_report_comes_back: 3,
            self.an_object_of_another_patient_comes: 1,
            self.the_quiet_time_passes: 6,
            self.a_worker_is_rung_for: 14,
            self.a_worker_takes_a_study_and_dies: 1,
            self.time_passes_and_the_sweep_runs: 6,
            self.deliveries_are_attempted: 8,
            self.an_operator_retries: 2,
            self.a_radiologist_ends_it: 1,
        }

    def step(self) -> None:
        """Let something happen, and look whether all is well."""
        actions, weights = zip(*self.actions.items(), strict=True)
        (action,) = self.chance.choices(actions, weights)
        action()
        self.check()

    def _study(self) -> int:
        return self.chance.randrange(STUDIES)

    def _take(self, content: bytes) -> Receipt:
        """Be the peer: keep what comes, or fail; a failure may come after the object did."""
        answer, self._answer = self._answer, None
        if not isinstance(answer, PeerRefusedError):
            self.arrived.setdefault(_identifier(content), set()).add(content)
        if answer is not None:
            raise answer
        return Receipt()

    def _record(self, header: InstanceHeader, study: int, *, is_own: bool = False) -> None:
        header = replace(header, study_uid=self._study_uids[study])
        received = ReceivedInstance(
            study=header.study,
            series_uid=header.series_uid,
            series_description="",
            sop_class_uid=header.sop_class_uid,
            sop_instance_uid=header.sop_instance_uid,
            digest=uuid.uuid5(uuid.NAMESPACE_OID, header.sop_instance_uid).hex,
            path=self._film.name,
            size_bytes=1,
            sender=MODALITY,
            received_at=utcnow(),
            is_image=header.is_image,
            is_own=is_own,
            header=to_plain(header),
        )
        with self.site.writing() as session:
            intake.record(session, received)

    def _row(self, study: int) -> int | None:
        """Rows are numbered as studies first come, so a study is looked up by its UID."""
        with reading(self.site.engine) as session:
            found = store.find(session, self._study_uids[study])
            return found[0].id if found else None

    def _apply(self, event: Callable[[Any, Any], object]) -> None:
        row = self._row(self._study())
        if row is not None:
            with suppress(TransitionError), self.site.writing() as session:
                event(session, store.get(session, row))

    # What may happen

    def an_image_comes(self) -> None:
        self._record(replace(self._image, sop_instance_uid=new_uid()), self._study())

    def an_image_comes_that_may_have_come_before(self) -> None:
        study = self._study()
        self._record(replace(self._image, sop_instance_uid=f"1.2.3.{study}"), study)

    def a_report_of_somebody_comes(self) -> None:
        self._record(replace(self._other, sop_instance_uid=new_uid()), self._study())

    def our_own_report_comes_back(self) -> None:
        study = self._study()
        row = self._row(study)
        before = (self.site.state(row), self.site.study(row).version) if row else None
        header = replace(self._other, sop_instance_uid=new_uid(), is_own=True)
        self._record(header, study, is_own=True)
        if row and self.site.study(row).reason_code != "PATIENT_CONFLICT":
            assert (self.site.state(row), self.site.study(row).version) == before

    def an_object_of_another_patient_comes(self) -> None:
        patient = replace(self._image.patient, id="P2")
        header = self.chance.choice([self._image, self._other])
        # The last study only: the others keep one patient, so that they get somewhere.
        self._record(replace(header, patient=patient, sop_instance_uid=new_uid()), STUDIES - 1)

    def the_quiet_time_passes(self) -> None:
        self.site.go_quiet()

    def a_worker_is_rung_for(self) -> None:
        study = self._study()
        row = self._row(study)
        if row is None:
            return
        failures = [TransientError("away"), PermanentError("no"), KeyError()]
        ends: list[Any] = [(), (), (), (a_finding(),), *failures]
        self.site.drafter.script.clear()
        self.site.drafter.script.append(self.chance.choice(ends))
        if self.chance.random() < 0.15:
            header = replace(self._image, sop_instance_uid=new_uid())
            self.site.drafter.during = lambda: self._record(header, study)
        self.site.draft(row)
        self.site.drafter.during = lambda: None

    def a_worker_takes_a_study_and_dies(self) -> None:
        row = self._row(self._study())
        if row is not None:
            lease = timedelta(seconds=120)
            with suppress(TransitionError), self.site.writing() as session:
                store.claim(session, row, owner="dead", at=self.site.clock(), lease=lease)

    def time_passes_and_the_sweep_runs(self) -> None:
        self.site.clock.advance(minutes=self.chance.choice([1, 3, 60]))
        sweep_once(self.site.parts)

    def deliveries_are_attempted(self) -> None:
        answers = [None, None, TransientError("away"), PeerRefusedError("no")]
        self._answer = self.chance.choice(answers)
        self.site.deliver_due()

    def an_operator_retries(self) -> None:
        self._apply(lambda session, row: store.retry(session, row, at=utcnow(), actor="operator"))

    def a_radiologist_ends_it(self) -> None:
        event = self.chance.choice([Event.SIGNED, Event.REJECTED])
        self._apply(lambda session, row: store.advance(session, row, event, at=utcnow()))

    # What must hold

    def check(self) -> None:
        self.site.check()
        rows = [row for study in range(STUDIES) if (row := self._row(study))]
        with reading(self.site.engine) as session:
            assert sum(store.count_states(session).values()) == len(rows)
        assert [uid for uid, forms in self.arrived.items() if len(forms) > 1] == []
        for row in rows:
            self._check_deliveries(row)

    def _check_deliveries(self, row: int) -> None:
        deliveries = self.site.deliveries(row)
        sent = [a.uid for d, a in deliveries if d.state == DeliveryState.SENT]
        assert set(sent) <= self.arrived.keys()
        pending = [d for d, _ in deliveries if d.state == DeliveryState.PENDING]
        if pending:
            newest = self.site.drafts(row)[-1]
            is_withdrawal = newest.origin == Origin.WITHDRAWN
            assert is_withdrawal or self.site.state(row) in {State.IN_REVIEW, State.SIGNED}
            assert {d.draft_id for d in pending} == {newest.id}


def _identifier(content: bytes) -> str:
    if content.startswith(b"MSH"):
        return content.split(b"|")[9].decode()
    return str(dcmread(BytesIO(content)).SOPInstanceUID)


# The same sequences in every run: a failure that comes and goes would be taken for bad luck.
@pytest.mark.parametrize("seed", [2, 3])
def test_the_invariants_hold_after_every_step(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    site = make_site(pacs={"main": 1}, ris={"main": 1})
    installation = Installation(site, seed)
    for kind in ("pacs.PacsDestination", "ris.RisDestination"):
        monkeypatch.setattr(f"worker.destinations.{kind}.send", installation._take)

    for _ in range(STEPS):
        installation.step()

    # It got somewhere: a sequence in which nothing is drafted would prove nothing.
    assert len(installation.arrived) > 3
    events = {e for study in range(1, STUDIES + 1) for e in site.events(study)}
    assert events >= {"drafted", "late_instance", "delivery_sent", "own_object_noted"}
