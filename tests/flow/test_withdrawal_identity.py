"""A draft is taken back in the name, and under the order, that it went out with."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from harness import (
    ScriptedPacs,
    ScriptedRis,
    Site,
    a_finding,
    film,
    film_of_another_patient,
    one_database,
    report_object,
)
from harness.feed import final_report, hear, merge
from harness.orders import ordered
from harness.retained import age, purge
from harness.scripted_web import ScriptedWeb
from harness.withdrawals import fail, sweep_and_deliver
from pydicom import dcmread
from pydicom.dataset import Dataset
from sqlalchemy import update

from core.errors import PermanentError
from core.lifecycle import DeliveryState, Origin, State
from core.tables import Artifact
from hl7.ack import AckCode
from hl7.er7 import parse
from worker.signing import Reader, reject
from worker.sweep import sweep_once

pytestmark = one_database
READER = Reader(name="Darwish^Mona", id="R7", account="mona")


def _said(message: bytes) -> dict[str, str]:
    """Return whom a result is of, its numbers, and how far it is."""
    read = parse(message)
    places = {
        "patient": ("PID", 3),
        "name": ("PID", 5),
        "placer": ("ORC", 2),
        "filler": ("ORC", 3),
        "accession": ("OBR", 18),
        "modality": ("OBR", 24),
    }
    return {name: read.text(*place) for name, place in places.items()}


def _status(message: bytes) -> str:
    return parse(message).text("OBR", 25)


def _stranger(image: Any) -> Any:
    return film_of_another_patient(image.StudyInstanceUID, AccessionNumber="ACC2")


def test_without_an_archive_the_withdrawal_bears_the_patient_of_the_draft(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedRis() as ris:
        site = make_site(ris={"main": ris.port})
        image = film()
        site.take_in(image)
        site.deliver_due()
        site.take_in(_stranger(image))
        sweep_and_deliver(site)

        draft, withdrawn = ris.received
        assert (_status(draft), _status(withdrawn)) == ("R", "X")
        assert _said(withdrawn) == _said(draft)
        assert _said(draft)["patient"] == "P1"


def test_a_fhir_server_is_told_of_the_draft_of_its_patient(make_site: Callable[..., Site]) -> None:
    with ScriptedWeb() as web:
        site = make_site(rules=f'[[fhir]]\nname = "main"\nurl = "{web.url}"\n')
        image = film()
        site.take_in(image)
        site.deliver_due()
        site.take_in(_stranger(image))
        sweep_and_deliver(site)

        draft, withdrawn = map(json.loads, web.received)
        assert withdrawn["status"] == "cancelled"
        assert withdrawn["subject"] == draft["subject"]
        assert withdrawn["basedOn"] == draft["basedOn"]


def test_a_withdrawal_bears_the_order_of_the_draft_and_never_the_newcomers(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs() as pacs, ScriptedRis() as ris:
        site = make_site(pacs={"main": pacs.port}, ris={"main": ris.port})
        image = film()
        hear(site, ordered("NW|O1|F1", accession="ACC1"))
        site.take_in(image)
        site.deliver_due()
        site.take_in(_stranger(image))
        hear(site, ordered("NW|O2|F2", patient="P2", accession="ACC2"))
        sweep_and_deliver(site)

        draft, withdrawn = ris.received
        assert _said(withdrawn) == _said(draft)
        assert _said(draft)["placer"] == "O1"
        assert site.are_all(DeliveryState.SENT)


def test_a_withdrawal_that_waits_keeps_patient_and_order_whoever_comes(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedRis([AckCode.AA, AckCode.AE]) as ris:
        site = make_site(ris={"main": ris.port})
        image = film()
        hear(site, ordered("NW|O1|F1", accession="ACC1"))
        site.take_in(image)
        site.deliver_due()
        site.drafter.script.append(PermanentError("no"))
        site.take_in(film(image.StudyInstanceUID))
        sweep_and_deliver(site)
        site.receive(report_object(image.StudyInstanceUID, PatientID="P2", AccessionNumber="ACC2"))
        hear(site, ordered("NW|O2|F2", patient="P2", accession="ACC2"))
        site.clock.advance(hours=1)
        site.deliver_due()

        assert site.state() is State.FAILED
        draft, *withdrawn = ris.received
        assert [_said(message) for message in withdrawn] == [_said(draft)] * 2


def _as_second_patient(image: Dataset) -> Dataset:
    """Give an image, and with it a study of one, another patient's number."""
    image.PatientID, image.PatientName, image.AccessionNumber = "P2", "Other^Patient", "ACC2"
    return image


