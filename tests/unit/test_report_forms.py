"""The forms of a structured report: draft, signed, corrected, addended, withdrawn."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from io import BytesIO
from typing import Any

import pytest
from dicom_samples import STUDY_UID, a_context, a_report, a_study_header, frames_of
from pydicom import dcmread, uid
from pydicom.dataset import Dataset

from core.errors import TextIntegrityError
from core.identifiers import document_uid
from core.report import (
    Addendum,
    Language,
    Patient,
    PriorStudy,
    Report,
    ReportStatus,
    RequestReference,
    Signature,
    notices,
)
from dicom_node.documents import DocumentReference, Predecessor, Purpose
from dicom_node.report_sr import build_sr, read_back, verify_sr

SIGNED_AT = datetime(2026, 3, 4, 9, 30, tzinfo=timezone(timedelta(hours=3)))
BOTH = (Language.EN, Language.AR)


def a_signature(*languages: Language, name: str = "Darwish^Mona=درويش^منى") -> Signature:
    return Signature(
        reader_name=name,
        reader_id="R7",
        signed_at=SIGNED_AT,
        languages=languages or BOTH,
        organisation="General Hospital",
    )


def signed(*languages: Language, **attributes: Any) -> Report:
    values = {"status": ReportStatus.SIGNED, "signature": a_signature(*languages), **attributes}
    return replace(a_report(), **values)


ADDENDUM = Addendum(
    texts=((Language.EN, "Compared with the CT."), (Language.AR, "تمت المقارنة.")),
    signature=a_signature(name="Haddad^Sami"),
)
FORMS = {
    ReportStatus.DRAFT: a_report(),
    ReportStatus.SIGNED: signed(),
    ReportStatus.CORRECTED: signed(status=ReportStatus.CORRECTED),
    ReportStatus.ADDENDED: signed(status=ReportStatus.ADDENDED, addenda=(ADDENDUM,)),
    ReportStatus.WITHDRAWN: replace(a_report(), status=ReportStatus.WITHDRAWN),
}


def parsed(report: Report, language: Language | None = Language.EN, **options: Any) -> Dataset:
    data = build_sr(report=report, context=a_context(**options), language=language)
    return dcmread(BytesIO(data))


def flags(dataset: Dataset) -> tuple[str, str, str]:
    return dataset.CompletionFlag, dataset.VerificationFlag, dataset.PreliminaryFlag


def headings(dataset: Dataset) -> list[str]:
    return [
        item.ConceptNameCodeSequence[0].CodeValue
        for item in dataset.ContentSequence
        if item.ValueType == "CONTAINER"
    ]


DRAFT_FLAGS = ("PARTIAL", "UNVERIFIED", "PRELIMINARY")
FINAL_FLAGS = ("COMPLETE", "VERIFIED", "FINAL")


@pytest.mark.parametrize("language", [*Language, None])
@pytest.mark.parametrize("status", ReportStatus)
def test_flags_and_series_say_the_state(status, language):
    dataset = parsed(FORMS[status], language)
    is_final = status not in {ReportStatus.DRAFT, ReportStatus.WITHDRAWN}
    assert flags(dataset) == (FINAL_FLAGS if is_final else DRAFT_FLAGS)
    name = {"en": "EN", "ar": "AR", None: "EN+AR"}[language]
    begin = {"draft": "AI DRAFT", "withdrawn": "WITHDRAWN DRAFT"}.get(status, status.upper())
    end = "" if is_final else " - NOT VERIFIED"
    assert dataset.SeriesDescription == f"{begin} {name}{end}"
    assert ("VerifyingObserverSequence" in dataset) is is_final


def test_a_signed_document_names_who_signed_when_with_an_offset():
    [observer] = parsed(FORMS[ReportStatus.SIGNED], Language.AR).VerifyingObserverSequence
    assert str(observer.VerifyingObserverName) == "Darwish^Mona=درويش^منى"
    assert observer.VerifyingOrganization == "General Hospital"
    assert str(observer.VerificationDateTime) == "20260304093000+0300"


def test_who_signed_is_a_person_observer_beside_the_device():
    dataset = parsed(FORMS[ReportStatus.SIGNED])
    names = [i.ConceptNameCodeSequence[0].CodeValue for i in dataset.ContentSequence]
    types = [
        i.ConceptCodeSequence[0].CodeMeaning
        for i in dataset.ContentSequence
        if i.ConceptNameCodeSequence[0].CodeValue == "121005"
    ]
    assert types == ["Device", "Person"]
    person = dataset.ContentSequence[names.index("121008")]
    assert (person.ValueType, str(person.PersonName)) == ("PNAME", "Darwish^Mona=درويش^منى")
    assert "121008" not in [
        i.ConceptNameCodeSequence[0].CodeValue
        for i in parsed(FORMS[ReportStatus.DRAFT]).ContentSequence
    ]


def test_an_addendum_has_its_own_section_and_its_own_signer():
    dataset = parsed(FORMS[ReportStatus.ADDENDED])
    assert headings(dataset)[-1] == "55107-7"
    names = [str(o.VerifyingObserverName) for o in dataset.VerifyingObserverSequence]
    assert names == ["Darwish^Mona=درويش^منى", "Haddad^Sami"]
    data = build_sr(report=FORMS[ReportStatus.ADDENDED], context=a_context(), language=Language.AR)
    assert read_back(data)["addendum"] == "تمت المقارنة."


def test_a_language_that_was_not_signed_stays_a_draft():
    report = signed(Language.EN)
    assert flags(parsed(report)) == FINAL_FLAGS
    arabic = parsed(report, Language.AR)
    assert flags(arabic) == DRAFT_FLAGS
    assert "VerifyingObserverSequence" not in arabic
    # No English draft of this version exists that it could point to.
    assert "ReferencedInstanceSequence" not in arabic


def test_a_draft_that_no_longer_fits_goes_out_as_withdrawn():
    dataset = parsed(signed(Language.EN, withdrawn=(Language.AR,)), Language.AR)
    assert flags(dataset) == DRAFT_FLAGS
    assert dataset.SeriesDescription.startswith("WITHDRAWN DRAFT AR")


def test_a_draft_does_not_pass_for_the_signed_document():
    draft = build_sr(report=a_report(), context=a_context(), language=Language.EN)
    with pytest.raises(TextIntegrityError):
        verify_sr(draft, report=signed(), context=a_context(), language=Language.EN)


def test_a_document_signed_by_another_is_refused():
    report = signed()
    data = build_sr(report=report, context=a_context(), language=Language.EN)
    other = replace(report, signature=a_signature(name="Haddad^Sami"))
    with pytest.raises(TextIntegrityError):
        verify_sr(data, report=other, context=a_context(), language=Language.EN)


@pytest.mark.parametrize(
    "header",
    [
        a_study_header(patient=Patient(id="MRN2", issuer="HOSP", name="Test^Patient=نزار^أحمد")),
        a_study_header(patient=Patient(id="MRN1", issuer="OTHER", name="Test^Patient=نزار^أحمد")),
        a_study_header(patient=Patient(id="MRN1", issuer="HOSP", name="Other^Name")),
        a_study_header(accession_number="ACC2"),
        a_study_header(study_uid="1.2.3"),
    ],
)
def test_a_document_of_another_patient_or_order_is_refused(header):
    data = build_sr(report=a_report(), context=a_context(), language=Language.EN)
    with pytest.raises(TextIntegrityError):
        verify_sr(data, report=a_report(), context=a_context(header=header), language=Language.EN)


# Both languages in one document.


def test_one_document_holds_both_languages_each_section_naming_its_own():
    dataset = parsed(a_report(frames=frames_of(f"{STUDY_UID}.8")), None)
    languages = [
        item.ContentSequence[0].ConceptCodeSequence[0].CodeValue
        for item in dataset.ContentSequence
        if item.ValueType == "CONTAINER" and "ConceptCodeSequence" in item.ContentSequence[0]
    ]
    assert languages == ["en"] * 4 + ["ar"] * 4
    assert headings(dataset)[-1] == "55113-5"
    # It is no TID 2000, and does not say that it were.
    assert "ContentTemplateSequence" not in dataset
    assert dataset.SOPInstanceUID == document_uid(STUDY_UID, 1, "sr", None)


def test_one_document_leaves_out_what_is_less_finished():
    data = build_sr(report=signed(Language.AR), context=a_context(), language=None)
    assert dcmread(BytesIO(data)).SeriesDescription == "SIGNED AR"
    assert "الرئتان صافيتان" in read_back(data)["findings"]
    assert "The lungs" not in read_back(data)["findings"]


# References.


@pytest.mark.parametrize("purpose", Purpose)
def test_each_predecessor_is_named_with_what_became_of_it(purpose):
    documents = [
        DocumentReference(sop_instance_uid=f"1.2.{n}", series_uid=f"1.3.{n % 2}") for n in range(3)
    ]
    earlier = tuple(Predecessor(document=one, purpose=purpose) for one in documents)
    [study] = parsed(FORMS[ReportStatus.SIGNED], predecessors=earlier).PredecessorDocumentsSequence
    named = [
        (reference.ReferencedSOPInstanceUID, reference.PurposeOfReferenceCodeSequence[0].CodeValue)
        for series in study.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    ]
    assert sorted(named) == [(one.sop_instance_uid, purpose.value) for one in documents]
    assert len(study.ReferencedSeriesSequence) == 2


def test_the_order_is_referred_to_with_all_that_it_says():
    request = RequestReference(
        accession_number="ACC1",
        accession_issuer="RIS",
        placer_order_number="P1",
        filler_order_number="F1",
        procedure_id="RP1",
        procedure_description="Chest, two views",
        procedure_code=("CH2", "99LOCAL", "Chest, two views"),
    )
    [item] = parsed(a_report(), requests=(request,)).ReferencedRequestSequence
    assert item.PlacerOrderNumberImagingServiceRequest == "P1"
    assert item.FillerOrderNumberImagingServiceRequest == "F1"
    assert (item.AccessionNumber, item.RequestedProcedureID) == ("ACC1", "RP1")
    assert item.RequestedProcedureDescription == "Chest, two views"
    assert item.RequestedProcedureCodeSequence[0].CodeValue == "CH2"
    assert item.StudyInstanceUID == STUDY_UID


def test_evidence_is_grouped_by_series_and_names_each_instance_once():
    images = tuple(
        DocumentReference(
            sop_instance_uid=f"{STUDY_UID}.9.{n}",
            series_uid=f"{STUDY_UID}.{8 + n % 2}",
            sop_class_uid=uid.ComputedRadiographyImageStorage,
        )
        for n in range(1, 6)
    )
    report = a_report(frames=frames_of(f"{STUDY_UID}.9"))
    [study] = parsed(report, evidence=images).CurrentRequestedProcedureEvidenceSequence
    by_series = {
        s.SeriesInstanceUID: [r.ReferencedSOPInstanceUID for r in s.ReferencedSOPSequence]
        for s in study.ReferencedSeriesSequence
    }
    assert {name: len(uids) for name, uids in by_series.items()} == {
        f"{STUDY_UID}.9": 3,
        f"{STUDY_UID}.8": 2,
    }


def test_a_comparison_is_written_only_where_an_archive_listed_a_prior_study():
    assert "18834-2" not in headings(parsed(a_report()))
    prior = PriorStudy(study_uid="1.2.9", date="20230105", modality="CT", description="CT CHEST")
    data = build_sr(
        report=a_report(), context=a_context(prior_studies=(prior,)), language=Language.EN
    )
    assert read_back(data)["comparison"] == (
        "Listed in the archive, not seen by the model: CT CHEST, 2023-01-05"
    )


def test_no_form_measures_anything():
    for report in FORMS.values():
        values = {i.ValueType for i in parsed(report).ContentSequence}
        assert "NUM" not in values
        assert parsed(report).SOPClassUID == uid.BasicTextSRStorage


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("status", ReportStatus)
def test_the_notices_come_before_every_other_text(status, language):
    dataset = parsed(FORMS[status], language)
    assert headings(dataset)[0] == "NOTICE"
    data = build_sr(report=FORMS[status], context=a_context(), language=language)
    assert read_back(data)["notices"].split("\n") == list(notices(FORMS[status], language))
