from __future__ import annotations

import dataclasses
import logging
from datetime import UTC
from io import BytesIO

import pytest
from dicom_samples import STUDY_UID, a_context, a_report, a_study_header, frames_of
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread, uid
from pydicom.dataset import Dataset

from core.errors import TextIntegrityError
from core.identifiers import DEVICE_UID, document_series_uid, document_uid
from core.report import Language, Patient, Report, SectionKind, StudyHeader, notices
from dicom_node.documents import DocumentReference, Predecessor
from dicom_node.report_sr import build_sr, read_back, verify_sr

CREATED_AT = a_context().created_at


def built(language: Language = Language.EN, *, report: Report | None = None, **options) -> bytes:
    return build_sr(report=report or a_report(), context=a_context(**options), language=language)


def verify(data: bytes, language: Language = Language.EN, **options) -> None:
    verify_sr(data, report=a_report(), context=a_context(**options), language=language)


def parsed(language: Language = Language.EN, **options) -> Dataset:
    return dcmread(BytesIO(built(language, **options)))


def walk(item: Dataset):
    """Give every content item below the root."""
    for child in item.get("ContentSequence", []):
        yield child
        yield from walk(child)


def name_of(item: Dataset) -> str:
    return item.ConceptNameCodeSequence[0].CodeValue


# Same in, same out.


@pytest.mark.parametrize("language", Language)
def test_the_same_arguments_give_the_same_bytes(language):
    assert built(language) == built(language)


def test_the_uids_come_from_study_version_and_language():
    seen = set()
    for language in Language:
        for version in (1, 2):
            dataset = parsed(language, report_version=version)
            names = (STUDY_UID, version, "sr", language)
            assert dataset.SOPInstanceUID == document_uid(*names)
            assert dataset.SeriesInstanceUID == document_series_uid(*names)
            assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
            seen |= {dataset.SOPInstanceUID, dataset.SeriesInstanceUID}
    assert len(seen) == 8


# Flags and notices.


@pytest.mark.parametrize("language", Language)
def test_a_draft_is_never_mistaken_for_a_report(language):
    dataset = parsed(language)
    assert dataset.CompletionFlag == "PARTIAL"
    assert dataset.VerificationFlag == "UNVERIFIED"
    assert dataset.PreliminaryFlag == "PRELIMINARY"
    assert "VerifyingObserverSequence" not in dataset
    assert dataset.SeriesDescription == f"AI DRAFT {language.upper()} - NOT VERIFIED"
    assert dataset.CompletionFlagDescription == "AI DRAFT - NOT VERIFIED"


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("is_demonstration", [True, False])
def test_the_notices_stand_before_every_text_of_the_model(language, is_demonstration):
    report = a_report(is_demonstration=is_demonstration)
    dataset = parsed(language, report=report)
    sections = [i for i in dataset.ContentSequence if i.ValueType == "CONTAINER"]
    texts = [i.TextValue.strip("\u2067\u2069") for i in sections[0].ContentSequence]
    assert texts == list(notices(report, language))
    assert len(texts) == 2 + is_demonstration
    assert read_back(built(language, report=report))["notices"].split("\n") == texts


# The tree.


@pytest.mark.parametrize("language", Language)
def test_the_root_says_title_template_and_language(language):
    dataset = parsed(language)
    assert dataset.SOPClassUID == uid.BasicTextSRStorage
    assert dataset.SpecificCharacterSet == "ISO_IR 192"
    assert name_of(dataset) == "18748-4"
    assert dataset.ContentTemplateSequence[0].TemplateIdentifier == "2000"
    first = dataset.ContentSequence[0]
    assert (name_of(first), first.RelationshipType) == ("121049", "HAS CONCEPT MOD")
    assert first.ConceptCodeSequence[0].CodeValue == language
    assert first.ConceptCodeSequence[0].CodingSchemeDesignator == "RFC5646"


