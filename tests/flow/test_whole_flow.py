"""From a film to documents at the peers: what a site sees when all goes well."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness import Site, Timing
from pydicom import dcmread
from servers import wait_until

from cli.show import describe_study, study_text
from core.database import reading
from core.identifiers import document_uid, message_control_id
from core.lifecycle import DeliveryState, State
from core.report import Language
from dicom_node.demo_pacs import DemoPacs
from dicom_node.sample import chest_film
from hl7.demo_ris import DemoRis

STUDY_UID = "1.3.6.1.4.1.5962.1.2.9.20040826185059.5457"


def test_a_film_becomes_two_structured_reports_and_one_message(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    with DemoPacs("ARCHIVE", tmp_path / "pacs") as pacs, DemoRis(tmp_path / "ris") as ris:
        site = make_site(
            pacs={"main": pacs.port}, ris={"main": ris.port}, timing=Timing(quiet_seconds=0.2)
        )

        # The node's own loop completes the study and rings.
        site.send(chest_film())
        wait_until(lambda: site.bell.studies == [1])
        assert site.state() is State.QUEUED

        assert site.draft()
        assert site.bell.deliveries == [1, 3]  # the Arabic SR waits for the English one
        assert site.deliver_due() == [1, 3, 2]
        assert site.bell.deliveries == [1, 3, 2]

        assert site.are_all(DeliveryState.SENT)
        assert site.path() == ["RECEIVING", "QUEUED", "DRAFTING", "IN_REVIEW"]
        assert site.events() == [
            "instance_stored",
            "went_quiet",
            "started",
            "drafted",
            "delivery_sent",
            "delivery_sent",
            "delivery_sent",
        ]
        # Nobody sends anything again, however often it is rung for.
        assert not site.draft()
        assert site.deliver_due() == []
        expected = [document_uid(STUDY_UID, 1, "sr", language) for language in Language]
        assert [str(dcmread(path).SOPInstanceUID) for path in pacs.received] == expected
        (message,) = ris.received
        assert message.stem == message_control_id(STUDY_UID, 1, "ris:main", "oru")
        segments = message.read_bytes().decode().split("\r")
        assert segments[0].split("|")[17] == "UNICODE UTF-8"
        assert next(s for s in segments if s.startswith("OBR")).split("|")[25] == "R"
        assert "الرئتان صافيتان" in message.read_text(encoding="utf-8")


def test_what_is_shown_of_a_study_holds_its_timeline_drafts_and_deliveries(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(pacs={"main": 1})
    site.take_in(chest_film())

    with reading(site.engine) as session:
        report = describe_study(session, site.study())
    text = study_text(report)

    assert report["state"] == State.IN_REVIEW
    assert report["instances"] == 1
    assert [row["to"] for row in report["timeline"]] == [
        "RECEIVING",
        "QUEUED",
        "DRAFTING",
        "IN_REVIEW",
    ]
    (draft,) = report["drafts"]
    assert draft["selection"]["frames"][0]["reason"] == "the only image of view PA"
    assert "الرئتان صافيتان" in text
    assert "DEMONSTRATION MODEL" in text
    for event in ("went_quiet", "started", "drafted"):
        assert event in text
