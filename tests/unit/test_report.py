"""The report as the domain knows it: kept as JSON, and never mistaken for a finished one."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace

import pytest
from harness import a_finding
from harness import a_report as fake_report
from hypothesis import given
from hypothesis import strategies as st

from core.report import (
    Finding,
    FrameReference,
    Language,
    ModelVersion,
    Narrative,
    Patient,
    Report,
    ReportStatus,
    Section,
    SectionKind,
    Severity,
    StudyHeader,
    from_json,
    notices,
    standing,
    to_json,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
sections = st.builds(Section, kind=st.sampled_from(SectionKind), text=texts)
reports = st.builds(
    Report,
    narratives=st.lists(
        st.builds(
            Narrative,
            language=st.sampled_from(Language),
            sections=st.lists(sections, max_size=4).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    model=st.builds(ModelVersion, name=texts, revision=texts, is_demonstration=st.booleans()),
    status=st.sampled_from(ReportStatus),
    frames=st.lists(
        st.builds(
            FrameReference,
            series_uid=texts,
            sop_class_uid=texts,
            sop_instance_uid=texts,
            frame_number=st.integers(1, 9999),
            transform=texts,
            reason=texts,
        ),
        max_size=2,
    ).map(tuple),
    findings=st.lists(
        st.builds(
            Finding,
            code=texts,
            severity=st.sampled_from(Severity),
            message=texts,
            language=st.sampled_from([None, *Language]),
            words=st.lists(texts, max_size=2).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
)


@given(reports)
def test_a_report_comes_back_from_json_as_it_went(report: Report) -> None:
    assert from_json(to_json(report)) == report


@given(reports)
def test_the_same_report_gives_the_same_json(report: Report) -> None:
    assert to_json(from_json(to_json(report))) == to_json(report)


def test_arabic_stands_in_the_json_as_letters() -> None:
    assert "الرئتان صافيتان" in to_json(fake_report())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        "not JSON",
        to_json(fake_report()).replace('"draft"', '"final"'),
        to_json(fake_report()).replace('"en"', '"fr"'),
        to_json(fake_report()).replace('"findings"', '"Findings"', 1),
    ],
)
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        from_json(text)


def test_a_report_cannot_be_changed() -> None:
    report = fake_report()

    with pytest.raises(FrozenInstanceError):
        report.status = ReportStatus.DRAFT  # type: ignore[misc]


def test_only_what_blocks_keeps_a_report_from_being_sent() -> None:
    findings = tuple(a_finding(severity, severity) for severity in Severity)
    report = fake_report(findings=findings)

    assert [finding.code for finding in report.blocking] == ["block"]


def test_a_narrative_is_found_by_its_language_and_a_section_by_its_kind() -> None:
    report = fake_report(languages=(Language.EN,))

    assert report.narrative(Language.EN).text_of(SectionKind.IMPRESSION) == "Normal chest."
    assert report.narrative(Language.EN).text_of(SectionKind.HISTORY) == ""
    with pytest.raises(KeyError):
        report.narrative(Language.AR)


# What the outside is told


@pytest.mark.parametrize("status", ReportStatus)
def test_no_status_but_a_signed_one_says_finished(status: ReportStatus) -> None:
    told = standing(status)

    assert told.completion_flag == "PARTIAL"
    assert told.verification_flag == "UNVERIFIED"
    assert told.preliminary_flag == "PRELIMINARY"
    assert told.result_status == "R"
    assert told.order_status == "IP"


def test_every_notice_says_that_it_is_a_draft_and_who_wrote_it_in_its_language() -> None:
    report = fake_report()
    english, arabic = (notices(report, language) for language in Language)

    assert "NOT VERIFIED" in english[0]
    assert "مسودة" in arabic[0]
    assert all("Fake-Drafter 0123456789ab" in lines[1] for lines in (english, arabic))
    assert "no clinical meaning" in english[2]
    assert "بلا أي معنى سريري" in arabic[2]


def test_only_a_demonstration_model_is_called_one() -> None:
    report = fake_report()
    serious = replace(report, model=replace(report.model, is_demonstration=False))

    assert len(notices(serious, Language.EN)) == 2
    assert "DEMONSTRATION" not in " ".join(notices(serious, Language.EN))


def test_a_mark_leaves_room_for_the_language() -> None:
    for status in ReportStatus:
        assert len(standing(status).mark) <= 20
        assert set(standing(status).notices) == set(Language)


def test_names_and_birth_dates_do_not_show_where_somebody_prints_them() -> None:
    patient = Patient(id="P1", name="CANARY^N", birth_date="19330105")
    header = StudyHeader(study_uid="1.2", patient=patient, referring_physician="Nightingale")

    shown = repr(header) + repr(patient)

    assert "CANARY" not in shown
    assert "19330105" not in shown
    assert "Nightingale" not in shown


def test_json_says_severity_and_language_as_plain_words() -> None:
    report = fake_report(findings=(a_finding(severity=Severity.WARN),))

    (finding,) = json.loads(to_json(report))["findings"]
    assert (finding["severity"], finding["language"]) == ("warn", None)