def test_only_the_root_says_a_language():
    names = [name_of(item) for item in walk(parsed(Language.AR))]
    assert names.count("121049") == 1


def test_the_observer_is_the_device_and_says_which_model():
    items = {name_of(i): i for i in parsed().ContentSequence}
    assert items["121005"].ConceptCodeSequence[0].CodeValue == "121007"
    assert items["121012"].UID == DEVICE_UID
    assert items["121013"].TextValue == "Taqrir"
    assert items["111001"].TextValue == "BiMediX2-8B-Bi"
    assert items["111003"].TextValue == "0123456789ab"
    context = [i for i in parsed().ContentSequence if i.RelationshipType == "HAS OBS CONTEXT"]
    assert len(context) == 5


@pytest.mark.parametrize("language", Language)
def test_every_item_has_a_concept_name_and_no_number_is_claimed(language):
    dataset = parsed(language, report=a_report(frames=frames_of("1.2")))
    for item in walk(dataset):
        assert name_of(item)
        assert item.ValueType in {"CONTAINER", "TEXT", "CODE", "UIDREF", "IMAGE"}
        assert len(item.ConceptNameCodeSequence[0].CodeMeaning.encode()) <= 64


def test_headings_are_translated_and_their_codes_are_not():
    english, arabic = (
        {name_of(i): i.ConceptNameCodeSequence[0].CodeMeaning for i in parsed(x).ContentSequence}
        for x in Language
    )
    assert list(english) == list(arabic)
    assert english["59776-5"] == "Findings"
    assert arabic["59776-5"] == "الموجودات"


def test_sections_stand_in_their_order_and_empty_ones_are_left_out():
    report = a_report(english="   \n ")
    names = [
        name_of(i) for i in parsed(report=report).ContentSequence if i.ValueType == "CONTAINER"
    ]
    assert names == ["NOTICE", "19005-8", "55112-7"]


@pytest.mark.parametrize("language", Language)
def test_a_section_of_one_text_flows_and_one_of_several_items_does_not(language):
    root = parsed(language, report=a_report(frames=frames_of("1.2.3")))
    containers = [item for item in root.ContentSequence if item.ValueType == "CONTAINER"]
    continuity = {name_of(item): item.ContinuityOfContent for item in containers}

    assert continuity == {
        "NOTICE": "SEPARATE",
        "59776-5": "CONTINUOUS",
        "19005-8": "CONTINUOUS",
        "55112-7": "CONTINUOUS",
        "55113-5": "SEPARATE",
    }


def test_every_kind_of_section_has_a_heading():
    report = a_report()
    narrative = report.narrative(Language.EN)
    sections = tuple(
        dataclasses.replace(narrative.sections[0], kind=kind, text=f"Text of {kind}.")
        for kind in SectionKind
    )
    report = dataclasses.replace(
        report, narratives=(dataclasses.replace(narrative, sections=sections),)
    )
    texts = read_back(built(report=report))
    assert {k: v for k, v in texts.items() if k != "notices"} == {
        kind: f"Text of {kind}." for kind in SectionKind
    }


# References.


def test_frames_are_key_images_and_evidence_grouped_by_series():
    frames = frames_of("1.2.1", "1.2.2", "1.2.1")
    dataset = parsed(report=a_report(frames=(*frames, frames[0])))
    images = [i for i in walk(dataset) if i.ValueType == "IMAGE"]
    assert [i.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for i in images] == [
        f.sop_instance_uid for f in (*frames, frames[0])
    ]
    [study] = dataset.CurrentRequestedProcedureEvidenceSequence
    assert study.StudyInstanceUID == STUDY_UID
    found = {
        s.SeriesInstanceUID: [i.ReferencedSOPInstanceUID for i in s.ReferencedSOPSequence]
        for s in study.ReferencedSeriesSequence
    }
    assert found == {
        "1.2.1": [frames[0].sop_instance_uid, frames[2].sop_instance_uid],
        "1.2.2": [frames[1].sop_instance_uid],
    }


