"""Phantoms: what they show is what they say, in the picture, the texts and the object."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from pydicom import dcmread

from cli.phantom import phantom
from core.report import Language, Severity
from dicom_node.header import read_header
from dicom_node.selection import render_selection, select
from model.checks import WrittenText, check
from model.evaluate.findings import read_report
from model.parsing import parse_report, parse_summary
from model.phantom.case import (
    LABELS,
    SIDED,
    Case,
    Kind,
    PhantomFinding,
    Side,
    Size,
    Zone,
    draw_case,
    labels_of,
)
from model.phantom.film import Photometric, store
from model.phantom.phantoms import draw_phantom, numbered_phantom
from model.phantom.ranges import UNSEEN
from model.phantom.record import context_of, from_line, to_line, truth_of
from model.phantom.wording import Style, sentences, write


def cases(count: int, seed: int = 5) -> list[tuple[Case, np.random.Generator]]:
    rngs = [np.random.default_rng([seed, index]) for index in range(count)]
    return [(draw_case(rng), rng) for rng in rngs]


def one(kind: Kind, side: Side | None = None) -> Case:
    finding = PhantomFinding(kind=kind, side=side, zone=Zone.MIDDLE, size=Size.LARGE)
    return Case(findings=(finding,))


@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize("language", Language)
def test_our_own_reading_finds_in_each_report_just_what_the_phantom_shows(
    language: Language, style: Style
) -> None:
    for case, rng in cases(60):
        wording = write(case, rng, style)
        sides = {k.value: case.sides(k) for k in case.kinds if k in SIDED}
        parts = [s.text for s in parse_report(wording.report(language), language).sections]
        assert len(parts) == 2
        for text in (*parts, wording.summary(language)):
            said = read_report(text, language)
            assert said.affirmed == {kind.value for kind in case.kinds}, text
            assert {k: v for k, v in said.sides.items() if k in sides} == sides, text


@pytest.mark.parametrize("style", Style)
def test_no_check_finds_a_fault_in_a_reference_report(style: Style) -> None:
    for case, rng in cases(25, seed=6):
        wording = write(case, rng, style)
        reports, summaries = (
            {
                lang: WrittenText(raw=text, sections=parse(text, lang).sections)
                for lang in Language
                for text in [of(lang)]
            }
            for parse, of in ((parse_report, wording.report), (parse_summary, wording.summary))
        )
        found = check(reports=reports, summaries=summaries, are_orientations_known=True)
        assert [f for f in found if f.severity is not Severity.NOTE] == []


def test_reports_of_one_case_differ_in_words_and_order() -> None:
    case = Case(findings=(PhantomFinding(kind=Kind.NODULE, side=Side.LEFT, zone=Zone.UPPER),))
    texts = {write(case, np.random.default_rng(seed)).report_en for seed in range(40)}
    assert len(texts) > 25
    assert len({text.index("nodule") for text in texts}) > 3
    assert any("No " in text or "no " in text for text in texts)


def test_every_kind_side_and_zone_is_drawn_and_hardly_one_much_more_than_another() -> None:
    counts = np.sum([labels_of(case) for case, _ in cases(3000)], axis=0)
    assert len(counts) == len(LABELS)
    assert counts.min() > 40
    assert sum(not case.findings for case, _ in cases(1000)) > 80
    assert max(len(case.findings) for case, _ in cases(1000)) >= 4


def test_no_two_findings_hide_each_other() -> None:
    for case, _ in cases(500):
        by_side = [{f.kind for f in case.findings if f.side is side} for side in Side]
        assert all(not {Kind.EFFUSION, Kind.CONSOLIDATION} <= kinds for kinds in by_side)
        assert not {Kind.OEDEMA, Kind.CONSOLIDATION} <= case.kinds


def test_the_same_seed_and_number_give_the_same_film_and_others_another() -> None:
    first, again, other = (numbered_phantom(3, index, size=64) for index in (1, 1, 2))
    assert np.array_equal(first.film, again.film)
    assert first.case == again.case
    assert first.film.shape != other.film.shape or not np.array_equal(first.film, other.film)


@pytest.mark.parametrize("kind", [k for k in Kind if k in SIDED])
@pytest.mark.parametrize("side", Side)
def test_a_finding_lies_on_the_side_that_it_is_said_to_lie_on(kind: Kind, side: Side) -> None:
    made = draw_phantom(one(kind, side), np.random.default_rng(8), size=96)
    extent = made.extents[kind]
    left_of_picture, right_of_picture = extent[:, :48].sum(), extent[:, 48:].sum()
    # The patient's right is on the picture's left.
    weights = (left_of_picture, right_of_picture)
    own, other = weights if side is Side.RIGHT else reversed(weights)
    assert own > 1.5 * other


@pytest.mark.parametrize("kind", Kind)
def test_a_finding_changes_the_film_where_it_lies(kind: Kind) -> None:
    shown = one(kind, Side.LEFT if kind in SIDED else None)
    with_it = draw_phantom(shown, np.random.default_rng(4), size=96, ranges=UNSEEN)
    assert with_it.extents[kind].max() > 0.5
    assert 0.0005 < (with_it.extents[kind] > 0.3).mean() < 0.5
    assert with_it.film.std() > 0.02


def test_a_film_is_stored_in_8_to_16_bits_and_either_way_round() -> None:
    film = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    for bits in range(8, 17):
        plain, inverse = (store(film, bits, p).values for p in reversed(Photometric))
        assert plain.max() == 2**bits - 1
        assert plain.dtype == (np.uint8 if bits == 8 else np.uint16)
        assert np.abs(plain.astype(int) + inverse - (2**bits - 1)).max() <= 1
    for bits in (7, 17):
        with pytest.raises(ValueError, match="8 to 16"):
            store(film, bits, Photometric.MONOCHROME2)


def test_a_truth_survives_its_line() -> None:
    for index in range(20):
        made = truth_of(11, index, draw_case(np.random.default_rng([11, index])), "a.dcm")
        line = to_line(made)
        assert from_line(line) == made
        assert json.loads(line)["findings"] is not None
    assert context_of(made) == context_of(from_line(line))


def test_the_tokenizer_is_trained_on_every_sentence_that_is_written() -> None:
    known = set(sentences())
    for case, rng in cases(30):
        text = write(case, rng).report_ar.partition("\n")[2].partition("\n")[0]
        assert all(f"{part}." in known for part in text.rstrip(".").split(". "))


def test_the_command_writes_objects_that_come_back_as_the_films_that_were_drawn(
    tmp_path: Path,
) -> None:
    out = tmp_path / "phantoms"
    options = ["--count", "6", "--out", str(out), "--seed", "4", "--size", "96", "--json"]
    done = CliRunner().invoke(phantom, options)
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    truths = [from_line(line) for line in (out / "truth.jsonl").read_text().splitlines()]
    assert [truth.file for truth in truths] == told["files"]
    forms = set()
    for index, truth in enumerate(truths):
        path = out / truth.file
        dataset = dcmread(path)
        forms.add((dataset.PhotometricInterpretation, dataset.BitsStored))
        assert dataset.ViewPosition == truth.case.view
        made = numbered_phantom(4, index, size=96)
        image = render_selection(select([read_header(path)]), lambda _uid, p=path: p).images[0]
        assert image.is_orientation_known
        difference = image.pixels.astype(int) - made.pixels
        assert np.abs(difference).max() <= 2, dataset.PhotometricInterpretation
    assert len(forms) > 2


def test_the_same_seed_gives_the_same_bytes_and_a_full_folder_is_refused(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        CliRunner().invoke(phantom, ["--out", str(folder), "--size", "64"])
    one_file, other = (next(folder.glob("*.dcm")).read_bytes() for folder in folders)
    assert one_file == other
    assert dcmread(io.BytesIO(one_file)).PatientID.startswith("PHANTOM")
    refused = CliRunner().invoke(phantom, ["--out", str(folders[0])])
    assert refused.exit_code == 2
    assert "not empty" in refused.output


def test_pictures_come_with_conversations_for_each_task(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        phantom, ["--count", "2", "--out", str(tmp_path), "--size", "64", "--pictures"]
    )
    assert done.exit_code == 0, done.output
    lines = (tmp_path / "conversations.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == 10
    assert {record["language"] for record in records} == {"en", "ar"}
    assert all((tmp_path / record["image"]).is_file() for record in records)


@pytest.mark.parametrize("style", ["standard", "site"])
def test_a_site_learns_from_its_own_texts_alone(tmp_path: Path, style: str) -> None:
    options = ["--count", "8", "--out", str(tmp_path), "--size", "64", "--pictures"]
    CliRunner().invoke(phantom, [*options, "--style", style])
    truths = {
        truth.file: truth
        for truth in map(from_line, (tmp_path / "truth.jsonl").read_text().splitlines())
    }
    is_own = []
    for line in (tmp_path / "conversations.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        quoted = record["conversations"][0]["value"].partition("\n\n")[2]
        wording = truths[record["image"]].wording
        is_own += [quoted in (wording.report_en, wording.report_ar)] if quoted else []
    assert len(is_own) == 8 * 3
    assert all(is_own) is (style == "site")
