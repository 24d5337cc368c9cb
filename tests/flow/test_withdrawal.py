"""A draft that nobody is to read any more does not stand with a peer as the current one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from pydicom import dcmread
from pydicom.dataset import Dataset

from core.errors import PermanentError
from core.lifecycle import DeliveryState, Origin, State
from worker.sweep import sweep_once

pytestmark = one_database
SENT = DeliveryState.SENT
SR, KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.88.59"


@pytest.fixture
def pacs() -> Iterator[ScriptedPacs]:
    with ScriptedPacs() as pacs:
        yield pacs


def _settle(site: Site, **changes: Any) -> None:
    withdrawal = site.settings.withdrawal.model_copy(update=changes)
    site.settings = site.settings.model_copy(update={"withdrawal": withdrawal})
    site.parts.settings = site.settings


def _sent(site: Site) -> list[Dataset]:
    """Return what archives were sent, in order."""
    return [
        dcmread(BytesIO(artifact.content))
        for delivery, artifact in site.deliveries()
        if delivery.state == SENT and artifact.kind != "oru" and artifact.content
    ]


def _predecessor(document: Dataset) -> str:
    [study] = document.PredecessorDocumentsSequence
    [reference] = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    return str(reference.ReferencedSOPInstanceUID)


def _end(site: Site) -> None:
    sweep_once(site.parts)
    site.deliver_due()


def _fail(site: Site, image: Dataset) -> None:
    site.drafter.script.append(PermanentError("no"))
    site.take_in(film(image.StudyInstanceUID))


def _withhold(site: Site, image: Dataset) -> None:
    site.drafter.script.append((a_finding(),))
    site.take_in(film(image.StudyInstanceUID))


def _report_elsewhere(site: Site, image: Dataset) -> None:
    """Somebody else's final report comes while something of ours still waits to be sent."""
    with site.writing() as session:
        row = session.merge(site.deliveries()[-1][0])
        row.state, row.next_attempt_at = DeliveryState.PENDING, site.clock()
    site.receive(report_object(image.StudyInstanceUID))
    site.deliver_due()


def _come_from_another_patient(site: Site, image: Dataset) -> None:
    site.take_in(film_of_another_patient(image.StudyInstanceUID))


@pytest.mark.parametrize(
    ("end", "state"),
    [
        (_fail, State.FAILED),
        (_withhold, State.WITHHELD),
        (_report_elsewhere, State.IGNORED),
        (_come_from_another_patient, State.WITHHELD),
    ],
)
def test_when_a_study_ends_without_its_draft_new_documents_take_it_back(
    make_site: Callable[..., Site],
    pacs: ScriptedPacs,
    end: Callable[[Site, Dataset], None],
    state: State,
) -> None:
    with ScriptedRis() as ris:
        site = make_site(pacs={"main": pacs.port}, ris={"main": ris.port})
        image = film()
        site.take_in(image)
        site.deliver_due()
        end(site, image)
        _end(site)

        assert site.state() is state
        english, arabic, *withdrawn = _sent(site)
        assert [_predecessor(d) for d in withdrawn] == [
            english.SOPInstanceUID,
            arabic.SOPInstanceUID,
        ]
        for document in withdrawn:
            assert document.SOPClassUID == SR
            assert "WITHDRAWN" in document.SeriesDescription
            assert (document.CompletionFlag, document.VerificationFlag) == ("PARTIAL", "UNVERIFIED")
            # Of the patient that the draft was of, whoever else came.
            assert (document.PatientID, document.PatientName) == ("P1", "Test^Patient")
        assert "|X|" in ris.received[-1].decode()
        assert "draft_withdrawn" in site.events()
        _end(site)
        assert site.drafts()[-1].origin == Origin.WITHDRAWN
        assert len(_sent(site)) == 4


def test_by_key_objects_the_archive_is_told_which_documents_to_hide(
    make_site: Callable[..., Site], pacs: ScriptedPacs
) -> None:
    site = make_site(pacs={"main": pacs.port})
    _settle(site, archives="key_objects")
    image = film()
    site.take_in(image)
    site.deliver_due()
    _fail(site, image)
    _end(site)

    english, arabic, rejection = _sent(site)
    assert rejection.SOPClassUID == KEY_OBJECTS
    assert rejection.ConceptNameCodeSequence[0].CodeValue == "113001"
    [evidence] = rejection.CurrentRequestedProcedureEvidenceSequence
    named = {
        (
            series.SeriesInstanceUID,
            reference.ReferencedSOPClassUID,
            reference.ReferencedSOPInstanceUID,
        )
        for series in evidence.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    }
    assert named == {
        (d.SeriesInstanceUID, d.SOPClassUID, d.SOPInstanceUID) for d in (english, arabic)
    }


