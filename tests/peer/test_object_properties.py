"""Every object of generated reports before programs that are not ours: validators and readers."""

from __future__ import annotations

import html
import subprocess
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from servers import dcmtk, program
from unit.dicom_samples import a_context, a_report
from unit.report_strategies import SENTENCES, Case, cases, picture, references

from core.report import Language, Report, SectionKind
from dicom_node.document_writing import frames_as_references
from dicom_node.documents import DocumentReference, KeyObjectTitle
from dicom_node.key_image import build_key_image
from dicom_node.key_objects import build_key_objects
from dicom_node.passages import passages
from dicom_node.report_pdf import build_pdf_object, read_pdf
from dicom_node.report_sr import build_sr

pytestmark = pytest.mark.peer
# Cases are few and known, so that a run of the whole suite tells about the change at hand; without
# shrinking, which costs minutes. To look further: raise max_examples, drop derandomize.
_MANY = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# Pages and pictures are dearer than trees.
_PAGES_EVERY, _PICTURES_EVERY = 3, 5


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, list[str]]:
    """Write the objects of many reports; give the lines that each structured report must hold."""
    folder = tmp_path_factory.mktemp("objects")
    lines: dict[Path, list[str]] = {}
    count = 0

    @_MANY
    @given(cases)
    def write(case: Case) -> None:
        nonlocal count
        count += 1
        for name, data in objects_of(case, count).items():
            path = folder / f"{count:04}-{name}.dcm"
            path.write_bytes(data)
            lines[path] = lines_of(case, Language(name[3:])) if name[:3] == "sr-" else []

    write()
    assert count >= 120
    return lines


def objects_of(case: Case, number: int) -> dict[str, bytes]:
    """Return the objects of a report; each builder reads its own result back and compares."""
    report, context = case.report, case.context
    made = {
        f"sr-{n.language}": build_sr(report=report, context=context, language=n.language)
        for n in report.narratives
    }
    if number % 2:
        made["both"] = build_sr(report=report, context=context, language=None)
    else:
        made["reject"] = build_key_objects(
            title=list(KeyObjectTitle)[1 + number % 4 // 2],
            references=[DocumentReference(sop_instance_uid="1.2.3", series_uid="1.2.4")],
            model=report.model,
            context=context,
            text=report.narratives[0].sections[0].text,
            language=report.narratives[0].language,
        )
    selected = frames_as_references(report.frames)
    if selected:
        made["ko"] = build_key_objects(
            title=KeyObjectTitle.OF_INTEREST,
            references=selected,
            model=report.model,
            context=context,
        )
    pictures = [picture(frame) for frame in report.frames]
    if number % _PAGES_EVERY == 0:
        made["pdf"] = build_pdf_object(report=report, context=context, key_images=pictures)
    if pictures and number % _PICTURES_EVERY == 0:
        made["sc"] = build_key_image(report=report, context=context, image=pictures[0], number=1)
    return made


def lines_of(case: Case, language: Language) -> list[str]:
    return [
        line
        for passage in passages(case.report, case.context, language)
        for text in passage.texts
        for line in text.split("\n")
    ]


def over_each(command: str, files: list[Path]) -> dict[Path, str]:
    """Run a program over files, one shell for all; give what it said of each."""
    script = f'for file; do echo "=== $file"; {command} 2>&1; done'
    done = subprocess.run(
        ["bash", "-c", script, "-", *map(str, files)], capture_output=True, check=False, timeout=240
    )
    said = done.stdout.decode(errors="replace").split("=== ")[1:]
    return {Path(one.partition("\n")[0]): one.partition("\n")[2] for one in said}


def of_kind(generated: dict[Path, list[str]], *kinds: str) -> list[Path]:
    return [path for path in generated if path.stem.partition("-")[2].startswith(kinds)]


CLASSES = {
    "sr-": "BasicTextSR",
    "both": "BasicTextSR",
    "ko": "KeyObjectSelectionDocument",
    "reject": "KeyObjectSelectionDocument",
    "pdf": "EncapsulatedPDF",
    "sc": "SCImage",
}


@pytest.mark.parametrize("kind", CLASSES)
def test_dciodvfy_finds_no_error(generated, kind):
    files = of_kind(generated, kind)
    command = program("/usr/bin/dciodvfy", "dciodvfy") + ' -new "$file"'
    said = over_each(command, files)
    assert len(said) == len(files) > 10
    for path, words in said.items():
        assert CLASSES[kind] in words, path
        assert [line for line in words.splitlines() if line.startswith("Error")] == [], path


def squeezed(text: str) -> str:
    return "".join(text.split())


def test_dsrdump_shows_every_line(generated):
    files = of_kind(generated, "sr-")[::2]
    said = over_each(dcmtk("dsrdump") + ' +Pl "$file"', files)
    assert len(said) == len(files) > 80
    for path, words in said.items():
        shown = squeezed(words)
        for line in generated[path]:
            assert squeezed(line) in shown, path


def test_dsr2html_holds_every_line_as_letters(generated):
    files = of_kind(generated, "sr-")[1::8]
    said = over_each(dcmtk("dsr2html") + ' "$file"', files)
    for path, words in said.items():
        shown = squeezed(html.unescape(words))
        for line in generated[path]:
            assert squeezed(line) in shown, path


def letters_in(text: str) -> str:
    """Return letters and digits in order: of blanks, stops and marks each reader thinks its own."""
    return "".join(c for c in text if unicodedata.category(c)[0] in "LN")


def letters_of_pdf(data: bytes, folder: Path) -> str:
    path = folder / "report.pdf"
    path.write_bytes(read_pdf(data))
    command = [program("/usr/bin/pdftotext", "poppler-utils"), str(path), "-"]
    return letters_in(subprocess.run(command, capture_output=True, check=True).stdout.decode())


@st.composite
def of_sentences(draw: st.DrawFn) -> Report:
    english, arabic = (
        "\n".join(
            " ".join(draw(st.lists(st.sampled_from(SENTENCES[one]), min_size=1, max_size=5)))
            for _ in range(draw(st.integers(1, 12)))
        )
        for one in Language
    )
    return a_report(english, arabic)


def test_pdftotext_gives_every_sentence_in_logical_order(tmp_path):
    @settings(_MANY, max_examples=25)
    @given(of_sentences())
    def holds(report: Report) -> None:
        data = build_pdf_object(report=report, context=a_context())
        shown = letters_of_pdf(data, tmp_path)
        for narrative in report.narratives:
            for line in narrative.text_of(SectionKind.FINDINGS).split("\n"):
                assert letters_in(line) in shown

    holds()


def test_sections_of_a_megabyte_and_a_study_of_5000_images_pass(tmp_path):
    long = {one: (" ".join(SENTENCES[one]) + "\n") * 6000 for one in Language}
    report = a_report(long[Language.EN], long[Language.AR])
    assert all(len(text.encode()) > 1_000_000 for text in long.values())
    report = replace(report, frames=())
    context = a_context(evidence=references(5000, 7))
    paths = []
    for language in Language:
        path = tmp_path / f"{language}.dcm"
        path.write_bytes(build_sr(report=report, context=context, language=language))
        paths.append(path)
    said = over_each(program("/usr/bin/dciodvfy", "dciodvfy") + ' -new "$file"', paths)
    for words in said.values():
        assert "BasicTextSR" in words
        assert "Error" not in words
