"""A person decides: what is signed goes out as final, and nothing else ever does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO

import pytest
from harness import ScriptedPacs, ScriptedRis, Site, film, one_database, report_object
from pydicom import dcmread
from pydicom.dataset import Dataset

from core.errors import SigningRefusedError, TextIntegrityError
from core.lifecycle import DeliveryState, State
from core.report import (
    Language,
    Narrative,
    Report,
    ReportStatus,
    Section,
    SectionKind,
    from_json,
    to_json,
)
from core.tables import Draft
from worker.signing import Reader, addend, correct, reject, sign
from worker.sweep import sweep_once

EN, AR = Language.EN, Language.AR
SENT, DROPPED = DeliveryState.SENT, DeliveryState.DROPPED
READER = Reader(name="Darwish^Mona=درويش^منى", id="R7", account="mona")


def edited(site: Site, *changes: tuple[Language, str, str]) -> Report:
    """Return the newest report with words replaced, language by language."""
    report = from_json(site.drafts()[-1].report)
    narratives = {n.language: n for n in report.narratives}
    for language, before, after in changes:
        narrative = narratives[language]
        assert any(before in s.text for s in narrative.sections)
        sections = tuple(
            Section(kind=s.kind, text=s.text.replace(before, after)) for s in narrative.sections
        )
        narratives[language] = Narrative(language=language, sections=sections)
    return replace(report, narratives=tuple(narratives.values()))


def documents(site: Site, version: int) -> dict[str, Dataset]:
    """Return the SRs of a report version by language."""
    ids = {d.id for d in site.drafts() if d.report_version == version}
    return {
        artifact.language: dcmread(BytesIO(artifact.content))
        for delivery, artifact in site.deliveries()
        if delivery.draft_id in ids and artifact.kind == "sr" and artifact.content
    }


def flags(document: Dataset) -> tuple[str, str, str]:
    return (document.CompletionFlag, document.VerificationFlag, document.PreliminaryFlag)


FINAL = ("COMPLETE", "VERIFIED", "FINAL")
UNSIGNED = ("PARTIAL", "UNVERIFIED", "PRELIMINARY")


@pytest.fixture
def sent(make_site: Callable[..., Site]) -> Iterator[Site]:
    """A site whose archive has both languages of a draft; its peers answer yes to everything."""
    with ScriptedPacs() as pacs, ScriptedRis() as ris:
        site = make_site(pacs={"main": pacs.port}, ris={"main": ris.port})
        site.take_in(film())
        site.deliver_due()
        site.ris = ris  # type: ignore[attr-defined]
        site.pacs = pacs  # type: ignore[attr-defined]
        yield site


def test_both_languages_signed_are_final_name_the_drafts_and_the_message_says_f(
    sent: Site,
) -> None:
    decision = sign(sent.parts, 1, version=1, languages=(EN, AR), reader=READER)
    sent.deliver_due()

    assert (decision.report_version, decision.edits) == (2, 0)
    assert sent.state() is State.SIGNED
    assert sent.are_all(SENT)
    draft, signed = documents(sent, 1), documents(sent, 2)
    for language in (EN, AR):
        document = signed[language]
        assert flags(document) == FINAL
        assert document.VerifyingObserverSequence[0].VerifyingObserverName == READER.name
        [study] = document.PredecessorDocumentsSequence
        [reference] = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
        assert reference.ReferencedSOPInstanceUID == draft[language].SOPInstanceUID
        assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121362"
        assert document.SOPInstanceUID != draft[language].SOPInstanceUID
    message = sent.ris.received[-1].decode()  # type: ignore[attr-defined]
    assert "|F|" in message
    assert "|R|" not in message
    row = next(r for r in sent.timeline() if r.event == "signed")
    assert row.detail["reader"] == READER.name
    assert (row.detail["id"], row.detail["account"]) == ("R7", "mona")
    assert row.detail["languages"] == ["en", "ar"]
    audit = sent.audit_trail()
    for words in (b"110103", b'UserID="R7"', b'UserID="mona"', b"version 2 signed in en, ar"):
        assert words in audit


def test_a_language_that_is_not_named_stays_an_unsigned_draft(sent: Site) -> None:
    sign(sent.parts, 1, version=1, languages=(EN,), reader=READER)
    sent.deliver_due()

    signed = documents(sent, 2)
    assert flags(signed["en"]) == FINAL
    assert flags(signed["ar"]) == UNSIGNED
    assert "VerifyingObserverSequence" not in signed["ar"]
    assert "AI DRAFT" in signed["ar"].SeriesDescription


def test_an_edit_withdraws_the_draft_of_the_other_language_and_is_kept(sent: Site) -> None:
    report = edited(sent, (EN, "No pneumothorax.", "A small pneumothorax."))
    decision = sign(sent.parts, 1, version=1, languages=(EN,), reader=READER, edited=report)
    sent.deliver_due()

    assert decision.edits == 1
    signed = documents(sent, 2)
    assert flags(signed["en"]) == FINAL
    assert "WITHDRAWN" in signed["ar"].SeriesDescription
    assert flags(signed["ar"]) == UNSIGNED
    [edit] = sent.drafts()[-1].changes["edits"]
    assert (edit["language"], edit["section"]) == ("en", "findings")
    assert "No pneumothorax." in edit["before"]
    assert "A small pneumothorax." in edit["after"]
    message = sent.ris.received[-1].decode()  # type: ignore[attr-defined]
    assert "A small pneumothorax." in message


@one_database
def test_a_stale_version_is_refused(make_site: Callable[..., Site]) -> None:
    site = make_site()
    image = film()
    site.take_in(image)
    site.take_in(film(image.StudyInstanceUID))

    with pytest.raises(SigningRefusedError, match="Version 1 is not the current one; that is 2"):
        sign(site.parts, 1, version=1, languages=(EN,), reader=READER)
    assert site.state() is State.IN_REVIEW
    sign(site.parts, 1, version=2, languages=(EN,), reader=READER)
    with pytest.raises(SigningRefusedError, match="The study is SIGNED, not IN_REVIEW"):
        sign(site.parts, 1, version=2, languages=(EN,), reader=READER)


@one_database
def test_a_study_for_which_a_new_version_is_being_drafted_cannot_be_signed(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    image = film()
    site.take_in(image)
    site.receive(film(image.StudyInstanceUID))

    with pytest.raises(SigningRefusedError, match="The study is RECEIVING"):
        sign(site.parts, 1, version=1, languages=(EN,), reader=READER)


@one_database
@pytest.mark.parametrize(
    ("languages", "changes", "words"),
    [
        ((), (), "at least one"),
        ((EN, EN), (), "at least one"),
        ((EN,), ((AR, "صدر طبيعي.", "صدر غير طبيعي."),), "changed and is not signed"),
        # Only one of the two: they disagree.
        ((EN, AR), ((EN, "No pneumothorax.", "Left pneumothorax."),), "say different things"),
    ],
)
def test_what_may_not_be_signed(
    make_site: Callable[..., Site],
    languages: tuple[Language, ...],
    changes: tuple[tuple[Language, str, str], ...],
    words: str,
) -> None:
    site = make_site()
    site.take_in(film())
    report = edited(site, *changes) if changes else None

    with pytest.raises(SigningRefusedError, match=words):
        sign(site.parts, 1, version=1, languages=languages, reader=READER, edited=report)
    assert site.state() is State.IN_REVIEW
    assert len(site.drafts()) == 1


@one_database
def test_texts_and_names_that_no_document_could_carry_are_refused_before_anything_is_written(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(pacs={"main": 1})
    site.take_in(film())
    broken = edited(site, (EN, "No pneumothorax.", "No \x07 pneumothorax."))
    twice = edited(site)
    narrative = twice.narratives[0]
    twice = replace(
        twice,
        narratives=(
            replace(narrative, sections=narrative.sections + narrative.sections[:1]),
            *twice.narratives[1:],
        ),
    )
    with pytest.raises(TextIntegrityError):
        sign(site.parts, 1, version=1, languages=(EN,), reader=READER, edited=broken)
    with pytest.raises(SigningRefusedError, match="stands twice"):
        sign(site.parts, 1, version=1, languages=(EN,), reader=READER, edited=twice)
    for reader in (
        replace(READER, name=" ^ = "),
        replace(READER, name="A" * 301),
        replace(READER, name="Mona\nDarwish"),
        replace(READER, id="R\\7"),
        replace(READER, id=""),
    ):
        with pytest.raises(SigningRefusedError, match="printable letters"):
            sign(site.parts, 1, version=1, languages=(EN,), reader=reader)
    assert site.state() is State.IN_REVIEW


def test_a_correction_takes_the_place_of_the_signed_text(sent: Site) -> None:
    sign(sent.parts, 1, version=1, languages=(EN, AR), reader=READER)
    sent.deliver_due()
    with pytest.raises(SigningRefusedError, match="nothing to correct"):
        correct(sent.parts, 1, version=2, languages=(EN,), reader=READER, edited=edited(sent))
    report = edited(sent, (EN, "A normal film.", "A normal chest film."))
    decision = correct(sent.parts, 1, version=2, languages=(EN,), reader=READER, edited=report)
    sent.deliver_due()

    assert decision.report_version == 3
    corrected = documents(sent, 3)
    assert flags(corrected["en"]) == FINAL
    assert "CORRECTED" in corrected["en"].SeriesDescription
    assert flags(corrected["ar"]) == UNSIGNED
    assert "|C|" in sent.ris.received[-1].decode()  # type: ignore[attr-defined]
    assert sent.state() is State.SIGNED


def test_an_addendum_stands_behind_the_signed_text(sent: Site) -> None:
    sign(sent.parts, 1, version=1, languages=(EN,), reader=READER)
    sent.deliver_due()
    late = film(sent.study().study_uid)
    sent.receive(late)
    assert sent.study().needs_addendum
    with pytest.raises(SigningRefusedError, match="needs a text"):
        addend(sent.parts, 1, version=2, texts={EN: " \n"}, reader=READER)
    addend(sent.parts, 1, version=2, texts={EN: "A later film is normal, too."}, reader=READER)
    sent.deliver_due()

    assert not sent.study().needs_addendum
    document = documents(sent, 3)["en"]
    assert flags(document) == FINAL
    texts = "\n".join(str(e.value) for e in document.iterall() if e.keyword == "TextValue")
    assert texts.index("The lungs are clear.") < texts.index("A later film is normal, too.")
    [study] = document.PredecessorDocumentsSequence
    [reference] = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121361"
    assert "A later film is normal, too." in (
        sent.ris.received[-1].decode()  # type: ignore[attr-defined]
    )


@one_database
def test_an_addendum_takes_only_languages_that_are_signed(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.take_in(film())
    sign(site.parts, 1, version=1, languages=(EN,), reader=READER)

    for texts in ({AR: "إضافة."}, {EN: "More.", AR: "إضافة."}):
        with pytest.raises(SigningRefusedError, match="not signed in ar"):
            addend(site.parts, 1, version=2, texts=texts, reader=READER)
    assert len(site.drafts()) == 2

    site = make_site()
    model = site.settings.model.model_copy(update={"languages": (EN,)})
    site.settings = site.settings.model_copy(update={"model": model})
    site.parts.settings = site.settings
    site.take_in(film())
    assert [n.language for n in from_json(site.drafts()[0].report).narratives] == [EN]
    sign(site.parts, 1, version=1, languages=(EN,), reader=READER)
    with pytest.raises(SigningRefusedError, match="not signed in ar"):
        addend(site.parts, 1, version=2, texts={AR: "إضافة."}, reader=READER)


@one_database
def test_a_text_that_was_written_on_other_images_cannot_be_signed(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    site.take_in(film())
    site.take_in(film())
    other = from_json(site.drafts(2)[-1].report)

    for stranger in (other, replace(other, frames=())):
        with pytest.raises(SigningRefusedError, match="other frames"):
            sign(site.parts, 1, version=1, languages=(EN,), reader=READER, edited=stranger)
    assert site.state(1) is State.IN_REVIEW


def test_a_rejected_draft_is_taken_back_where_it_stands(sent: Site) -> None:
    with pytest.raises(SigningRefusedError, match="A reason takes"):
        reject(sent.parts, 1, version=1, reader=READER, reason=" ")
    reject(sent.parts, 1, version=1, reader=READER, reason="not this patient's film")
    sent.deliver_due()

    assert sent.state() is State.REJECTED
    withdrawn = documents(sent, 2)
    assert {language: flags(d) for language, d in withdrawn.items()} == {
        "en": UNSIGNED,
        "ar": UNSIGNED,
    }
    assert all("WITHDRAWN" in d.SeriesDescription for d in withdrawn.values())
    assert "|X|" in sent.ris.received[-1].decode()  # type: ignore[attr-defined]
    sweep_once(sent.parts)
    assert len(sent.drafts()) == 2


@one_database
def test_of_a_rejected_draft_that_nobody_has_nothing_is_sent(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs() as pacs:
        site = make_site(pacs={"main": pacs.port})
        site.take_in(film())
        reject(site.parts, 1, version=1, reader=READER, reason="no")
        site.deliver_due()
        sweep_once(site.parts)
        site.deliver_due()

        assert pacs.received == []
        assert site.are_all(DROPPED)


def test_what_waits_of_the_draft_is_dropped_when_it_is_signed(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs() as pacs:
        site = make_site(pacs={"main": pacs.port})
        site.take_in(film())
        sign(site.parts, 1, version=1, languages=(EN, AR), reader=READER)
        site.deliver_due()

        assert site.states() == [DROPPED, DROPPED, SENT, SENT]
        assert len(pacs.uids) == 2
        # Nobody has the draft, so that nothing names it.
        assert "PredecessorDocumentsSequence" not in documents(site, 2)["en"]


@one_database
def test_a_final_report_of_somebody_elses_does_not_stop_a_signed_one(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs() as pacs:
        site = make_site(pacs={"main": pacs.port})
        image = film()
        site.take_in(image)
        sign(site.parts, 1, version=1, languages=(EN,), reader=READER)
        site.receive(report_object(image.StudyInstanceUID))
        site.deliver_due()

        assert len(pacs.uids) == 2


def test_a_report_survives_its_way_through_the_row(sent: Site) -> None:
    sign(sent.parts, 1, version=1, languages=(EN,), reader=READER)
    with sent.writing() as session:
        draft = session.get_one(Draft, 2)
        report = from_json(draft.report)

    assert from_json(to_json(report)) == report
    assert report.status is ReportStatus.SIGNED
    assert report.narrative(EN).text_of(SectionKind.IMPRESSION) == "Normal chest."
