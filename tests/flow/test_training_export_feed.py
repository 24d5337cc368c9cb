"""Final reports of an information system become training data where nothing was signed here."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from harness import Site, film, one_database
from harness.feed import hear
from harness.training_export import WHOLE, consent, export, lines, out, outside

from core.report import Language
from model.train.conversations import read_conversations
from worker.signing import Reader, sign

pytestmark = one_database
EN = Language.EN
READER = Reader(name="Darwish^Mona=درويش^منى", id="READER77", account="mona")
REPORT_EN = "FINDINGS:\nThe lungs are clear.\nNo pneumothorax.\n\nIMPRESSION:\nNormal chest."


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site with one draft."""
    site = make_site()
    site.take_in(film(AccessionNumber="ACC1"))
    return site


def test_a_final_report_of_the_feed_is_the_answer_and_our_draft_stands_beside_it(
    site: Site,
) -> None:
    hear(site, outside("ACC1", *WHOLE))
    consent(site)
    assert export(site)["pairs"] == {"report_en": 1}

    [pair] = read_conversations(out(site) / "pairs.jsonl")
    assert pair.turns[0].answer == (
        "FINDINGS:\nA nodule in the left upper zone.\nNo effusion.\n\nIMPRESSION:\nLeft nodule."
    )
    [line] = lines(out(site) / "references.jsonl")
    assert (line["signed_here"], line["edits"]) == (False, [])
    [draft] = lines(out(site) / "drafts.jsonl")
    assert draft["report"] == {"en": REPORT_EN}


@pytest.mark.parametrize(
    ("observations", "reason"),
    [
        (("GDT^Report^L||FINDINGS: Clear.~IMPRESSION: Normal.",), None),
        (("GDT^Report^L||Dear colleague, the chest is normal.",), "incomplete"),
        (("19005-8^Impression^LN||Normal.",), "incomplete"),
        ((WHOLE[0], "19005-8^Impression^LN||Seen by Rumi."), "identifies"),
        ((WHOLE[0], "19005-8^Impression^LN||Seen by Haddad."), "identifies"),
        (("GDT^Report^L||النتائج: الرئتان صافيتان.~الانطباع: طبيعي.",), None),
        (("GDT^Report^L||FINDINGS: Lungs clear.~IMPRESSION: صدر طبيعي.",), "incomplete"),
    ],
)
def test_what_of_the_feed_can_be_used(
    site: Site, observations: tuple[str, ...], reason: str | None
) -> None:
    hear(site, outside("ACC1", *observations))
    consent(site)
    said = export(site)
    assert (said["studies"] == 0) is (reason is not None)
    if reason == "incomplete":
        assert said["left_out"] == {"no_text": 1}
    elif reason:
        assert said["texts_left_out"] == {reason: {"en": 1}}


def test_the_newest_report_of_the_feed_counts_and_what_was_signed_here_counts_more(
    site: Site,
) -> None:
    hear(site, outside("ACC1", *WHOLE))
    later = WHOLE[1].replace("Left nodule", "Left upper nodule")
    hear(site, outside("ACC1", WHOLE[0], later, status="C"))
    consent(site)
    export(site)
    [pair] = read_conversations(out(site) / "pairs.jsonl")
    assert pair.turns[0].answer.endswith("Left upper nodule.")

    site.take_in(film(AccessionNumber="ACC2"))
    sign(site.parts, 2, version=1, languages=(EN,), reader=READER)
    hear(site, outside("ACC2", *WHOLE))
    consent(site, 2)
    out(site).rename(site.folder / "first")
    export(site)
    answers = [said.turns[0].answer for said in read_conversations(out(site) / "pairs.jsonl")]
    assert REPORT_EN in answers


def test_a_report_of_an_accession_with_two_studies_is_nobodys(site: Site) -> None:
    site.take_in(film(AccessionNumber="ACC1"))
    hear(site, outside("ACC1", *WHOLE))
    consent(site, 1)
    assert export(site)["left_out"] == {"shared_accession": 1}
    hear(site, outside("ACC1", *WHOLE, uid=site.study(1).study_uid))
    assert export(site)["studies"] == 1


def test_a_report_of_another_patient_or_without_its_message_is_none(site: Site) -> None:
    hear(site, outside("ACC1", *WHOLE).replace(b"|||P1|", b"|||P9|"))
    consent(site)
    assert export(site)["left_out"] == {"no_final_report": 1}
    hear(site, outside("ACC1", *WHOLE))
    with site.writing() as session:
        session.connection().exec_driver_sql("UPDATE hl7_message SET content = ''")
    assert export(site)["left_out"] == {"no_final_report": 1}
