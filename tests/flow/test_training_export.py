"""Signed reports become training data: with consent, without names, whole or not at all."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from harness import Site, film, film_of_another_patient, one_database
from harness.feed import hear, merge, order
from harness.retained import age, purge
from harness.training_export import WHOLE, consent, export, lines, out, outside, run
from PIL import Image

from cli.main import taqrir
from core.errors import PermanentError
from core.report import Language, Report, Section, from_json
from model.evaluate.reports import read_drafts, read_references
from model.train.conversations import read_conversations
from worker.exporting import export as write
from worker.seeing import look_at
from worker.signing import Reader, addend, correct, sign
from worker.training_case import Wanted

pytestmark = one_database
EN, AR = Language.EN, Language.AR
READER = Reader(name="Darwish^Mona=درويش^منى", id="READER77", account="mona")
REPORT_EN = "FINDINGS:\nThe lungs are clear.\nNo pneumothorax.\n\nIMPRESSION:\nNormal chest."
REPORT_AR = "النتائج:\nالرئتان صافيتان.\nلا يوجد استرواح صدري.\n\nالانطباع:\nصدر طبيعي."


def edited(site: Site, before: str, after: str, study: int = 1) -> Report:
    """Return a study's newest report with words replaced wherever they stand."""
    report = from_json(site.drafts(study)[-1].report)
    return replace(
        report,
        narratives=tuple(
            replace(
                n,
                sections=tuple(
                    Section(kind=s.kind, text=s.text.replace(before, after)) for s in n.sections
                ),
            )
            for n in report.narratives
        ),
    )


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site with one draft."""
    site = make_site()
    site.take_in(film(AccessionNumber="ACC1"))
    return site


@pytest.fixture
def signed(site: Site) -> Site:
    """A site with one report, signed in both languages, with consent."""
    sign(site.parts, 1, version=1, languages=(EN, AR), reader=READER)
    consent(site)
    return site


def test_a_signed_report_becomes_the_questions_of_a_draft_with_what_was_signed_as_answers(
    site: Site,
) -> None:
    hear(site, order(reason="cough since May"))
    text = edited(site, "A normal film.", "A normal chest film.")
    sign(site.parts, 1, version=1, languages=(EN, AR), reader=READER, edited=text)
    consent(site)
    said = export(site)

    assert (said["studies"], said["pictures"], said["left_out"]) == (1, 1, {})
    read = {
        said.id.partition("-")[2]: said for said in read_conversations(out(site) / "pairs.jsonl")
    }
    answers = {task: record.turns[0].answer for task, record in read.items()}
    assert answers == {
        "report_en": REPORT_EN,
        "report_ar": REPORT_AR,
        "summary_en": "A normal chest film.",
        "summary_ar": "صورة طبيعية.",
    }
    context = "Context: modality CR; body part CHEST; view PA; sex M; age 50-59; "
    for task, record in read.items():
        asked = record.turns[0].question
        assert asked.startswith(f"{context}indication cough since May.\n"), task
    assert read["report_ar"].turns[0].question.endswith(REPORT_EN)
    assert read["summary_en"].turns[0].question.endswith(REPORT_EN)
    assert read["summary_ar"].turns[0].question.endswith(REPORT_AR)
    assert {record.language for record in read.values()} == {EN, AR}

    _selection, rendering = look_at(site.parts, site.study())
    [shown] = rendering.images
    [file] = read["report_en"].images
    with Image.open(file) as picture:
        assert picture.info == {}
        assert np.array_equal(np.asarray(picture), shown.pixels)


def test_draft_edits_and_final_stand_side_by_side_and_can_be_evaluated(site: Site) -> None:
    text = edited(site, "A normal film.", "A normal chest film.")
    sign(site.parts, 1, version=1, languages=(EN, AR), reader=READER, edited=text)
    consent(site)
    export(site)

    [final] = read_references(out(site) / "references.jsonl")
    [draft] = read_drafts(out(site) / "drafts.jsonl")
    assert final.reports == draft.reports == {EN: REPORT_EN, AR: REPORT_AR}
    assert (final.summaries[EN], draft.summaries[EN]) == ("A normal chest film.", "A normal film.")
    [line] = lines(out(site) / "references.jsonl")
    assert line["edits"] == [
        {
            "language": "en",
            "section": "summary",
            "before": "A normal film.",
            "after": "A normal chest film.",
        }
    ]
    files = [str(out(site) / name) for name in ("references.jsonl", "drafts.jsonl")]
    result = CliRunner().invoke(taqrir, ["model", "evaluate", "reports", *files])
    assert result.exit_code == 0, result.output


def test_nothing_leaves_without_consent_and_nothing_after_it_was_withdrawn(site: Site) -> None:
    sign(site.parts, 1, version=1, languages=(EN,), reader=READER)
    assert export(site)["left_out"] == {"no_consent": 1}
    consent(site)
    consent(site, answer="--no")
    assert export(site)["left_out"] == {"no_consent": 1}
    assert "taqrir consent STUDY --yes" in run(site, "model", "export", "--out", "x").stdout


def test_consent_that_is_withdrawn_during_an_export_stops_it(signed: Site) -> None:
    with pytest.raises(PermanentError, match="was withdrawn"):
        write(
            signed.parts,
            out(signed),
            Wanted(),
            account="test",
            on_study=lambda _done, _of: consent(signed, answer="--no"),
        )
    assert not out(signed).exists()
    assert "exported_for_training" not in signed.events()
    assert [path.name for path in signed.folder.iterdir() if "export" in path.name] == []


def test_a_study_that_is_purged_during_an_export_stays_in_it(signed: Site) -> None:
    def let_days_pass(_done: int, _of: int) -> None:
        age(signed)
        assert purge(signed).studies == 1

    write(signed.parts, out(signed), Wanted(), account="test", on_study=let_days_pass)
    assert len(read_conversations(out(signed) / "pairs.jsonl")) == 4
    audit = signed.audit_trail()
    assert audit.rpartition(b'csd-code="110106"')[2].count(b'ParticipantObjectID="P1"') == 1


def test_objects_of_two_patients_are_left_out(site: Site) -> None:
    site.take_in(film_of_another_patient(site.study().study_uid))
    number = site.study().patient_id.encode()
    hear(site, outside("ACC1", *WHOLE).replace(b"|||P1|", b"|||" + number + b"|"))
    consent(site)
    assert export(site)["left_out"] == {"patient_conflict": 1}


def test_an_export_is_told_in_the_timeline_and_the_audit_trail(signed: Site) -> None:
    export(signed)
    assert signed.events()[-1] == "exported_for_training"
    audit = signed.audit_trail()
    assert b'csd-code="110106"' in audit
    assert out(signed).as_uri().encode() in audit


@pytest.mark.parametrize(
    "words",
    [
        "Compared with 03.02.2024.",  # the study's date
        "Mr Qabbani is known here.",  # the patient, as the order has it
        "Patient: no Testing.",  # the patient's name is Test^Patient
        "Dictated by Darwish.",
        "See record RECORD12.",
        "Referred by Doctor Haddad.",
        "Accession ACC1.",
        "Call 0501234567.",
    ],
)
def test_a_text_in_which_somebody_is_named_is_left_out(
    make_site: Callable[..., Site], words: str
) -> None:
    site = make_site()
    site.take_in(film(PatientID="RECORD12", ReferringPhysicianName="Haddad^Zaha"))
    hear(site, order(patient="RECORD12"))
    text = edited(site, "Normal chest.", f"Normal chest. {words}")
    sign(site.parts, 1, version=1, languages=(EN,), reader=READER, edited=text)
    consent(site)
    said = export(site)

    assert (said["studies"], said["left_out"]) == (0, {"no_text": 1})
    assert said["texts_left_out"] == {"identifies": {"en": 1}}


def test_where_one_language_names_somebody_the_other_stays_alone(site: Site) -> None:
    text = edited(site, "Normal chest.", "Normal chest. Dictated by Darwish.")
    sign(site.parts, 1, version=1, languages=(EN, AR), reader=READER, edited=text)
    consent(site)
    said = export(site)

    assert said["texts_left_out"] == {"identifies": {"en": 1}}
    # Without an English text Arabic is asked for straight from the pictures.
    assert said["pairs"] == {"report_ar": 1, "summary_ar": 1}
    [report, _summary] = read_conversations(out(site) / "pairs.jsonl")
    assert "النتائج" in report.turns[0].question
    assert "The lungs" not in report.turns[0].question
    held = "".join(path.read_text("utf-8") for path in out(site).glob("*.jsonl"))
    assert "Dictated" not in held


def test_no_file_of_an_export_holds_what_names_the_patient_the_readers_or_the_study(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    image = film(
        PatientID="RECORD12",
        PatientName="Canary^Jane=كناري^جين",
        AccessionNumber="ACC77001",
        ReferringPhysicianName="Haddad^Zaha",
        StudyID="STUDY991",
    )
    site.take_in(image)
    why = "cough, Canary seen by Haddad on 20240203, كناري, ACC77001"
    hear(site, order(patient="RECORD12", accession="ACC77001", number="PLACER55", reason=why))
    text = edited(site, "A normal film.", "A normal film of Canary.")
    sign(site.parts, 1, version=1, languages=(EN, AR), reader=READER, edited=text)
    corrected = edited(site, " of Canary", "")
    correct(site.parts, 1, version=2, languages=(EN, AR), reader=READER, edited=corrected)
    consent(site)
    said = export(site)

    assert said["pairs"] == {"report_ar": 1, "report_en": 1, "summary_ar": 1, "summary_en": 1}
    held = b"".join(path.read_bytes() for path in sorted(out(site).rglob("*")) if path.is_file())
    names = "".join(str(path.relative_to(out(site))) for path in out(site).rglob("*"))
    for secret in (
        *("Canary", "Jane", "كناري", "جين", "RECORD12", "ACC77001", "Haddad", "Zaha", "STUDY991"),
        *("PLACER55", "Qabbani", "Darwish", "درويش", "READER77", "19700101", "20240203"),
        *(str(image.StudyInstanceUID), str(image.SOPInstanceUID), str(image.SeriesInstanceUID)),
    ):
        assert secret.encode() not in held, secret
        assert secret not in names
    # The question is the engine's: what stood there is a gap in it, as it is for the model.
    assert "indication cough, [...] seen by [...] on [...]" in held.decode("utf-8", "replace")


def test_the_patient_of_merged_numbers_is_taken_out_under_every_name(site: Site) -> None:
    hear(site, merge("P1", "P100", "Nuwas^Abu"))
    text = edited(site, "Normal chest.", "Normal chest of Nuwas.")
    sign(site.parts, 1, version=1, languages=(EN,), reader=READER, edited=text)
    consent(site)
    assert site.study().patient_id == "P100"
    assert export(site)["texts_left_out"] == {"identifies": {"en": 1}}
    # What the images came with stays a name, although the number has another by now.
    text = edited(site, "Normal chest of Nuwas.", "Normal chest of Patient.")
    correct(site.parts, 1, version=2, languages=(EN,), reader=READER, edited=text)
    assert export(site)["texts_left_out"] == {"identifies": {"en": 1}}
    text = edited(site, "Normal chest of Patient.", "Normal chest.")
    correct(site.parts, 1, version=3, languages=(EN,), reader=READER, edited=text)
    assert export(site)["studies"] == 1


def test_only_what_was_signed_is_exported_and_only_in_the_language_that_is_asked_for(
    site: Site,
) -> None:
    sign(site.parts, 1, version=1, languages=(EN,), reader=READER)
    consent(site)
    assert export(site, "--language", "ar")["left_out"] == {"no_text": 1}
    assert export(site)["pairs"] == {"report_en": 1, "summary_en": 1}
    [line] = lines(out(site) / "drafts.jsonl")
    assert line["report"].keys() == {"en"}


def test_a_text_that_is_too_long_to_be_cleaned_is_left_out(site: Site) -> None:
    text = edited(site, "Normal chest.", "Normal chest. " * 800)
    sign(site.parts, 1, version=1, languages=(EN,), reader=READER, edited=text)
    consent(site)
    assert export(site)["texts_left_out"] == {"too_long": {"en": 1}}


def test_a_correction_is_what_is_learnt_and_an_addended_report_is_left_out(signed: Site) -> None:
    text = edited(signed, "Normal chest.", "A normal chest.")
    correct(signed.parts, 1, version=2, languages=(EN,), reader=READER, edited=text)
    export(signed)
    [report, _summary] = read_conversations(out(signed) / "pairs.jsonl")
    assert report.turns[0].answer.endswith("A normal chest.")

    addend(signed.parts, 1, version=3, texts={EN: "A rib is broken."}, reader=READER)
    out(signed).rename(signed.folder / "first")
    assert export(signed)["left_out"] == {"addended": 1}


def test_a_report_that_is_older_than_its_images_is_left_out(signed: Site) -> None:
    signed.receive(film(signed.study().study_uid))
    assert export(signed)["left_out"] == {"late_images": 1}


def test_a_study_without_a_report_a_purged_one_and_one_without_pictures_are_counted(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(rules='[training]\nconsent = "all"')
    images = [film(AccessionNumber=f"A{n}") for n in range(3)]
    site.take_in(*images)
    for study in (1, 2):
        sign(site.parts, study, version=1, languages=(EN,), reader=READER)
    for file in (site.settings.data_dir / "studies" / images[1].StudyInstanceUID).rglob("*.dcm"):
        file.unlink()
    assert export(site)["left_out"] == {"no_final_report": 1, "no_pictures": 1}

    out(site).rename(site.folder / "first")
    age(site)
    assert purge(site).studies == 3
    assert export(site)["left_out"] == {"purged": 3}


def test_the_same_study_has_the_same_name_in_every_export_and_nowhere_else(
    signed: Site, make_site: Callable[..., Site]
) -> None:
    export(signed)
    first = {path.name: path.read_bytes() for path in out(signed).rglob("*") if path.is_file()}
    out(signed).rename(signed.folder / "first")
    export(signed)
    again = {path.name: path.read_bytes() for path in out(signed).rglob("*") if path.is_file()}
    assert again == first
    [record] = [line["id"] for line in lines(out(signed) / "references.jsonl")]
    said = json.loads(run(signed, "consent", "ACC1", "--json").stdout)
    assert said["record"] == record
    key = signed.settings.data_dir / "pseudonyms.key"
    assert key.stat().st_mode & 0o777 == 0o600

    other = make_site()
    other.take_in(film(signed.study().study_uid))
    sign(other.parts, 1, version=1, languages=(EN,), reader=READER)
    consent(other)
    export(other)
    assert lines(out(other) / "references.jsonl")[0]["id"] != record


def test_a_damaged_key_names_nobody(signed: Site) -> None:
    (signed.settings.data_dir / "pseudonyms.key").write_bytes(b"")
    result = run(signed, "model", "export", "--out", str(out(signed)))
    assert "is damaged" in str(result.exception)
    assert not out(signed).exists()


def test_a_day_leaves_out_what_was_signed_before_it(signed: Site) -> None:
    assert export(signed, "--since", "2199-01-01")["left_out"] == {"earlier": 1}
    assert export(signed, "--since", "2020-01-01")["studies"] == 1


def test_a_folder_that_is_there_or_cannot_be_made_is_refused(signed: Site) -> None:
    out(signed).mkdir()
    there = run(signed, "model", "export", "--out", str(out(signed)))
    assert "is there already" in str(there.exception)
    for place in (signed.config / "export", signed.folder / "no" / "export"):
        result = run(signed, "model", "export", "--out", str(place))
        assert isinstance(result.exception, PermanentError)
        assert "cannot be written" in str(result.exception)
    assert list(out(signed).iterdir()) == []
    assert "exported_for_training" not in signed.events()


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    if os.geteuid():
        pytest.skip("only root may mount a disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_leaves_nothing_behind(make_site: Callable[..., Site], full_disk: Path) -> None:
    site = make_site()
    noise = np.random.default_rng(1).integers(0, 255, (400, 400), dtype=np.uint8)
    site.take_in(film(Rows=400, Columns=400, PixelData=noise.tobytes()))
    sign(site.parts, 1, version=1, languages=(EN,), reader=READER)
    consent(site)

    result = run(site, "model", "export", "--out", str(full_disk / "export"))
    assert "cannot be written: No space left on device" in str(result.exception)
    assert list(full_disk.iterdir()) == []
    assert "exported_for_training" not in site.events()
