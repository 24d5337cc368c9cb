"""Every word of a final report on the feed, and everybody whom its message names."""

from __future__ import annotations

import pytest

from core.errors import UnreadableMessageError
from hl7.final_text import read_final_texts


def result(*segments: str) -> bytes:
    head = r"MSH|^~\&|RIS|HOSP|||20261122||ORU^R01|1|P|2.5.1||||||UNICODE UTF-8"
    return "".join(f"{line}\r" for line in (head, *segments)).encode()


PATIENT = "PID|1||P1^^^SITE^MR||Qabbani^Nizar^Tawfiq~قباني^نزار||19230321|M|||1 Mezzeh Road"
ORDER = "OBR|1|PLACER1|FILLER1|7^Chest|||20261120|||||||||77^Haddad^Zaha||||||||CR|F"


def test_lines_come_in_order_under_the_headings_that_their_codes_name() -> None:
    [report] = read_final_texts(
        result(
            PATIENT,
            ORDER,
            r"OBX|1|FT|59776-5^Procedure findings^LN||Heart: normal.\.br\Lungs: clear.||||||F",
            "OBX|2|TX|59776-5^Procedure findings^LN||No effusion.~No nodule.||||||F",
            "OBX|3|TX|&IMP||Normal.||||||F",
            "OBX|4|TX|18783-1^Recommendation^LN||None.||||||F",
        )
    )
    assert report.text == (
        "FINDINGS:\nHeart: normal.\nLungs: clear.\nNo effusion.\nNo nodule.\n"
        "IMPRESSION:\nNormal.\nRECOMMENDATIONS:\nNone."
    )
    assert report.note.key.accession_number == "FILLER1"


def test_void_lines_files_and_numbers_are_no_text() -> None:
    [report] = read_final_texts(
        result(
            PATIENT,
            ORDER,
            "OBX|1|TX|GDT||Kept.||||||F",
            "OBX|2|TX|GDT||Deleted.||||||D",
            "OBX|3|TX|GDT||Wrong.||||||W",
            "OBX|4|ED|PDF||^application^pdf^Base64^QUJD||||||F",
            "OBX|5|NM|1^Score||7||||||F",
            "OBX|6|TX|GDT",
        )
    )
    assert report.text == "Kept."


def test_whoever_a_message_names_is_told() -> None:
    [report] = read_final_texts(
        result(PATIENT, "PV1|1|I||||||88^Rumi^Jalal", f"{ORDER}||||||||99&Maarri&Ahmad")
    )
    assert {"Qabbani", "Nizar", "Tawfiq", "قباني", "نزار", "P1", "19230321"} <= set(report.names)
    assert {"1 Mezzeh Road", "PLACER1", "FILLER1", "Haddad", "Zaha"} <= set(report.names)
    assert {"Rumi", "Jalal", "Maarri", "Ahmad"} <= set(report.names)
    assert "" not in report.names


def test_what_is_not_final_is_no_report_and_what_is_no_result_is_refused() -> None:
    assert read_final_texts(result(PATIENT, ORDER.replace("|CR|F", "|CR|P"))) == ()
    with pytest.raises(UnreadableMessageError):
        read_final_texts(result(PATIENT))
