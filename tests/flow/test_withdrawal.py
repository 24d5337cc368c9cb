"""A draft that nobody is to read any more does not stand with a peer as the current one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from harness import (
    ScriptedPacs,
    ScriptedRis,
    Site,
    film,
    one_database,
)
from harness.withdrawals import (
    come_from_another_patient,
    documents_sent,
    fail,
    predecessor_of,
    report_elsewhere,
    settle_withdrawals,
    sweep_and_deliver,
    withhold,
)
from pydicom.dataset import Dataset

from core.lifecycle import DeliveryState, Origin, State
from worker.signing import Reader
from worker.sweep import sweep_once

pytestmark = one_database
SENT = DeliveryState.SENT
READER = Reader(name="Darwish^Mona", id="R7", account="mona")
SR, KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.88.59"


@pytest.fixture
def pacs() -> Iterator[ScriptedPacs]:
    with ScriptedPacs() as pacs:
        yield pacs


@pytest.mark.parametrize(
    ("end", "state"),
    [
        (fail, State.FAILED),
        (withhold, State.WITHHELD),
        (report_elsewhere, State.IGNORED),
        (come_from_another_patient, State.WITHHELD),
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
        sweep_and_deliver(site)

        assert site.state() is state
        english, arabic, *withdrawn = documents_sent(site)
        assert [predecessor_of(d) for d in withdrawn] == [
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
        sweep_and_deliver(site)
        assert site.drafts()[-1].origin == Origin.WITHDRAWN
        assert len(documents_sent(site)) == 4


def test_by_key_objects_the_archive_is_told_which_documents_to_hide(
    make_site: Callable[..., Site], pacs: ScriptedPacs
) -> None:
    site = make_site(pacs={"main": pacs.port})
    settle_withdrawals(site, archives="key_objects")
    image = film()
    site.take_in(image)
    site.deliver_due()
    fail(site, image)
    sweep_and_deliver(site)

    english, arabic, rejection = documents_sent(site)
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
    settle_withdrawals(site, archives="key_objects")
    image = film()
    for _ in range(3):
        site.take_in(film(image.StudyInstanceUID))
        site.deliver_due()

    kinds = [artifact.kind for _, artifact in site.deliveries()]
    assert kinds == ["sr", "sr", "sr", "sr", "reject", "sr", "sr", "reject"]
    assert site.are_all(SENT)
    *_, first, _, _, second = documents_sent(site)
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
        settle_withdrawals(site, archives="none", ris=False)
        image = film()
        site.take_in(image)
        site.deliver_due()
        fail(site, image)
        sweep_and_deliver(site)

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
        fail(site, image)
        sweep_and_deliver(site)

        assert len(pacs.received) == 4
        assert len(other.received) == 2


def test_a_study_that_is_drafted_again_follows_the_withdrawal(
    make_site: Callable[..., Site], pacs: ScriptedPacs
) -> None:
    site = make_site(pacs={"main": pacs.port})
    image = film()
    site.take_in(image)
    site.deliver_due()
    withhold(site, image)
    sweep_and_deliver(site)
    site.take_in(film(image.StudyInstanceUID))
    site.deliver_due()

    documents = documents_sent(site)
    assert [d.SeriesDescription.split()[0] for d in documents] == ["AI"] * 2 + ["WITHDRAWN"] * 2 + [
        "AI"
    ] * 2
    assert [predecessor_of(d) for d in documents[4:]] == [d.SOPInstanceUID for d in documents[2:4]]
    assert site.state() is State.IN_REVIEW


def test_a_withdrawal_that_waits_is_dropped_when_a_newer_draft_comes(
    make_site: Callable[..., Site], pacs: ScriptedPacs
) -> None:
    site = make_site(pacs={"main": pacs.port})
    image = film()
    site.take_in(image)
    site.deliver_due()
    withhold(site, image)
    sweep_once(site.parts)
    site.take_in(film(image.StudyInstanceUID))
    site.deliver_due()

    states = [(d.draft_id, d.state) for d, _ in site.deliveries()]
    assert [state for draft, state in states if draft == 3] == [DeliveryState.DROPPED] * 2
    assert [predecessor_of(d) for d in documents_sent(site)[2:]] == [
        d.SOPInstanceUID for d in documents_sent(site)[:2]
    ]


def test_a_draft_that_nobody_has_is_not_withdrawn_a_second_time(
    make_site: Callable[..., Site], pacs: ScriptedPacs
) -> None:
    site = make_site(pacs={"main": pacs.port})
    image = film()
    site.take_in(image)
    site.deliver_due()
    withhold(site, image)
    sweep_and_deliver(site)
    site.take_in(film(image.StudyInstanceUID))
    # Never sent: the next one fails before it was.
    fail(site, image)
    sweep_and_deliver(site)

    assert site.state() is State.FAILED
    assert len(documents_sent(site)) == 4
    assert site.events().count("draft_withdrawn") == 1