def test_a_frame_of_a_multi_frame_object_is_named_by_number():
    [frame] = frames_of("1.2.1")
    enhanced = dataclasses.replace(frame, sop_class_uid=uid.EnhancedCTImageStorage)
    for reference, number in (
        (frame, None),
        (enhanced, 1),
        (dataclasses.replace(enhanced, frame_number=7), 7),
    ):
        dataset = parsed(report=a_report(frames=(reference,)))
        [image] = [i for i in walk(dataset) if i.ValueType == "IMAGE"]
        assert image.ReferencedSOPSequence[0].get("ReferencedFrameNumber") == number


def test_the_arabic_document_points_to_the_english_one_and_not_the_other_way():
    english, arabic = parsed(Language.EN), parsed(Language.AR)
    assert "ReferencedInstanceSequence" not in english
    [source] = arabic.ReferencedInstanceSequence
    assert source.ReferencedSOPInstanceUID == english.SOPInstanceUID
    assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121335"
    [study] = arabic.CurrentRequestedProcedureEvidenceSequence
    assert study.ReferencedSeriesSequence[0].SeriesInstanceUID == english.SeriesInstanceUID


def test_an_arabic_document_alone_points_nowhere():
    report = a_report()
    alone = dataclasses.replace(report, narratives=(report.narrative(Language.AR),))
    dataset = parsed(Language.AR, report=alone)
    assert "ReferencedInstanceSequence" not in dataset
    assert "CurrentRequestedProcedureEvidenceSequence" not in dataset
    with pytest.raises(KeyError):
        built(Language.EN, report=alone)


def test_the_predecessor_is_named_as_replaced():
    earlier = DocumentReference(sop_instance_uid="1.2.3", series_uid="1.2.4")
    [item] = parsed(predecessors=(Predecessor(document=earlier),)).PredecessorDocumentsSequence
    [series] = item.ReferencedSeriesSequence
    [reference] = series.ReferencedSOPSequence
    assert (series.SeriesInstanceUID, reference.ReferencedSOPInstanceUID) == ("1.2.4", "1.2.3")
    assert reference.ReferencedSOPClassUID == uid.BasicTextSRStorage
    assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121360"
    assert "PredecessorDocumentsSequence" not in parsed()


# Header.


def test_patient_study_and_order_are_those_of_the_images():
    dataset = parsed()
    assert str(dataset.PatientName) == "Test^Patient=نزار^أحمد"
    assert (dataset.PatientID, dataset.IssuerOfPatientID) == ("MRN1", "HOSP")
    assert (dataset.StudyInstanceUID, dataset.StudyDate) == (STUDY_UID, "20240203")
    assert dataset.AccessionNumber == "ACC1"
    [issuer] = dataset.IssuerOfAccessionNumberSequence
    assert issuer.LocalNamespaceEntityID == "RIS"
    [request] = dataset.ReferencedRequestSequence
    assert (request.AccessionNumber, request.StudyInstanceUID) == ("ACC1", STUDY_UID)
    assert request.RequestedProcedureDescription == "CHEST PA"


def test_times_carry_their_offset():
    dataset = parsed()
    assert dataset.TimezoneOffsetFromUTC == "+0300"
    assert (dataset.ContentDate, dataset.ContentTime) == ("20260304", "050607")
    assert parsed(created_at=CREATED_AT.astimezone(UTC)).TimezoneOffsetFromUTC == "+0000"
    with pytest.raises(ValueError, match="offset"):
        built(created_at=CREATED_AT.replace(tzinfo=None))


def test_an_identifier_that_does_not_fit_is_left_out_and_never_cut():
    for text in ("A" * 17, "A\\B", "A\nB"):
        dataset = parsed(header=a_study_header(accession_number=text))
        assert dataset.AccessionNumber == ""
        assert "IssuerOfAccessionNumberSequence" not in dataset
    for text in ("A" * 65, "A\\B"):
        assert parsed(header=a_study_header(patient=Patient(id=text))).PatientID == ""
    assert parsed(header=a_study_header(accession_number="A" * 16)).AccessionNumber == "A" * 16


