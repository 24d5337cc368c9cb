"""What the model is told of a study, and what only the checks are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness import Site, film, one_database
from pydicom import uid
from sqlalchemy import select

from core import store
from core.cleaning import GAP, without_identifiers
from core.drafting import DraftRequest
from core.errors import MemoryExhaustedError
from core.lifecycle import Event
from core.report import Language, ReportStatus, Signature, from_json, to_json
from core.tables import Draft


def _request(site: Site) -> DraftRequest:
    return site.drafter.requests[-1]


def _told(
    make_site: Callable[..., Site],
    earlier: dict[str, Any],
    *,
    signed: tuple[Language, ...] = (Language.EN, Language.AR),
) -> str:
    """Return what is told of an earlier study beside a chest film of 3 February 2024."""
    site = make_site()
    site.receive(film(**({"StudyDate": "20230101"} | earlier)))
    site.go_quiet()
    site.draft(1)
    if signed:
        with site.writing() as session:
            store.advance(session, store.get(session, 1), Event.SIGNED, at=site.clock())
            draft = session.scalars(select(Draft)).one()
            signature = Signature(
                reader_name="Darwish^Mona", reader_id="7", signed_at=site.clock(), languages=signed
            )
            final = replace(
                from_json(draft.report), status=ReportStatus.SIGNED, signature=signature
            )
            draft.report = to_json(final)
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
    assert _told(make_site, {}, signed=()) == ""


@one_database
def test_an_english_text_that_nobody_signed_is_not_told(make_site: Callable[..., Site]) -> None:
    assert _told(make_site, {}, signed=(Language.AR,)) == ""


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
def test_a_name_without_carets_is_a_name_whatever_its_digits(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    site.take_in(film(PatientName="Canary Twin 2", PatientID="MRN 7", AccessionNumber="CT CHEST 7"))
    told = _request(site).identifiers

    assert without_identifiers("Baby Canary, chest pain", told) == f"Baby {GAP} , chest pain"


@one_database
def test_sides_that_differ_are_no_laterality(make_site: Callable[..., Site]) -> None:
    site = make_site()
    right, left = film(ImageLaterality="R"), film(ImageLaterality="L")
    left.StudyInstanceUID = right.StudyInstanceUID
    site.take_in(right, left)
    assert len(_request(site).images) == 2
    assert _request(site).laterality == ""


@one_database
def test_a_slice_through_two_windows_is_two_pictures_of_one_frame(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    site.take_in(
        film(SOPClassUID=uid.CTImageStorage, Modality="CT", RescaleSlope=1, RescaleIntercept=-1024)
    )
    [draft] = site.drafts()
    windows = [frame["window"] for frame in draft.selection["frames"]]
    assert windows == ["lung", "soft tissue", "bone"]
    assert len({frame["sop_instance_uid"] for frame in draft.selection["frames"]}) == 1
    assert not [reason for reason in draft.selection["reasons"] if "Memory" in reason]


@one_database
def test_fewer_pictures_than_chosen_are_told_with_the_draft(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.drafter.script.append(MemoryExhaustedError("no room"))
    first = film()
    site.take_in(first, film(first.StudyInstanceUID, ViewPosition="LL"))
    [draft] = site.drafts()
    assert len(draft.selection["frames"]) == 1
    reason = "Memory ran out with 2 images; the model saw the first 1."
    assert reason in draft.selection["reasons"]
