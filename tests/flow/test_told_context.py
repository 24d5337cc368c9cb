"""What the model is told of a study, and what only the checks are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import Site, film, one_database

from core import store
from core.drafting import DraftRequest
from core.lifecycle import Event


def _request(site: Site) -> DraftRequest:
    return site.drafter.requests[-1]


def _told(
    make_site: Callable[..., Site], earlier: dict[str, Any], *, is_signed: bool = True
) -> str:
    """Return what is told of an earlier study beside a chest film of 3 February 2024."""
    site = make_site()
    site.receive(film(**({"StudyDate": "20230101"} | earlier)))
    site.go_quiet()
    site.draft(1)
    if is_signed:
        with site.writing() as session:
            store.advance(session, store.get(session, 1), Event.SIGNED, at=site.clock())
    site.receive(film())
    site.go_quiet()
    site.draft(2)
    assert _request(site).has_prior is bool(_request(site).context.prior_impression)
    return _request(site).context.prior_impression


@one_database
def test_an_earlier_signed_impression_is_told(make_site: Callable[..., Site]) -> None:
    assert _told(make_site, {}) == "Normal chest."


@one_database
def test_an_earlier_draft_that_nobody_signed_is_not_told(make_site: Callable[..., Site]) -> None:
    assert _told(make_site, {}, is_signed=False) == ""


@one_database
def test_another_patients_report_is_never_told(make_site: Callable[..., Site]) -> None:
    assert _told(make_site, {"PatientID": "P2"}) == ""


@one_database
def test_an_equal_number_of_another_hospital_is_another_patient(
    make_site: Callable[..., Site],
) -> None:
    assert _told(make_site, {"IssuerOfPatientID": "ELSEWHERE"}) == ""


@one_database
def test_a_report_on_another_part_of_the_body_is_not_told(make_site: Callable[..., Site]) -> None:
    assert _told(make_site, {"BodyPartExamined": "HAND"}) == ""


@one_database
def test_a_later_report_is_no_earlier_one(make_site: Callable[..., Site]) -> None:
    assert _told(make_site, {"StudyDate": "20250101"}) == ""


@one_database
def test_names_and_numbers_go_to_the_checks_and_not_into_the_context(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    site.take_in(
        film(
            PatientName="Canary^Florence=نزار^أحمد",
            PatientID="CANARY123",
            AccessionNumber="ACC-77812",
            ReferringPhysicianName="Nightingale^Rose",
            ImageLaterality="L",
        )
    )
    request = _request(site)
    told = set(request.identifiers)
    assert {"Canary^Florence", "نزار^أحمد", "CANARY123", "19700101", "ACC-77812"} < told
    assert "Nightingale^Rose" in told
    assert request.laterality == "L"
    context = repr(vars(request.context))
    assert not [trace for trace in told if trace in context]
    assert "CANARY" not in repr(request)


@one_database
def test_sides_that_differ_are_no_laterality(make_site: Callable[..., Site]) -> None:
    site = make_site()
    right, left = film(ImageLaterality="R"), film(ImageLaterality="L")
    left.StudyInstanceUID = right.StudyInstanceUID
    site.take_in(right, left)
    assert len(_request(site).images) == 2
    assert _request(site).laterality == ""