def test_a_long_name_keeps_64_characters_a_group():
    name = f"{'م' * 100}^B^C^D^E^F^G={'B' * 100}=C=D"
    groups = str(parsed(header=a_study_header(patient=Patient(name=name))).PatientName).split("=")
    assert [len(group) for group in groups] == [64, 64, 1]


def test_a_name_with_too_many_components_keeps_all_words():
    name = "A^B^C^D^E^F"
    found = parsed(header=a_study_header(patient=Patient(name=name))).PatientName
    assert str(found) == "A^B^C^D^E F"


hostile = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\\^=\n\r\t\0\x1b\u2067\u2069\u202e\ufffd😀نزار َ'\"|&~"),
    ),
    max_size=150,
)


@given(
    text=hostile,
    name=hostile,
    date=st.one_of(hostile, st.from_regex(r"[0-9]{8}", fullmatch=True)),
)
def test_no_header_makes_a_document_crash_or_invalid(text, name, date):
    header = StudyHeader(
        study_uid=STUDY_UID,
        patient=Patient(id=text, issuer=text, name=name, birth_date=date, sex=text),
        study_id=text,
        accession_number=text,
        accession_issuer=text,
        study_date=date,
        study_time=text,
        description=text,
        referring_physician=name,
    )
    dataset = parsed(header=header)
    assert "\\" not in str(dataset.PatientName)
    assert len(str(dataset.get("StudyDescription", "")).encode()) <= 64
    assert dataset.PatientID in {"", text.strip(), text}
    assert dataset.PatientSex in {"", "M", "F", "O"}


# Text.

ARABIC = "لا يوجد استرواح صدريّ؛ القلب ١٫٢ سم (طبيعي) — «هامش» ﷺ"


@pytest.mark.parametrize(
    "text",
    [
        ARABIC,
        "one\ntwo\n\nthree",
        "  leading spaces",
        "trailing spaces   ",
        "a\\b^c=d|e&f~g",
        "\u2067nested\u2069",
        "unbalanced \u2067 \u202e and \u2069",
        "é and e\u0301, क्षि, 👩‍⚕️, \U0001f1f8\U0001f1e6",
        "\ttab",
        "\u200f\u200e\u00a0",
        "?? is a question",
        "x" * 50_000,
        "\n",
        "end\n",
    ],
)
@pytest.mark.parametrize("language", Language)
def test_text_survives(text, language):
    report = a_report(english=text, arabic=text)
    read = read_back(built(language, report=report))
    if text.strip():
        assert read["findings"].rstrip(" ") == text.rstrip(" ")
    else:
        assert "findings" not in read


writable = st.text(
    st.one_of(
        st.characters(exclude_categories=("Cs", "Cc")),
        st.sampled_from("\n\t\\^=|&~ \u2067\u2069\u202e\u0651\u064b"),
        st.characters(min_codepoint=0x600, max_codepoint=0x6FF),
    ),
    max_size=300,
).filter(lambda text: "\ufffd" not in text and "????" not in text)


@given(text=writable)
def test_any_text_survives_in_both_languages(text):
    report = a_report(english=text, arabic=text)
    for language in Language:
        read = read_back(built(language, report=report)).get("findings", "")
        assert read.rstrip(" ") == (text.rstrip(" ") if text.strip() else "")


def test_each_arabic_line_is_isolated_and_no_english_one():
    arabic = [i for i in walk(parsed(Language.AR)) if i.RelationshipType == "CONTAINS"]
    lines = [line for i in arabic if i.ValueType == "TEXT" for line in i.TextValue.split("\r\n")]
    assert len(lines) > 5
    assert all(line.startswith("\u2067") and line.endswith("\u2069") for line in lines)
    assert "\u2067".encode() not in built(Language.EN)


