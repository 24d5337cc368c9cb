"""A sender is told what we commit to: where, how often, over TLS or plainly."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
from harness import MODALITY, Site, film, one_database
from harness.commitment import (
    ListeningSender,
    act,
    commit,
    commitment_states,
    instance_of,
    reasons_of,
    reference,
    report_all,
    report_on,
    report_to,
    request_for,
    service,
    the_commitment,
)
from pydicom.dataset import Dataset
from servers import free_port
from servers.certificates import Authority, Pair

from core import commitments
from core.associations import Associations, OpenAssociation
from core.database import reading
from core.lifecycle import CommitmentState
from core.settings_tls import SenderTlsSettings
from core.tls_context import OwnPair, acceptor_context
from dicom_node.commitment_report import finish_reports, report_due

REPORTING, REPORTED = CommitmentState.REPORTING, CommitmentState.REPORTED
UNREPORTED = CommitmentState.UNREPORTED


# Reports on the sender's own associations


@one_database
def test_a_report_belongs_on_the_association_that_asked(site: Site) -> None:
    commit(site)
    image = film()
    site.receive(image)
    register = Associations(site.settings.data_dir)
    register.prepare()
    entry = OpenAssociation(id="00aa", ae_title=MODALITY, address="", since=time.time())
    register.enter(entry, limit=9, limit_of_sender=9)
    act(site, request_for(reference(image)), association="00aa")
    report_all(site)

    assert report_on(site, "00bb") is None
    assert service(site).report_for("00aa", "STRANGER") is None
    assert report_on(site, "00aa") is not None


@one_database
def test_a_report_whose_association_has_ended_goes_on_the_next(site: Site) -> None:
    commit(site)
    image = film()
    site.receive(image)
    act(site, request_for(reference(image)), association="00aa")
    report_all(site)

    assert report_on(site, "00bb") is not None


def test_a_report_under_way_is_not_handed_out_twice_but_again_if_nobody_answers(
    site: Site,
) -> None:
    commit(site)
    image = film()
    site.receive(image)
    act(site, request_for(reference(image)))
    report_all(site)

    assert service(site).report_for("00aa", MODALITY) is not None
    assert service(site).report_for("00aa", MODALITY) is None
    # The association broke before its answer.
    site.clock.advance(minutes=6)
    assert report_on(site) is not None
    assert commitment_states(site) == {REPORTED: 1}


def test_of_two_associations_that_would_report_one_does(site: Site) -> None:
    commit(site)
    act(site, request_for(reference(film())))
    report_all(site)
    number = the_commitment(site).id
    claims = []
    for _ in range(2):
        # Both have seen that it is due.
        with site.writing() as session:
            claims.append(commitments.claim(session, number, at=site.clock()) is not None)

    assert claims == [True, False]


@one_database
def test_a_report_that_is_refused_comes_again_after_growing_pauses(site: Site) -> None:
    commit(site)
    image = film()
    site.receive(image)
    act(site, request_for(reference(image)))
    report_all(site)
    pauses = []
    for _ in range(3):
        ours = service(site)
        report = ours.report_for("00aa", MODALITY)
        assert report is not None
        ours.reported(report, 0x0110)
        due = the_commitment(site).next_attempt_at
        pauses.append((due - site.clock()).total_seconds())
        assert ours.report_for("00aa", MODALITY) is None
        site.clock.now = due

    assert pauses == [15, 30, 60]
    assert the_commitment(site).reason == "the sender answered 0110"
    assert report_on(site) is not None


def test_a_report_that_nobody_takes_for_a_day_is_a_dead_letter(site: Site) -> None:
    commit(site)
    image = film()
    site.receive(image)
    act(site, request_for(reference(image)))
    report_all(site)
    site.clock.advance(hours=25)
    report_all(site)

    assert commitment_states(site) == {UNREPORTED: 1}
    with reading(site.engine) as session:
        (row,) = commitments.unreported(session)
    assert row["ae_title"] == MODALITY
    assert "no association" in row["reason"]
    # What was promised stays promised.
    assert instance_of(site, image).committed_until is not None


@one_database
def test_settled_requests_are_kept_for_a_while_only(site: Site) -> None:
    commit(site)
    for _ in range(2):
        image = film()
        act(site, request_for(reference(image)))
        report_to(site)
        site.clock.advance(days=31)

    assert commitment_states(site) == {REPORTED: 1}


# Reports on associations of ours


@pytest.mark.parametrize("roles", [(True, True), (True, False), None])
@one_database
def test_a_sender_that_listens_is_told_on_an_association_of_ours(
    make_site: Callable[..., Site], roles: tuple[bool, bool] | None
) -> None:
    site = make_site()
    image, missing = film(), film()
    site.receive(image)
    with ListeningSender(roles=roles) as sender:
        commit(site, host="127.0.0.1", port=sender.port)
        act(site, request_for(reference(image)))
        act(site, request_for(reference(missing)))
        # It has an address: nothing comes on the association that asked.
        assert service(site).report_for("00aa", MODALITY) is None
        report_all(site)

    assert sender.events == [1, 2]
    assert sender.reports[0].committed == (reference(image),)
    assert reasons_of(sender.reports[1]) == [0x0112]
    assert commitment_states(site) == {REPORTED: 2}


@one_database
def test_a_sender_that_refuses_the_report_gets_it_again(make_site: Callable[..., Site]) -> None:
    site = make_site()
    with ListeningSender([0x0110]) as sender:
        commit(site, host="127.0.0.1", port=sender.port)
        act(site, request_for(reference(film())))
        report_all(site)
        assert commitment_states(site) == {REPORTING: 1}
        report_all(site)
        assert len(sender.reports) == 1
        site.clock.advance(seconds=16)
        report_all(site)

    assert len(sender.reports) == 2
    assert commitment_states(site) == {REPORTED: 1}


@one_database
def test_a_sender_that_is_away_is_told_when_it_is_back_or_never(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    commit(site, host="127.0.0.1", port=free_port())
    act(site, request_for(reference(film())))
    report_all(site)

    assert commitment_states(site) == {REPORTING: 1}
    assert "There is no connection" in the_commitment(site).reason
    with ListeningSender() as sender:
        commit(site, host="127.0.0.1", port=sender.port)
        site.clock.advance(seconds=16)
        report_all(site)
        assert commitment_states(site) == {REPORTED: 1}

    commit(site, host="127.0.0.1", port=free_port())
    act(site, request_for(reference(film())))
    report_all(site)
    site.clock.advance(hours=25)
    report_all(site)
    assert commitment_states(site) == {REPORTED: 1, UNREPORTED: 1}


@one_database
def test_a_silent_sender_holds_up_no_other(make_site: Callable[..., Site]) -> None:
    site = make_site()
    silence = threading.Event()
    with ListeningSender() as quick, ListeningSender() as silent:
        silent.hold = silence
        commit(site, host="127.0.0.1", port=quick.port)
        other = site.settings.senders[0].model_copy(
            update={"ae_title": "SILENT", "port": silent.port}
        )
        site.settings = site.settings.model_copy(
            update={"senders": (other, *site.settings.senders)}
        )
        act(site, request_for(reference(film())), calling="SILENT")
        act(site, request_for(reference(film())))

        began = time.monotonic()
        report_due(site.engine, site.settings, site.clock, site.parts.files)
        assert time.monotonic() - began < 5
        deadline = time.monotonic() + 10
        while not quick.reports and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(quick.reports) == 1
        silence.set()
        finish_reports(20)


# Over TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def _listening_over_tls(authority: Authority, pair: Pair) -> ListeningSender:
    """Return a sender whose port speaks TLS only, and lets in whom its authority vouches for."""
    own = OwnPair(setting="theirs", certificate=pair.certificate, key=pair.key)
    return ListeningSender(
        tls=acceptor_context(
            own,
            profile="bcp195",
            client_certificate="required",
            trusted=authority.certificate,
        )
    )


def _towards(authority: Authority, **more: Any) -> SenderTlsSettings:
    ours = authority.issue("taqrir")
    return SenderTlsSettings(
        **{
            "trusted": authority.certificate,
            "certificate": ours.certificate,
            "key": ours.key,
            **more,
        }
    )


def _ask(site: Site) -> Dataset:
    image = film()
    site.receive(image)
    act(site, request_for(reference(image)))
    return image


@one_database
def test_a_sender_whose_port_speaks_tls_is_told_over_tls(site: Site, authority: Authority) -> None:
    # Files are found where the settings are.
    (site.config.parent / "tls").mkdir()
    trusted = Path("tls/authority.pem")
    copy(authority.certificate, site.config.parent / trusted)
    with _listening_over_tls(authority, authority.issue("sender")) as sender:
        tls = _towards(authority, trusted=trusted)
        commit(site, host="127.0.0.1", port=sender.port, tls=tls)
        image = _ask(site)
        report_all(site)

    assert [report.committed for report in sender.reports] == [(reference(image),)]
    assert commitment_states(site) == {REPORTED: 1}


@one_database
def test_without_its_section_a_port_that_speaks_tls_is_told_nothing(
    site: Site, authority: Authority
) -> None:
    with _listening_over_tls(authority, authority.issue("sender")) as sender:
        commit(site, host="127.0.0.1", port=sender.port)
        _ask(site)
        report_all(site)
        assert commitment_states(site) == {REPORTING: 1}

        commit(site, host="127.0.0.1", port=sender.port, tls=_towards(authority))
        site.clock.advance(seconds=16)
        report_all(site)

    assert commitment_states(site) == {REPORTED: 1}


@one_database
def test_a_report_that_is_to_go_over_tls_never_goes_without(
    site: Site, authority: Authority
) -> None:
    with ListeningSender() as plain:
        commit(site, host="127.0.0.1", port=plain.port, tls=_towards(authority))
        _ask(site)
        report_all(site)

    assert plain.reports == []
    assert commitment_states(site) == {REPORTING: 1}
    assert "There is no TLS connection" in the_commitment(site).reason


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("their authority", "its certificate is refused"),
        ("their name", "its certificate is refused"),
        ("our certificate", "asks for our certificate"),
        ("a missing file", "senders.tls.trusted"),
    ],
)
@one_database
def test_why_nothing_could_be_reported_over_tls_is_said_and_may_be_mended(
    fault: str, words: str, site: Site, authority: Authority, tmp_path: Path
) -> None:
    theirs = authority.issue(
        "sender", hosts="DNS:elsewhere" if fault == "their name" else "IP:127.0.0.1"
    )
    wrong: dict[str, dict[str, Any]] = {
        "their authority": {"trusted": Authority(tmp_path / "other", "Other CA").certificate},
        "their name": {},
        "our certificate": {"certificate": None, "key": None},
        "a missing file": {"trusted": tmp_path / "none.pem"},
    }
    with _listening_over_tls(authority, theirs) as sender:
        where = {"host": "127.0.0.1", "port": sender.port}
        commit(site, **where, tls=_towards(authority, **wrong[fault]))
        _ask(site)
        report_all(site)
        assert commitment_states(site) == {REPORTING: 1}
        assert words in the_commitment(site).reason
        assert sender.reports == []

        commit(site, **where, tls=_towards(authority, verify_host=fault != "their name"))
        site.clock.advance(seconds=16)
        report_all(site)

    assert commitment_states(site) == {REPORTED: 1}
