"""Pages of a report: every letter on them, the state on each, and nothing read as markup."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import pypdfium2
import pytest
from dicom_samples import a_context, a_report, a_study_header, frames_of
from document_forms import form
from pydicom import dcmread, uid
from unit.report_strategies import picture

from core.errors import TextIntegrityError
from core.report import Language, Patient, ReportStatus, StudyHeader
from dicom_node.report_pdf import build_pdf_object, read_pdf, verify_pdf
from dicom_node.typesetting import letters_of, read_letters, shown

ISOLATED = "\u2066{}\u2069"


def built(report=None, **options) -> bytes:
    pictures = options.pop("key_images", ())
    url = options.pop("review_url", "")
    return build_pdf_object(
        report=report or a_report(),
        context=a_context(**options),
        key_images=pictures,
        review_url=url,
    )


def page_texts(data: bytes) -> list[str]:
    return [p.get_textpage().get_text_range() for p in pypdfium2.PdfDocument(read_pdf(data))]


def test_the_same_arguments_give_the_same_bytes():
    pictures = [picture(frame) for frame in frames_of("1.2.3")]
    assert built(key_images=pictures) == built(key_images=pictures)


def test_the_object_says_what_it_is_and_of_whom():
    dataset = dcmread(BytesIO(built()))
    assert dataset.SOPClassUID == uid.EncapsulatedPDFStorage
    assert dataset.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert dataset.EncapsulatedDocument.startswith(b"%PDF")
    assert (dataset.Modality, dataset.BurnedInAnnotation) == ("DOC", "YES")
    assert dataset.DocumentTitle == "AI DRAFT EN+AR"
    assert dataset.SeriesDescription == "AI DRAFT EN+AR PDF - NOT VERIFIED"
    assert (dataset.PatientID, dataset.VerificationFlag) == ("MRN1", "UNVERIFIED")


@pytest.mark.parametrize("status", ReportStatus)
def test_every_page_says_the_state_and_the_patient(status):
    long = form(status)
    section = replace(long.narratives[0].sections[0], text="The lungs are clear.\n" * 120)
    narrative = replace(long.narratives[0], sections=(section,))
    report = replace(long, narratives=(narrative, *long.narratives[1:]))
    pages = page_texts(built(report))
    assert len(pages) >= 4
    marks = {
        "draft": "AI DRAFT - NOT VERIFIED",
        "withdrawn": "WITHDRAWN AI DRAFT - DO NOT USE",
        "signed": "SIGNED REPORT",
        "corrected": "CORRECTED REPORT",
        "addended": "REPORT WITH ADDENDUM",
    }
    for page in pages[:-1]:
        assert page.startswith(marks[status])
    assert all("MRN" in page for page in pages)


def test_only_what_is_unfinished_carries_the_watermark():
    """The watermark is a drawing: it shows as ink where a signed page has none."""

    def grey(status: ReportStatus) -> int:
        page = pypdfium2.PdfDocument(read_pdf(built(form(status))))[0]
        return int((page.render(scale=0.5, grayscale=True).to_numpy() == 230).sum())

    assert grey(ReportStatus.DRAFT) > 500
    assert grey(ReportStatus.WITHDRAWN) > 500
    assert grey(ReportStatus.SIGNED) < 100


def test_a_language_that_was_not_signed_has_no_page():
    report = form(ReportStatus.SIGNED)
    assert report.signature is not None
    english = replace(report, signature=replace(report.signature, languages=(Language.EN,)))
    pages = page_texts(built(english))
    assert len(pages) == 1
    assert "الرئتان" not in pages[0]


def test_pictures_and_the_way_to_the_reading_page_stand_on_the_first_language():
    pictures = [picture(frame) for frame in frames_of("1.2.3", "1.2.4")]
    data = built(key_images=pictures, review_url="https://ris.test/studies/1")
    first, second = page_texts(data)
    assert "Key Images" in first
    assert "https://ris.test/studies/1" in first
    assert "https" not in second
    document = pypdfium2.PdfDocument(read_pdf(data))
    images = [o for o in document[0].get_objects() if o.type == pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]
    assert len(images) == 2


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (3000, 2000), (640, 641)])
def test_pictures_of_every_size_are_shown(size):
    [frame] = frames_of("1.2.3")
    built(key_images=[picture(frame, *size)])


@pytest.mark.parametrize(
    "text",
    [
        '#set text(red) #read("/etc/passwd") $x^2$ *b* _i_ `c` @r <l> \\ // /* */',
        "= heading\n- item\n+ item\n/ term: x",
        "é e\u0301 ﬁ ½ ﷺ ﻻ",
        "\u202eevil\u202c \u2066x \u2069\u2069",
        "😀 𝔊 \ue000 中文",
        "a" * 400,
        "≤ ≥ → α Δ Ω µ",
    ],
)
def test_whatever_a_text_holds_stands_on_the_page_as_letters(text):
    # `build_pdf_object` refuses its own result where a letter is missing.
    pages = "".join(page_texts(built(a_report(text, f"قبل {text} بعد"))))
    assert "passwd" in pages or "passwd" not in text
    assert "root:" not in pages


def test_a_character_without_a_glyph_is_shown_by_its_code_point():
    assert shown("a😀\ue000", Language.EN) == "a[U+1F600][U+E000]"
    assert "[U+1F600]" in "".join(page_texts(built(a_report("x 😀"))))


def test_every_symbol_of_the_second_font_is_drawn():
    symbols = "≤≥≠≈→←↑↓∞ΑΒΓΔΘΛΣΦΨΩαβγδεζηθκλμνξπρστφχψω"
    page = page_texts(built(a_report(symbols)))[0]
    assert all(symbol in page for symbol in symbols)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("قطرها 12.5 × 8 mm في", f"قطرها {ISOLATED.format('12.5 × 8 mm')} في"),
        ("كثافة 45 HU (±5%).", f"كثافة {ISOLATED.format('45 HU (±5%)')}."),
        ("أقل من ≥ 2 cm.", f"أقل من {ISOLATED.format('≥ 2 cm')}."),
        ("التوهين −35 HU في", f"التوهين {ISOLATED.format('−35 HU')} في"),
        ("بين 3 − 5 mm.", f"بين {ISOLATED.format('3 − 5 mm')}."),
        ("تم 10 mm. CT بعد", f"تم {ISOLATED.format('10 mm')}. {ISOLATED.format('CT')} بعد"),
        ("لا شيء", "لا شيء"),
        ("قبل \u202e12\u202c", f"قبل {ISOLATED.format('12')}"),
    ],
)
def test_numbers_and_latin_terms_of_an_arabic_line_stand_from_left_to_right(line, expected):
    assert shown(line, Language.AR) == expected


def test_an_unclosed_bracket_behind_a_long_run_costs_no_time():
    shown("ا (" + "a 1," * 20000, Language.AR)


def test_a_word_longer_than_a_line_stays_on_the_page():
    page = pypdfium2.PdfDocument(read_pdf(built(a_report("m" * 500))))[0]
    assert max(o.get_bounds()[2] for o in page.get_objects()) < page.get_width()


def test_a_very_long_line_is_set_whole():
    built(a_report("word " * 5000, "كلمة " * 5000))


def test_a_header_without_anything_still_makes_pages():
    header = StudyHeader(study_uid="1.2.3", patient=Patient())
    assert "–" in page_texts(built(header=header))[0]


# The proof.


def test_pages_that_lack_a_letter_are_refused():
    data = built()
    longer = a_report("The lungs are clear.\nNo pneumothorax. Zebra.")
    with pytest.raises(TextIntegrityError):
        verify_pdf(data, report=longer, context=a_context())


@pytest.mark.parametrize("status", [ReportStatus.SIGNED, ReportStatus.WITHDRAWN])
def test_pages_of_another_state_are_refused(status):
    data = built(form(ReportStatus.DRAFT))
    with pytest.raises(TextIntegrityError):
        verify_pdf(data, report=form(status), context=a_context())


def test_pages_of_another_patient_are_refused():
    other = a_context(header=a_study_header(patient=Patient(id="MRN2")))
    with pytest.raises(TextIntegrityError):
        verify_pdf(built(), report=a_report(), context=other)


@pytest.mark.parametrize("text", ["\x00", "\ud800", "a\ufffd", "????"])
def test_a_text_that_was_damaged_before_is_refused(text):
    with pytest.raises(TextIntegrityError):
        built(a_report(text))


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7 nothing"])
def test_what_is_no_pdf_is_refused(data):
    dataset = dcmread(BytesIO(built()))
    dataset.EncapsulatedDocument = data + b"\0" * (len(data) % 2)
    dataset.EncapsulatedDocumentLength = len(data)
    buffer = BytesIO()
    dataset.save_as(buffer)
    with pytest.raises(TextIntegrityError):
        verify_pdf(buffer.getvalue(), report=a_report(), context=a_context())


def test_letters_are_compared_without_what_only_directs():
    assert letters_of("a\u2066 é\u200f(1)-") == letters_of("ae\u03011")
    assert letters_of("لا يوجد (10 mm).") == "لايوجد10mm"
    assert letters_of("Findings") in read_letters(read_pdf(built()))