def test_lines_are_parted_as_dicom_parts_them():
    assert b"clear.\r\nNo pneumo" in built()


@pytest.mark.parametrize(
    "text",
    [
        "lost \ufffd letters",
        "lost ???? letters",
        "a\0b",
        "a\x1bb",
        "a\rb",
        "a\x0bb",
        "a\x85b",
        "\ud800",
    ],
)
@pytest.mark.parametrize("language", Language)
def test_a_text_that_is_damaged_or_cannot_be_carried_is_refused(text, language):
    with pytest.raises(TextIntegrityError) as caught:
        built(language, report=a_report(english=text, arabic=text))
    assert "letters" not in str(caught.value).replace("letters were lost", "")


# The proof.


@pytest.mark.parametrize("language", Language)
def test_a_faithful_document_is_verified(language):
    verify(built(language), language)


def changed(language: Language, change) -> bytes:
    dataset = parsed(language)
    change(dataset)
    buffer = BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def findings(dataset: Dataset) -> Dataset:
    [section] = [i for i in dataset.ContentSequence if name_of(i) == "59776-5"]
    return section.ContentSequence[0]


def cut_a_letter(dataset):
    findings(dataset).TextValue = findings(dataset).TextValue.replace("r", "", 1)[:-2]


def drop_a_section(dataset):
    del dataset.ContentSequence[-1]


def drop_the_notices(dataset):
    dataset.ContentSequence = [i for i in dataset.ContentSequence if name_of(i) != "NOTICE"]


def swap_sections(dataset):
    dataset.ContentSequence[-1], dataset.ContentSequence[-2] = (
        dataset.ContentSequence[-2],
        dataset.ContentSequence[-1],
    )


def finish(dataset):
    dataset.CompletionFlag = "COMPLETE"


def sign(dataset):
    dataset.VerificationFlag = "VERIFIED"


def finalize(dataset):
    dataset.PreliminaryFlag = "FINAL"


def forget_the_flag(dataset):
    del dataset.PreliminaryFlag


def rename(dataset):
    dataset.SeriesDescription = "REPORT"


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize(
    "change",
    [
        cut_a_letter,
        drop_a_section,
        drop_the_notices,
        swap_sections,
        finish,
        sign,
        finalize,
        forget_the_flag,
        rename,
    ],
)
def test_a_document_that_says_something_else_is_refused(change, language):
    with pytest.raises(TextIntegrityError):
        verify(changed(language, change), language)


def test_a_document_in_a_character_set_that_lost_letters_is_refused():
    data = built(Language.AR).replace(b"ISO_IR 192", b"ISO_IR 100")
    with pytest.raises(TextIntegrityError):
        verify(data, Language.AR)


def test_the_document_of_the_other_language_is_refused():
    with pytest.raises(TextIntegrityError):
        verify(built(Language.EN), Language.AR)


@pytest.mark.parametrize("data", [b"", b"hello", b"\0" * 128 + b"DICM"])
def test_what_is_no_document_is_refused(data):
    with pytest.raises(TextIntegrityError):
        read_back(data)
    with pytest.raises(TextIntegrityError):
        verify(data, Language.EN)


def test_a_document_that_is_cut_off_is_refused():
    with pytest.raises(TextIntegrityError):
        verify(built()[:-300], Language.EN)


def test_neither_logs_nor_errors_name_the_patient(caplog, capfd):
    header = a_study_header(patient=Patient(id="CANARY\\1", name="CANARY^\ud800نزار" * 20))
    with caplog.at_level(logging.DEBUG):
        built(header=header)
        with pytest.raises(TextIntegrityError) as caught:
            built(header=header, report=a_report(english="CANARY \ufffd"))
    assert "CANARY" not in caplog.text + str(caught.value) + "".join(capfd.readouterr())