def test_by_key_objects_a_newer_version_rejects_the_older_one_once(
    make_site: Callable[..., Site], pacs: ScriptedPacs
) -> None:
    site = make_site(pacs={"main": pacs.port})
    _settle(site, archives="key_objects")
    image = film()
    for _ in range(3):
        site.take_in(film(image.StudyInstanceUID))
        site.deliver_due()

    kinds = [artifact.kind for _, artifact in site.deliveries()]
    assert kinds == ["sr", "sr", "sr", "sr", "reject", "sr", "sr", "reject"]
    assert site.are_all(SENT)
    *_, first, _, _, second = _sent(site)
    uids = [a.uid for _, a in site.deliveries()]
    for rejection, expected in ((first, uids[0:2]), (second, uids[2:4])):
        named = [
            item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
            for item in rejection.ContentSequence
            if item.ValueType == "COMPOSITE"
        ]
        assert sorted(named) == sorted(expected)


def test_a_site_may_want_no_withdrawals(make_site: Callable[..., Site], pacs: ScriptedPacs) -> None:
    with ScriptedRis() as ris:
        site = make_site(pacs={"main": pacs.port}, ris={"main": ris.port})
        _settle(site, archives="none", ris=False)
        image = film()
        site.take_in(image)
        site.deliver_due()
        _fail(site, image)
        _end(site)

        assert len(site.deliveries()) == 3
        assert (len(pacs.received), len(ris.received)) == (2, 1)


def test_only_who_has_the_draft_is_told_that_it_is_withdrawn(
    make_site: Callable[..., Site], pacs: ScriptedPacs
) -> None:
    with ScriptedPacs([0xC000, 0xC000]) as other:
        site = make_site(pacs={"main": pacs.port, "other": other.port})
        image = film()
        site.take_in(image)
        site.deliver_due()
        _fail(site, image)
        _end(site)

        assert len(pacs.received) == 4
        assert len(other.received) == 2


def test_a_study_that_is_drafted_again_follows_the_withdrawal(
    make_site: Callable[..., Site], pacs: ScriptedPacs
) -> None:
    site = make_site(pacs={"main": pacs.port})
    image = film()
    site.take_in(image)
    site.deliver_due()
    _withhold(site, image)
    _end(site)
    site.take_in(film(image.StudyInstanceUID))
    site.deliver_due()

    documents = _sent(site)
    assert [d.SeriesDescription.split()[0] for d in documents] == ["AI"] * 2 + ["WITHDRAWN"] * 2 + [
        "AI"
    ] * 2
    assert [_predecessor(d) for d in documents[4:]] == [d.SOPInstanceUID for d in documents[2:4]]
    assert site.state() is State.IN_REVIEW


def test_a_withdrawal_that_waits_is_dropped_when_a_newer_draft_comes(
    make_site: Callable[..., Site], pacs: ScriptedPacs
) -> None:
    site = make_site(pacs={"main": pacs.port})
    image = film()
    site.take_in(image)
    site.deliver_due()
    _withhold(site, image)
    sweep_once(site.parts)
    site.take_in(film(image.StudyInstanceUID))
    site.deliver_due()

    states = [(d.draft_id, d.state) for d, _ in site.deliveries()]
    assert [state for draft, state in states if draft == 3] == [DeliveryState.DROPPED] * 2
    assert [_predecessor(d) for d in _sent(site)[2:]] == [d.SOPInstanceUID for d in _sent(site)[:2]]


def test_a_draft_that_nobody_has_is_not_withdrawn_a_second_time(
    make_site: Callable[..., Site], pacs: ScriptedPacs
) -> None:
    site = make_site(pacs={"main": pacs.port})
    image = film()
    site.take_in(image)
    site.deliver_due()
    _withhold(site, image)
    _end(site)
    site.take_in(film(image.StudyInstanceUID))
    # Never sent: the next one fails before it was.
    _fail(site, image)
    _end(site)

    assert site.state() is State.FAILED
    assert len(_sent(site)) == 4
    assert site.events().count("draft_withdrawn") == 1
