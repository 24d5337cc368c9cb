"""Both documents of a study in OHIF, as a radiologist meets them.

Source: OHIF 3.13, extensions/cornerstone-dicom-sr (which value types it prints, and how).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import save
from pydicom import dcmread
from selenium.webdriver import ActionChains, Remote
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from servers import dicom_web, running_orthanc, wait_until
from servers.chromium import running_chromium
from servers.ohif import running_ohif
from unit.dicom_samples import a_context

from core.report import (
    FrameReference,
    Language,
    ModelVersion,
    Narrative,
    Report,
    Section,
    SectionKind,
    notices,
)
from dicom_node.client import Peer, send_files
from dicom_node.header import InstanceHeader, read_header
from dicom_node.report_sr import build_sr
from dicom_node.sample import chest_film

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]
_PATIENT_SECONDS = 60.0
PATIENT = "أحمد^نزار"
# Lines longer than the page, numbers and Latin terms among Arabic, brackets, quotation marks.
TEXTS = {
    Language.EN: {
        SectionKind.HISTORY: "Cough for 3 weeks, “smoker”.",
        SectionKind.FINDINGS: (
            "The heart is not enlarged and the mediastinal contours are within normal limits, with "
            "no evidence of hilar lymphadenopathy or of a mass in either hemithorax; the trachea "
            "is central.\n"
            "There is a 14 mm nodule in the right upper lobe.\n"
            "No pneumothorax or pleural effusion."
        ),
        SectionKind.IMPRESSION: "1. Nodule of 14 mm in the right upper lobe.\n2. Normal heart.",
        SectionKind.RECOMMENDATIONS: "CT of the chest (low dose) within 3 weeks.",
    },
    Language.AR: {
        SectionKind.HISTORY: "سعال منذ 3 أسابيع، «مدخن».",
        SectionKind.FINDINGS: (
            "القلب غير متضخم وحدود المنصف ضمن الحدود الطبيعية، ولا يوجد دليل على تضخم العقد "
            "اللمفية السرية أو على كتلة في أي من نصفي الصدر؛ والرغامى مركزية وغير منحرفة إلى أي "
            "جهة.\n"
            "توجد عقيدة بقياس 14 مم في الفص العلوي الأيمن.\n"
            "لا يوجد استرواح صدري (pneumothorax) ولا انصباب جنبي."
        ),
        SectionKind.IMPRESSION: "1. عقيدة بقياس 14 مم في الفص العلوي الأيمن.\n2. قلب طبيعي.",
        SectionKind.RECOMMENDATIONS: "تصوير مقطعي CT للصدر (جرعة منخفضة) خلال 3 أسابيع.",
    },
}
TITLES = {Language.EN: "Diagnostic Imaging Report", Language.AR: "تقرير التصوير التشخيصي"}


# Where a text stands: how far from the edges of its page, and its first letter from its last.
_PLACE = """
const [page, text] = arguments;
const walker = document.createTreeWalker(page, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode, at = node.data.indexOf(text), range = document.createRange();
  if (at < 0) continue;
  const box = (from, to) => {
    range.setStart(node, at + from);
    range.setEnd(node, at + to);
    return range.getBoundingClientRect();
  };
  const all = box(0, text.length), edges = page.getBoundingClientRect();
  const first = box(0, 1), last = box(text.length - 1, text.length);
  return [Math.min(all.left - edges.left, edges.right - all.right), last.left - first.left];
}
return null;
"""


@dataclass(frozen=True, kw_only=True)
class Page:
    """What the viewer shows of a document.

    Attributes:
        text: All that can be read in its place.
        margins: Of each line of the draft, its distance from the nearer edge of its page in pixels;
            below 0 where it goes beyond.
        directions: Of each line, how far right of its first letter its last one stands.
    """

    text: str
    margins: dict[str, float]
    directions: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """What the viewer shows of a study."""

    series: list[str]
    patient: str
    pages: dict[Language, Page]


@dataclass(frozen=True, kw_only=True)
class Study:
    """A film and both documents of it."""

    uid: str
    files: list[Path]
    report: Report


def a_film(folder: Path) -> Path:
    """Write the chest film so that it can be seen: its window is dark, its pixels have no size."""
    film = dcmread(chest_film())
    film.SpecificCharacterSet = "ISO_IR 192"
    film.PatientName = PATIENT
    film.WindowCenter, film.WindowWidth = 9000, 16000
    film.PixelSpacing = [0.2, 0.2]
    return save(film, folder)


def a_draft(film: InstanceHeader) -> Report:
    narratives = tuple(
        Narrative(
            language=language, sections=tuple(Section(kind=k, text=t) for k, t in texts.items())
        )
        for language, texts in TEXTS.items()
    )
    frame = FrameReference(
        series_uid=film.series_uid,
        sop_class_uid=film.sop_class_uid,
        sop_instance_uid=film.sop_instance_uid,
    )
    model = ModelVersion(name="BiMediX2-8B-Bi", revision="0123456789ab")
    return Report(narratives=narratives, model=model, frames=(frame,))


def lines(language: Language) -> list[str]:
    return [line for text in TEXTS[language].values() for line in text.split("\n")]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("study")
    files = [a_film(folder)]
    film = read_header(files[0])
    report = a_draft(film)
    context = a_context(header=film.study)
    for language in Language:
        files.append(folder / f"{language}.dcm")
        files[-1].write_bytes(build_sr(report=report, context=context, language=language))
    return Study(uid=film.study_uid, files=files, report=report)


@pytest.fixture(scope="module")
def viewer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, study: Study
) -> Viewer:
    """The study in the viewer, each of its documents once on the page."""
    folder = tmp_path_factory.mktemp("ohif")
    pictures = Path(request.config.getoption("--pictures") or folder / "pictures")
    pictures.mkdir(parents=True, exist_ok=True)
    (folder / "archive").mkdir()
    with (
        running_orthanc(folder / "archive", **dicom_web()) as archive,
        running_ohif(archive) as address,
        running_chromium(folder) as browser,
    ):
        peer = Peer(ae_title="ORTHANC", host="127.0.0.1", port=archive.dicom_port)
        assert all(sent.is_stored for sent in send_files(peer, study.files))
        browser.get(f"{address}/viewer?StudyInstanceUIDs={study.uid}")
        return look(browser, pictures)


def look(browser: Remote, pictures: Path) -> Viewer:
    """Open each document as a person would, and keep pictures of what is there."""
    await_page(lambda: len(series_in(browser)) == 3)
    # The film's window stands in a corner once it was drawn.
    await_page(lambda: "W:" in viewport_of(browser).text)
    browser.save_screenshot(str(pictures / "film.png"))
    pages = {}
    for language in Language:
        words = f"//*[contains(text(), 'AI DRAFT {language.upper()}')]"
        ActionChains(browser).double_click(browser.find_element(By.XPATH, words)).perform()
        await_page(lambda title=TITLES[language]: title in viewport_of(browser).text)
        pages[language] = page_of(browser, language)
        browser.save_screenshot(str(pictures / f"{language}.png"))
    header = browser.find_element(By.XPATH, "//*[text()='Patient']/../..")
    header.click()
    await_page(lambda: "Patient" not in header.text)
    browser.save_screenshot(str(pictures / "patient.png"))
    return Viewer(series=series_in(browser), patient=header.text, pages=pages)


def await_page(predicate: Callable[[], object]) -> None:
    wait_until(predicate, _PATIENT_SECONDS, 0.2)


def series_in(browser: Remote) -> list[str]:
    """Return the entries of the list of series, each in one line."""
    found = browser.find_elements(By.CSS_SELECTOR, "[data-cy^=study-browser-thumbnail]")
    return sorted(" ".join(entry.text.split()) for entry in found)


def viewport_of(browser: Remote) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, "[data-cy=viewport-grid]")


def page_of(browser: Remote, language: Language) -> Page:
    viewport = viewport_of(browser)
    found = {line: browser.execute_script(_PLACE, viewport, line) for line in lines(language)}
    places = {line: place for line, place in found.items() if place}
    return Page(
        text=viewport.text,
        margins={line: margin for line, (margin, _) in places.items()},
        directions={line: direction for line, (_, direction) in places.items()},
    )


def test_the_series_list_tells_language_and_state(viewer: Viewer) -> None:
    assert len(viewer.series) == 3
    film, arabic, english = viewer.series
    assert film.startswith("CR")
    assert arabic.startswith("SR AI DRAFT AR - NOT VERIFIED")
    assert english.startswith("SR AI DRAFT EN - NOT VERIFIED")


def test_the_patient_is_the_films(viewer: Viewer) -> None:
    assert viewer.patient.startswith("أحمد, نزار")


@pytest.mark.parametrize("language", Language)
def test_a_page_holds_every_sentence_behind_the_notices(
    viewer: Viewer, study: Study, language: Language
) -> None:
    text = viewer.pages[language].text
    sentences = [*notices(study.report, language), *lines(language)]

    places = [text.find(sentence) for sentence in sentences]

    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize("language", Language)
def test_no_line_goes_beyond_its_page(viewer: Viewer, language: Language) -> None:
    margins = viewer.pages[language].margins

    assert margins.keys() == set(lines(language))
    assert min(margins.values()) > 0


@pytest.mark.parametrize(("language", "sign"), [(Language.EN, 1), (Language.AR, -1)])
def test_a_line_runs_as_its_language_is_read(viewer: Viewer, language: Language, sign: int) -> None:
    line = TEXTS[language][SectionKind.FINDINGS].split("\n")[1]

    assert viewer.pages[language].directions[line] * sign > 100