def test_a_withdrawal_never_bears_the_order_of_the_patient_before(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedRis() as ris:
        site = make_site(ris={"main": ris.port})
        image = film()
        hear(site, ordered("NW|O1|F1", accession="ACC1"))
        site.take_in(image)
        site.deliver_due()
        site.take_in(_as_second_patient(image))
        site.deliver_due()
        site.take_in(film(image.StudyInstanceUID, PatientID="P3", AccessionNumber="ACC3"))
        sweep_and_deliver(site)

        first, second, withdrawn = ris.received
        assert [_said(m)["patient"] for m in (first, second)] == ["P1", "P2"]
        assert _status(withdrawn) == "X"
        assert _said(withdrawn) == _said(second)
        assert _said(withdrawn)["placer"] == ""


def _fail(site: Site) -> None:
    site.drafter.script.append(PermanentError("no"))


def _withhold(site: Site) -> None:
    site.drafter.script.append((a_finding(),))


def _report_elsewhere(site: Site) -> None:
    site.drafter.during = lambda: hear(site, final_report("ACC2", patient="P2"))


@pytest.mark.parametrize(
    ("end", "state"),
    [
        (_fail, State.FAILED),
        (_withhold, State.WITHHELD),
        (_report_elsewhere, State.IGNORED),
    ],
)
def test_a_draft_is_taken_back_of_its_patient_though_all_images_came_again_as_anothers(
    make_site: Callable[..., Site], end: Callable[[Site], None], state: State
) -> None:
    with ScriptedPacs() as pacs, ScriptedRis() as ris:
        site = make_site(pacs={"main": pacs.port}, ris={"main": ris.port})
        image = film()
        hear(site, ordered("NW|O1|F1", accession="ACC1"))
        site.take_in(image)
        site.deliver_due()
        hear(site, ordered("NW|O2|F2", patient="P2", accession="ACC2"))
        end(site)
        site.take_in(_as_second_patient(image))
        sweep_and_deliver(site)

        assert site.state() is state
        draft, withdrawn = ris.received
        assert (_status(draft), _status(withdrawn)) == ("R", "X")
        assert _said(withdrawn) == _said(draft)
        assert _said(draft)["patient"] == "P1"
        assert [dcmread(BytesIO(c)).PatientID for c in pacs.received] == ["P1"] * 4


def test_a_withdrawal_that_waits_keeps_its_patient_though_all_images_come_again_as_anothers(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedRis() as ris:
        rules = '[[rules]]\nname = "films"\nmodality = ["CR"]\n'
        site = make_site(ris={"main": ris.port}, rules=rules)
        image = film()
        hear(site, ordered("NW|O1|F1", accession="ACC1"))
        site.take_in(image)
        site.deliver_due()
        hear(site, final_report("ACC1"))
        sweep_once(site.parts)
        # No rule admits it by now, so that it makes no new version.
        image.Modality = "DX"
        site.receive(_as_second_patient(image))
        site.deliver_due()

        assert site.study().patient_id == "P2"
        draft, withdrawn = ris.received
        assert _said(withdrawn) == _said(draft)


def test_a_draft_is_taken_back_of_its_patient_though_a_later_one_of_another_is_rejected(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedRis() as ris:
        site = make_site(ris={"main": ris.port})
        image = film()
        hear(site, ordered("NW|O1|F1", accession="ACC1"))
        site.take_in(image)
        site.deliver_due()
        # Nobody is sent the second version.
        site.take_in(_as_second_patient(image))
        reject(site.parts, 1, version=2, reader=READER, reason="bad")
        sweep_and_deliver(site)

        draft, withdrawn = ris.received
        assert (_status(draft), _status(withdrawn)) == ("R", "X")
        assert _said(withdrawn) == _said(draft)


def test_a_withdrawal_bears_the_number_that_the_patients_was_merged_into(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedRis() as ris:
        site = make_site(ris={"main": ris.port})
        image = film()
        site.take_in(image)
        site.deliver_due()
        hear(site, merge("P1", "P9"))
        fail(site, image)
        sweep_and_deliver(site)

        draft, withdrawn = ris.received
        assert (_said(draft)["patient"], _said(withdrawn)["patient"]) == ("P1", "P9")


def test_where_nobody_knows_whom_a_draft_was_of_a_person_is_told_and_nothing_goes_out(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedRis() as ris:
        site = make_site(ris={"main": ris.port})
        image = film()
        site.take_in(image)
        site.deliver_due()
        _forget_what_was_sent(site)
        site.take_in(_stranger(image))
        for _ in range(2):
            sweep_and_deliver(site)

        assert len(ris.received) == 1
        assert [draft.origin for draft in site.drafts()] == [Origin.MODEL]
        assert site.events().count("withdrawal_impossible") == 1


def test_a_withdrawal_that_waits_is_parked_where_nobody_knows_whom_its_draft_was_of(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedRis() as ris:
        site = make_site(ris={"main": ris.port})
        image = film()
        site.take_in(image)
        site.deliver_due()
        site.drafter.script.append(PermanentError("no"))
        site.take_in(film(image.StudyInstanceUID))
        sweep_once(site.parts)
        _forget_what_was_sent(site)
        site.receive(report_object(image.StudyInstanceUID, PatientID="P2"))
        site.deliver_due()

        assert len(ris.received) == 1
        assert site.states() == [DeliveryState.SENT, DeliveryState.PARKED]
        assert "different patients" in site.reason(1)


def test_a_purge_forgets_whom_a_draft_was_sent_of(make_site: Callable[..., Site]) -> None:
    with ScriptedRis() as ris:
        site = make_site(ris={"main": ris.port})
        site.take_in(film())
        site.deliver_due()
        [(_, sent)] = site.deliveries()
        assert sent.sent_as["header"]["patient"]["id"] == "P1"
        age(site)
        assert purge(site).studies == 1

        [(_, artifact)] = site.deliveries()
        assert artifact.sent_as == {}


def _forget_what_was_sent(site: Site) -> None:
    """Let a site be as one whose deliveries are of an older release."""
    with site.writing() as session:
        session.execute(update(Artifact).values(sent_as={}))
