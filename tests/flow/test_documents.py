"""Which documents a site's settings make of a report, and that each can be made and proved."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from harness import ScriptedPacs, Site, abort, film, one_database
from pydicom import dcmread

from core.lifecycle import DeliveryState
from core.report import Language
from core.settings_documents import KeyImagesSettings, PdfSettings, SrSettings
from worker.signing import Reader, sign

pytestmark = one_database
BOTH = KeyImagesSettings(secondary_capture=True, key_objects=True)
READER = Reader(name="Darwish^Mona", id="R7", account="mona")


def _site(make_site: Callable[..., Site], pacs: ScriptedPacs, **changes: Any) -> Site:
    site = make_site(pacs={"main": pacs.port})
    site.settings = site.settings.model_copy(update=changes)
    site.parts.settings = site.settings
    return site


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, ["sr en", "sr ar"]),
        ({"sr": SrSettings(language_layout="bilingual")}, ["sr "]),
        ({"pdf": PdfSettings(enabled=True)}, ["sr en", "sr ar", "pdf "]),
        ({"key_images": BOTH}, ["sr en", "sr ar", "sc ", "ko "]),
    ],
)
def test_each_setting_adds_its_documents_and_each_is_sent_and_resent_as_it_was(
    make_site: Callable[..., Site], changes: dict[str, Any], kinds: list[str]
) -> None:
    with ScriptedPacs([abort, 0x0000] * len(kinds)) as pacs:
        site = _site(make_site, pacs, **changes)
        site.take_in(film())
        for _ in range(2 * len(kinds)):
            site.deliver_due()
            site.clock.advance(minutes=10)

        assert [f"{a.kind} {a.language}" for _, a in site.deliveries()] == kinds
        assert site.are_all(DeliveryState.SENT)
        # A resend is proved anew, pictures and all.
        assert {d.attempts for d, _ in site.deliveries()} == {2}
        assert len(set(pacs.uids)) == len(kinds) == len(set(pacs.received))


def test_a_key_image_shows_the_picture_that_the_model_saw_and_names_its_source(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs() as pacs:
        site = _site(make_site, pacs, key_images=BOTH)
        image = film()
        site.take_in(image)
        site.deliver_due()

        contents = {a.kind: a.content for _, a in site.deliveries()}
        picture, selection = (dcmread(BytesIO(contents[kind] or b"")) for kind in ("sc", "ko"))
        [source] = picture.SourceImageSequence
        assert source.ReferencedSOPInstanceUID == image.SOPInstanceUID
        assert "AI DRAFT" in picture.SeriesDescription
        [evidence] = selection.CurrentRequestedProcedureEvidenceSequence
        [series] = evidence.ReferencedSeriesSequence
        [reference] = series.ReferencedSOPSequence
        assert reference.ReferencedSOPInstanceUID == image.SOPInstanceUID


def test_a_signed_report_names_every_image_of_the_study_as_evidence(
    make_site: Callable[..., Site],
) -> None:
    with ScriptedPacs() as pacs:
        site = _site(make_site, pacs)
        images = [film()]
        images += [film(images[0].StudyInstanceUID) for _ in range(6)]
        site.take_in(*images)
        sign(site.parts, 1, version=1, languages=(Language.EN,), reader=READER)
        site.deliver_due()

        content = next(a.content for d, a in site.deliveries() if d.draft_id == 2)
        document = dcmread(BytesIO(content or b""))
        named = {
            reference.ReferencedSOPInstanceUID
            for study in document.CurrentRequestedProcedureEvidenceSequence
            for series in study.ReferencedSeriesSequence
            for reference in series.ReferencedSOPSequence
        }
        assert {image.SOPInstanceUID for image in images} <= named
