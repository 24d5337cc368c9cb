"""Objects are looked up at the archive that took them, by C-FIND and QIDO-RS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http import HTTPStatus
from io import BytesIO

import pytest
from harness import ScriptedPacs, Site, film, one_database
from harness.commitment import confirm
from harness.scripted_archive import ScriptedArchive
from harness.scripted_web import ScriptedWeb, listing
from pydicom import dcmread

from core.lifecycle import DeliveryState
from core.settings_delivery import DicomwebSettings
from worker.confirm import finish_confirming, start_confirming
from worker.sweep import sweep_once

pytestmark = one_database
PENDING, SENT = DeliveryState.PENDING, DeliveryState.SENT
CONFIRMED, PARKED = DeliveryState.CONFIRMED, DeliveryState.PARKED


def _look(site: Site) -> None:
    start_confirming(site.parts)
    finish_confirming()


@pytest.fixture
def archive() -> Iterator[ScriptedArchive]:
    with ScriptedArchive() as archive:
        yield archive


def _sent(make_site: Callable[..., Site], archive: ScriptedArchive, *answers: int) -> Site:
    """Return a site that sent a draft to one port and looks it up at another."""
    with ScriptedPacs(list(answers)) as pacs:
        site = make_site(pacs={"main": pacs.port})
        site.take_in(film())
        site.deliver_due()
    main = site.settings.pacs[0].model_copy(update={"port": archive.port})
    site.settings = site.settings.model_copy(update={"pacs": (main,)})
    site.parts.settings = site.settings
    return site


def _keep(site: Site, archive: ScriptedArchive, *numbers: int) -> None:
    for number in numbers:
        content = site.deliveries()[number][1].content
        assert content is not None
        archive.keep(dcmread(BytesIO(content)))


def test_what_the_archive_lists_is_confirmed(
    make_site: Callable[..., Site], archive: ScriptedArchive
) -> None:
    site = _sent(make_site, archive)
    confirm(site, confirm="find")
    _keep(site, archive, 0, 1)
    sweep_once(site.parts)
    finish_confirming()

    assert site.states() == [CONFIRMED, CONFIRMED]
    assert archive.levels == ["IMAGE", "IMAGE"]
    # Only UIDs are asked by.
    assert {e.keyword for e in archive.asked[0] if e.value} == {
        "QueryRetrieveLevel",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "SOPInstanceUID",
    }


def test_an_archive_that_lists_late_is_given_time_and_one_that_forgot_gets_it_again_then_parks(
    make_site: Callable[..., Site], archive: ScriptedArchive
) -> None:
    site = _sent(make_site, archive)
    confirm(site, confirm="find")
    _keep(site, archive, 0)
    waits = []
    for _ in range(3):
        _look(site)
        waits.append(site.states())
        site.clock.advance(minutes=5)
    assert waits == [[CONFIRMED, SENT], [CONFIRMED, SENT], [CONFIRMED, PENDING]]
    assert "does not list it" in site.deliveries()[1][0].reason

    with ScriptedPacs() as pacs:
        confirm(site, port=pacs.port)
        site.deliver_due()
        assert pacs.uids == [site.deliveries()[1][1].uid]
    confirm(site, confirm="find", port=archive.port)
    for _ in range(3):
        _look(site)
        site.clock.advance(minutes=5)
    assert site.states() == [CONFIRMED, PARKED]


def test_an_archive_that_answers_no_query_leaves_it_sent_and_says_so(
    make_site: Callable[..., Site], archive: ScriptedArchive
) -> None:
    archive.lists = set()
    site = _sent(make_site, archive)
    confirm(site, confirm="find")
    for _ in range(4):
        _look(site)
        site.clock.advance(hours=1)

    assert site.states() == [SENT, SENT]
    reasons = {d.reason for d, _ in site.deliveries()}
    assert all(r.startswith("sent, not confirmed: asked") and "A900" in r for r in reasons)


def test_a_yes_that_leaves_doubt_is_looked_up_where_no_proof_is_asked_for(
    make_site: Callable[..., Site], archive: ScriptedArchive
) -> None:
    site = _sent(make_site, archive, 0xB007, 0xB000)
    _keep(site, archive, 0, 1)
    _look(site)

    assert site.states() == [CONFIRMED, SENT]
    assert [d.reason for d, _ in site.deliveries()] == [
        "stored, though the data set does not match its SOP class",
        "stored, but the peer changed elements",
    ]
    assert len(archive.asked) == 1


def test_a_duplicate_that_is_refused_was_there_already(
    make_site: Callable[..., Site], archive: ScriptedArchive
) -> None:
    site = _sent(make_site, archive, 0x0111)
    _look(site)

    assert site.states() == [SENT, SENT]
    assert site.deliveries()[0][0].reason == "the peer says that it holds the object already"
    assert len(archive.asked) == 1


def test_a_dicomweb_service_gets_the_same_documents_and_is_asked_for_them_by_a_search(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedWeb() as web, ScriptedPacs() as pacs:
        site = make_site(pacs={"main": pacs.port})
        service = DicomwebSettings(name="cloud", url=web.url, confirm="find")
        site.settings = site.settings.model_copy(update={"dicomweb": (service,)})
        site.parts.settings = site.settings
        site.take_in(film())
        site.deliver_due()

        assert [d.destination for d, _ in site.deliveries()] == ["pacs:main", "dicomweb:cloud"] * 2
        assert site.states() == [SENT] * 4
        contents = [a.content for d, a in site.deliveries() if d.destination == "dicomweb:cloud"]
        assert web.objects == contents
        web.answers = [(204, b""), (503, b"")]
        _look(site)
        assert site.states() == [SENT] * 4


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ((503, b""), PENDING),
        ((409, b"no"), PARKED),
        ((202, b""), SENT),
        ((200, b""), SENT),
        ((200, b"<html>Please log in</html>"), PARKED),
        ((200, listing("1.2.3")), PARKED),
    ],
)
def test_what_a_dicomweb_service_says_decides(
    make_site: Callable[..., Site], answer: tuple[int, bytes], state: str
) -> None:
    with ScriptedWeb([answer]) as web:
        site = make_site()
        service = DicomwebSettings(name="cloud", url=web.url)
        site.settings = site.settings.model_copy(update={"dicomweb": (service,)})
        site.parts.settings = site.settings
        site.take_in(film())
        site.deliver_due()

        assert site.deliveries()[0][0].state == state
        if answer[0] == HTTPStatus.CONFLICT:
            assert site.deliveries()[0][0].reason.endswith("answered 409 Conflict. It said: no")


def _found(uid: str) -> tuple[int, bytes]:
    return 200, json.dumps([{"00080018": {"vr": "UI", "Value": [uid]}}]).encode()


def test_a_dicomweb_service_that_says_yes_and_lists_nothing_is_asked_by_a_search(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedWeb() as web:
        site = make_site()
        service = DicomwebSettings(name="cloud", url=web.url)
        site.settings = site.settings.model_copy(update={"dicomweb": (service,)})
        site.parts.settings = site.settings
        site.take_in(film())
        web.answers = [(200, b"{}"), (200, b"")]
        site.deliver_due()
        assert {d.reason for d, _ in site.deliveries()} == {
            "the peer said yes, but did not list the object"
        }

        web.answers = [_found(site.deliveries()[0][1].uid), (204, b""), (204, b""), (204, b"")]
        for _ in range(3):
            _look(site)
            site.clock.advance(minutes=5)

        assert web.answers == []
        assert site.states() == [CONFIRMED, PENDING]
        assert "does not list it" in site.deliveries()[1][0].reason


def test_a_listed_object_is_not_looked_up_where_no_proof_is_asked_for(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedWeb() as web:
        site = make_site()
        service = DicomwebSettings(name="cloud", url=web.url)
        site.settings = site.settings.model_copy(update={"dicomweb": (service,)})
        site.parts.settings = site.settings
        site.take_in(film())
        web.answers = [(200, listing(artifact.uid)) for _, artifact in site.deliveries()]
        site.deliver_due()
        _look(site)

        assert site.states() == [SENT, SENT]
        assert {path.split()[0] for path in web.paths} == {"POST"}
