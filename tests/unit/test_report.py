"""The report as the domain knows it: kept as JSON, and never mistaken for a finished one."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from harness import a_finding
from harness import a_report as fake_report
from hypothesis import given
from hypothesis import strategies as st

from core.report import (
    Addendum,
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
    Signature,
    StudyHeader,
    from_json,
    notices,
    spoken_name,
    standing,
    to_json,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
sections = st.builds(Section, kind=st.sampled_from(SectionKind), text=texts)
moments = st.datetimes(
    min_value=datetime(1900, 1, 1),  # noqa: DTZ001  the strategy adds the offset
    timezones=st.timedeltas(timedelta(hours=-14), timedelta(hours=14)).map(
        lambda offset: timezone(timedelta(minutes=offset // timedelta(minutes=1)))
    ),
)


def signatures(languages: tuple[Language, ...]) -> st.SearchStrategy[Signature]:
    return st.builds(
        Signature,
        reader_name=texts.filter(lambda name: name.strip("^= ")),
        reader_id=texts,
        signed_at=moments,
        languages=st.just(languages),
        organisation=texts,
    )


@st.composite
def reports_of(draw: st.DrawFn) -> Report:
    languages = draw(st.sets(st.sampled_from(Language), min_size=1).map(tuple))
    status = draw(st.sampled_from(ReportStatus))
    signed = draw(st.sets(st.sampled_from(languages), min_size=1).map(tuple))
    is_final = standing(status).is_final
    least = 1 if status is ReportStatus.ADDENDED else 0
    addenda = draw(
        st.lists(
            st.builds(
                Addendum,
                texts=st.just(tuple((one, draw(texts)) for one in signed)),
                signature=signatures(signed),
            ),
            min_size=least,
            max_size=2,
        )
    )
    return Report(
        narratives=tuple(
            Narrative(language=one, sections=tuple(draw(st.lists(sections, max_size=4))))
            for one in languages
        ),
        model=draw(
            st.builds(ModelVersion, name=texts, revision=texts, is_demonstration=st.booleans())
        ),
        status=status,
        frames=tuple(draw(st.lists(frames, max_size=2))),
        findings=tuple(draw(st.lists(findings, max_size=2))),
        signature=draw(signatures(signed)) if is_final else None,
        addenda=tuple(addenda) if is_final else (),
        withdrawn=tuple(set(languages) - set(signed)) if is_final and draw(st.booleans()) else (),
    )


frames = st.builds(
    FrameReference,
    series_uid=texts,
    sop_class_uid=texts,
    sop_instance_uid=texts,
    frame_number=st.integers(1, 9999),
    transform=texts,
    reason=texts,
)
findings = st.builds(
    Finding,
    code=texts,
    severity=st.sampled_from(Severity),
    message=texts,
    language=st.sampled_from([None, *Language]),
    words=st.lists(texts, max_size=2).map(tuple),
)
reports = reports_of()


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


@pytest.mark.parametrize("status", [ReportStatus.DRAFT, ReportStatus.WITHDRAWN])
def test_no_status_but_a_signed_one_says_finished(status: ReportStatus) -> None:
    told = standing(status)

    assert not told.is_final
    assert told.completion_flag == "PARTIAL"
    assert told.verification_flag == "UNVERIFIED"
    assert told.preliminary_flag == "PRELIMINARY"
    assert told.result_status in "RX"
    assert told.order_status == "IP"
    assert "AI DRAFT" in told.notices[Language.EN]
    assert "مسودة" in told.notices[Language.AR]


@pytest.mark.parametrize(
    ("status", "result"),
    [(ReportStatus.SIGNED, "F"), (ReportStatus.CORRECTED, "C"), (ReportStatus.ADDENDED, "C")],
)
def test_a_signed_report_says_so_everywhere(status: ReportStatus, result: str) -> None:
    told = standing(status)

    assert (told.completion_flag, told.verification_flag) == ("COMPLETE", "VERIFIED")
    assert (told.preliminary_flag, told.order_status) == ("FINAL", "CM")
    assert (told.result_status, told.is_final) == (result, True)
    assert "DRAFT" not in told.mark + told.notices[Language.EN]
    assert "مسودة" not in told.notices[Language.AR]


def a_signature(*languages: Language, name: str = "Darwish^Mona^^Dr.=درويش^منى") -> Signature:
    return Signature(
        reader_name=name,
        reader_id="R7",
        signed_at=datetime(2026, 3, 4, 9, 30, tzinfo=timezone(timedelta(hours=3))),
        languages=languages or tuple(Language),
        organisation="General Hospital",
    )


def signed(*languages: Language, **attributes: Any) -> Report:
    values = {"status": ReportStatus.SIGNED, "signature": a_signature(*languages), **attributes}
    return replace(fake_report(), **values)


def test_a_signed_report_says_who_signed_and_that_a_model_helped() -> None:
    english, arabic = (notices(signed(), language) for language in Language)

    assert english[1] == (
        "Prepared with AI assistance (Fake-Drafter, 0123456789ab); "
        "reviewed and signed by Dr. Mona Darwish."
    )
    assert "راجعه ووقعه منى درويش" in arabic[1]
    assert "بمساعدة الذكاء الاصطناعي (Fake-Drafter, 0123456789ab)" in arabic[1]


def test_a_language_that_was_not_signed_is_never_final() -> None:
    report = signed(Language.EN)

    assert report.status_of(Language.EN) is ReportStatus.SIGNED
    assert report.status_of(Language.AR) is ReportStatus.DRAFT
    assert report.languages_in_status == (Language.EN,)
    assert "لم يوقع" in " ".join(notices(report, Language.AR))
    assert "راجعه ووقعه" not in " ".join(notices(report, Language.AR))


def test_a_draft_that_no_longer_fits_the_signed_text_is_withdrawn() -> None:
    report = signed(Language.EN, withdrawn=(Language.AR,))

    assert report.status_of(Language.AR) is ReportStatus.WITHDRAWN
    assert "لا تستخدم" in notices(report, Language.AR)[0]


def test_an_addendum_in_one_language_is_announced_in_the_other() -> None:
    addendum = Addendum(
        texts=((Language.EN, "Compared with the CT."),), signature=a_signature(Language.EN)
    )
    report = signed(status=ReportStatus.ADDENDED, addenda=(addendum,))

    assert notices(report, Language.EN)[2] == "Addendum signed by Dr. Mona Darwish."
    assert "ملحقا بلغة أخرى" in notices(report, Language.AR)[2]


@pytest.mark.parametrize(
    "attributes",
    [
        {"status": ReportStatus.SIGNED},
        {"signature": a_signature()},
        {"status": ReportStatus.WITHDRAWN, "signature": a_signature()},
        {"status": ReportStatus.ADDENDED, "signature": a_signature()},
        {"withdrawn": (Language.AR,)},
        {
            "status": ReportStatus.SIGNED,
            "signature": a_signature(),
            "withdrawn": (Language.AR,),
        },
    ],
)
def test_a_report_that_contradicts_itself_cannot_be_made(attributes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        replace(fake_report(), **attributes)


def test_a_language_that_the_report_does_not_have_cannot_be_signed() -> None:
    with pytest.raises(ValueError):
        replace(
            fake_report(languages=(Language.EN,)),
            status=ReportStatus.SIGNED,
            signature=a_signature(Language.AR),
        )


@pytest.mark.parametrize(
    "attributes",
    [
        {"reader_name": "^^= "},
        {"languages": ()},
        {"languages": (Language.EN, Language.EN)},
        {"signed_at": datetime(2026, 1, 1)},  # noqa: DTZ001
    ],
)
def test_half_a_signature_is_none(attributes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        replace(a_signature(), **attributes)


def test_an_addendum_is_signed_in_the_languages_of_its_texts() -> None:
    with pytest.raises(ValueError):
        Addendum(texts=((Language.EN, "x"),), signature=a_signature())


def test_a_draft_of_an_earlier_release_is_still_read() -> None:
    data = json.loads(to_json(fake_report()))
    for later in ("signature", "addenda", "withdrawn"):
        del data[later]

    assert from_json(json.dumps(data)) == fake_report()


@pytest.mark.parametrize(
    ("name", "english", "arabic"),
    [
        ("Darwish^Mona^A^Dr.^MD", "Dr. Mona A Darwish MD", "Dr. Mona A Darwish MD"),
        ("Darwish^Mona=درويش^منى", "Mona Darwish", "منى درويش"),
        ("=درويش^منى", "منى درويش", "منى درويش"),
        ("Dr. Mona Darwish", "Dr. Mona Darwish", "Dr. Mona Darwish"),
        ("^^==", "", ""),
        ("", "", ""),
        ("A^B^C^D^E^F", "D B C A E", "D B C A E"),
    ],
)
def test_a_name_is_spoken_in_the_letters_of_the_language(
    name: str, english: str, arabic: str
) -> None:
    assert spoken_name(name, Language.EN) == english
    assert spoken_name(name, Language.AR) == arabic


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
