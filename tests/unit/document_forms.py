"""Every form of every object of ours, as text: `make golden` writes them to `golden/` anew.

What differs between two runs is masked: nothing but the version of the program that wrote.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path

import pypdfium2
from dicom_samples import STUDY_UID, a_context, a_report, frames_of
from pydicom import dcmread
from pydicom.dataset import Dataset
from unit.report_strategies import picture

from core.report import (
    Addendum,
    Language,
    PriorStudy,
    Report,
    ReportStatus,
    RequestReference,
    Signature,
    standing,
)
from dicom_node.document_writing import frames_as_references
from dicom_node.documents import DocumentReference, KeyObjectTitle, Predecessor, Purpose
from dicom_node.key_image import build_key_image
from dicom_node.key_objects import build_key_objects
from dicom_node.report_pdf import build_pdf_object, read_pdf
from dicom_node.report_sr import build_sr

FOLDER = Path(__file__).with_name("golden")
# Binary, or of the library that wrote the file.
_LEFT_OUT = {"PixelData", "EncapsulatedDocument", "EncapsulatedDocumentLength"}


def form(status: ReportStatus) -> Report:
    """Return a report in a state; the addended one signed by a second reader, too."""
    signature = Signature(
        reader_name="Darwish^Mona^^Dr.=درويش^منى",
        reader_id="R7",
        signed_at=datetime(2026, 3, 4, 9, 30, tzinfo=timezone(timedelta(hours=3))),
        languages=tuple(Language),
        organisation="General Hospital",
    )
    addendum = Addendum(
        texts=(
            (Language.EN, "Compared with the CT of 2019: the nodule is new."),
            (Language.AR, "بالمقارنة مع CT عام 2019: العقدة جديدة."),
        ),
        signature=replace(signature, reader_name="Haddad^Sami", reader_id="R8"),
    )
    report = a_report(
        "The lungs are clear.\nA nodule of 12.5 × 8 mm in the left lower lobe.",
        "الرئتان صافيتان.\nعقدة قطرها 12.5 × 8 mm في الفص السفلي الأيسر.",
        frames=frames_of(f"{STUDY_UID}.8", f"{STUDY_UID}.9"),
    )
    return replace(
        report,
        status=status,
        signature=signature if standing(status).is_final else None,
        addenda=(addendum,) if status is ReportStatus.ADDENDED else (),
    )


_PURPOSES = {
    ReportStatus.SIGNED: Purpose.PRELIMINARY,
    ReportStatus.ADDENDED: Purpose.ADDENDED,
}


def golden_texts() -> dict[str, str]:
    """Return every object as text, by the name of its file."""
    texts = {}
    for status in ReportStatus:
        report = form(status)
        earlier = Predecessor(
            document=DocumentReference(sop_instance_uid="1.2.3", series_uid="1.2.4"),
            purpose=_PURPOSES.get(status, Purpose.REPLACED),
        )
        context = a_context(
            report_version=2,
            predecessors=(earlier,),
            requests=(RequestReference(accession_number="ACC1", placer_order_number="P1"),),
            prior_studies=(PriorStudy(study_uid="1.2.9", date="20190203", description="CT"),),
        )
        for language in (*Language, None):
            name = f"sr-{status}-{language or 'both'}"
            texts[name] = _dump(build_sr(report=report, context=context, language=language))
        pdf = build_pdf_object(report=report, context=context, review_url="https://ris.test/1")
        texts[f"pdf-{status}"] = _dump(pdf) + _pages(read_pdf(pdf))
    texts |= _others(form(ReportStatus.DRAFT))
    return texts


def _others(report: Report) -> dict[str, str]:
    context = a_context()
    image = build_key_image(
        report=report, context=context, image=picture(report.frames[0]), number=1
    )
    texts = {"sc-draft": _dump(image)}
    for title in KeyObjectTitle:
        is_selection = title is KeyObjectTitle.OF_INTEREST
        rejected = [DocumentReference(sop_instance_uid="1.2.3", series_uid="1.2.4")]
        data = build_key_objects(
            title=title,
            references=frames_as_references(report.frames) if is_selection else rejected,
            model=report.model,
            context=context,
            text="رفضها طبيب الأشعة.",
            language=Language.AR,
        )
        texts[f"ko-{title.name.lower()}"] = _dump(data)
    return texts


def _dump(data: bytes) -> str:
    return "\n".join(_lines(dcmread(BytesIO(data)), "")) + "\n"


def _lines(dataset: Dataset, indent: str) -> Iterator[str]:
    for element in dataset:
        if element.VR == "SQ":
            yield f"{indent}{element.keyword}: {len(element.value)} item(s)"
            for item in element.value:
                yield from _lines(item, indent + "  > ")
        elif element.keyword == "SoftwareVersions":
            yield f"{indent}{element.keyword}: *"
        elif element.keyword not in _LEFT_OUT:
            text = str(element.value).replace("\r\n", f"\n{indent}    ")
            yield f"{indent}{element.keyword}: {text}".rstrip()


def _pages(pdf: bytes) -> str:
    pages = [page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(pdf)]
    return "".join(f"--- page {n}\n{text}\n" for n, text in enumerate(pages, 1)).replace("\r", "")


def main() -> None:
    """Write the files anew, and remove those of forms that are no more."""
    FOLDER.mkdir(exist_ok=True)
    texts = golden_texts()
    for path in FOLDER.glob("*.txt"):
        if path.stem not in texts:
            path.unlink()
    for name, text in texts.items():
        (FOLDER / f"{name}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
