"""What names a patient goes; what a radiologist needs stays."""

from __future__ import annotations

import time

import pytest

from core import cleaning
from core.cleaning import GAP, without_identifiers

KNOWN = ("CANARY^Florence=نزار^أحمد", "CANARY123", "19330105", "Nightingale^Rose", "004711")


@pytest.mark.parametrize(
    ("text", "traces"),
    [
        ("Canary, Florence with cough", ("anary", "lorence")),
        ("cough since Monday, Mrs CANARY anxious", ("CANARY",)),
        ("ألم في صدر نزار منذ يومين", ("نزار",)),
        ("السعال ونزار يدخن", ("نزار",)),
        ("see canary123", ("canary",)),
        ("born 05.01.1933 with COPD", ("1933",)),
        ("DOB 05/01/1933", ("1933",)),
        ("born 1933-01-05", ("1933",)),
        ("record 004711", ("4711",)),
        ("sent by Dr. Nightingale", ("ightingale",)),
        ("sent by Dr Who Strange", ("Who", "Strange")),
        ("mr. smith fell", ("smith",)),
        ("طلب الدكتور فلان علان", ("فلان", "علان")),
        ("د. سمير: سعال", ("سمير",)),
        ("Name: John Smith, cough", ("John", "Smith")),
        ("MRN: AB 77, fever", ("AB 77",)),
        ("الاسم: فلان، سعال", ("فلان",)),
        ("call +971 50 123 4567", ("123", "4567")),
        ("accession A-2024-00815", ("00815",)),
        ("national number ٧٨٤١٩٨٠١٢٣٤", ("٧٨٤",)),
        ("DOE^JANE^Q cough", ("DOE", "JANE")),
        ("mail jane@example.org or www.example.org/jane", ("jane", "example")),
    ],
)
def test_what_names_a_patient_goes(text: str, traces: tuple[str, ...]) -> None:
    cleaned = without_identifiers(text, KNOWN)

    assert [trace for trace in traces if trace.casefold() in cleaned.casefold()] == []
    assert GAP in cleaned


@pytest.mark.parametrize(
    "text",
    [
        "Cough and fever for 3 days, SpO2 88 %, BP 120/80, T 38.5.",
        "MR brain: known MS, new plaques? Previous DR normal.",
        "Fracture of T12 in 2019, L4-L5 disc, ICD J18.9.",
        "Nodule of 12.5 x 8 mm, follow-up 3/6 months.",
        "سعال وحمى منذ ٣ أيام، نفي التهاب رئوي.",
        "Young woman with a small, long standing cough.",
        "",
    ],
)
def test_what_a_radiologist_needs_stays(text: str) -> None:
    assert without_identifiers(text, KNOWN) == text


def test_a_gap_is_seen_and_stands_once() -> None:
    assert without_identifiers("Florence Canary coughs", KNOWN) == f"{GAP} coughs"


def test_lines_stay_lines() -> None:
    assert without_identifiers("cough\nName: X Y\nfever").split("\n")[::2] == ["cough", "fever"]


def test_a_megabyte_is_cleaned_in_a_moment() -> None:
    for piece in ("a", "1", "^", "Dr. A ", "name:", "1-", "د. "):
        without_identifiers(piece * (100_000 // len(piece)), KNOWN)


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("المريضة فاطمه تعاني من سعال", "علي^فاطمة", "المريضة [...] تعاني من سعال"),
        ("المريض احمد محمود يعاني", "محمود^أحمد", "المريض [...] يعاني"),
        ("أحمدُ يعاني", "محمود^أحمد", "[...] يعاني"),
        ("أَحْمَدُ يعاني", "محمود^أحمد", "[...] يعاني"),
        ("يعاني أحـمد من سعال", "محمود^أحمد", "يعاني [...] من سعال"),
        ("يعاني ـأحمدـ من سعال", "محمود^أحمد", "يعاني [...] من سعال"),
        ("يعاني أح\u200cمد من سعال", "محمود^أحمد", "يعاني [...] من سعال"),
        ("يعاني احمد من سعال", "محمود^أحـمَد", "يعاني [...] من سعال"),
        ("وصل واحمد يعاني", "محمود^أحمد", "وصل [...] يعاني"),
        ("مصطفي يعاني", "مصطفى^علي", "[...] يعاني"),
        ("علی يعاني", "مصطفى^علي", "[...] يعاني"),
        ("عايشه وفواد", "عائشة^فؤاد", "[...]"),
        ("عبدالرحمٰن يعاني", "عبد الرحمن^علي", "[...] يعاني"),
        ("عبدالله يعاني", "عبد الله^علي", "[...] يعاني"),
        ("عبد الله يعاني", "عبدالله^علي", "[...] يعاني"),
        ("ابو بكر يعاني", "أبوبكر^علي", "[...] يعاني"),
        ("صلاح-الدين يعاني", "صلاحالدين^علي", "[...] يعاني"),
        ("ام كلثوم تعاني", "أم كلثوم", "[...] تعاني"),
        ("عبدالله يعاني", "عمر عبد الله محمد", "[...] يعاني"),
        ("Abdul Rahman fell", "ABDUL-RAHMAN^OMAR", "[...] fell"),
        ("Abdulrahman fell", "ABDUL-RAHMAN^OMAR", "[...] fell"),
        ("Rahman fell", "ABDUL-RAHMAN^OMAR", "[...] fell"),
        ("Abdel-Rahman fell", "ABDELRAHMAN^OMAR", "[...] fell"),
        ("Abd El Rahman fell", "ABDELRAHMAN^OMAR", "[...] fell"),
        ("Al Hassan fell", "AL-HASSAN^OMAR", "[...] fell"),
        ("Alhassan fell", "AL HASSAN^OMAR", "[...] fell"),
        ("O\u2019Brien fell", "O'BRIEN^PAT", "[...] fell"),
        ("O'Brien fell", "O\u2019BRIEN^PAT", "[...] fell"),
        ("O\u2019Brien fell", "OBRIEN^PAT", "[...] fell"),
        ("OBrien fell", "O'BRIEN^PAT", "[...] fell"),
        ("MRN ١٢٣٤ seen", "1234", "MRN [...] seen"),
        ("MRN ۱۲۳۴ seen", "1234", "MRN [...] seen"),
        ("MRN 1234 seen", "١٢٣٤", "MRN [...] seen"),
        ("ولد ٠٥ ٠١ ١٩٣٣ هنا", "19330105", "ولد [...] هنا"),
        ("السيد مُحمد يعاني", "", "[...]"),
    ],
)
def test_a_known_name_goes_in_every_ordinary_spelling(text: str, name: str, expected: str) -> None:
    assert without_identifiers(text, [name]) == expected


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("Baby of Aisha Smith, cough", "SMITH^BABY BOY 1", "[...] of Aisha [...] , cough"),
        ("طفل عائشة الحسن، سعال", "الحسن^طفل عائشة 2", "[...] ، سعال"),
        ("الطفل قباني يسعل", "قباني^توأم ٢", "الطفل [...] يسعل"),
        ("Qabbani, Nizar: cough", "QABBANI^NIZAR^^^2ND", "[...] , [...] : cough"),
        ("Pt Smith known TB", "SMITH2^JOHN", "Pt [...] known TB"),
        ("seen as SMITH^BABY BOY 1 today", "SMITH^BABY BOY 1", "seen as [...] today"),
    ],
)
def test_a_name_with_a_digit_goes_like_another(text: str, name: str, expected: str) -> None:
    assert without_identifiers(text, [name]) == expected


@pytest.mark.parametrize("number", ["A 123", "MRN 12345", "CT CHEST 77", "CHEST-2024-1", "RAD1"])
def test_a_number_takes_no_word_with_it(number: str) -> None:
    text = "MRN unknown, a chest CT, rad on call"

    assert without_identifiers(text, [number]) == text
    assert without_identifiers(f"see {number} again", [number]) == f"see {GAP} again"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("انصباب على الجانب وعَلى القمة، اجري عليه فحص", "محمود^علي"),
        ("ألم عليه كدمة", "علية^سعاد"),
        ("دون أية علامات", "آية^سعاد"),
        ("كلية يسرى وكلية يمنى", "يسري^يمني"),
        ("كتلة أمام القلب", "إمام^سعاد"),
        ("أخذت عينة منه", "منة^سعاد"),
        ("العلية والعليا", "محمود^علي"),
        ("الأحمدي وأحمدين", "محمود^أحمد"),
        ("عبد يعاني", "عبدالله^سعاد"),
        ("5 كم إلى اليمين", "كمالي^سعاد"),
        ("a lung, al dente, O2 at 4 l", "AL-LUNGER^O'TWO"),
        ("He is as young at 12", "AS^AT"),
        ("measures 12 34", "12-34"),
        ("--- cough", "---"),
    ],
)
def test_ordinary_words_stay_whatever_the_name(text: str, name: str) -> None:
    assert without_identifiers(text, [name]) == text


def test_a_common_word_goes_where_the_header_writes_the_name_so() -> None:
    assert without_identifiers("وصل على اليوم", ["محمود^على"]) == f"وصل {GAP} اليوم"
    assert without_identifiers("وصل ايه اليوم", ["محمود^آية"]) == f"وصل {GAP} اليوم"


@pytest.mark.parametrize(
    "piece",
    [
        "أ", "أحم", "أحمد", "أح\u0640", "أحم\u200c", "\u0640", "\u064e", "\u200c", "و\u200c", "أَ",
        "عبد ", "عبد - ", "عبد", "عبدال", "ا ل ", "عل", "على", "على\u200c", " ", "-", "'",
        "a'", "abd ", "abd-el-", "al ", "O'", "1", "١", "1-", "1 ",
    ],
)  # fmt: skip
def test_hostile_text_takes_no_time(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = (
        "عبد الله^أحمد",
        "عبدالرحمن^علي",
        "ABDELRAHMAN^O'BRIEN",
        "AL HASSAN AL ABD",
        "19330105",
    )
    monkeypatch.setattr(cleaning, "MAX_LETTERS", 40_000)
    for start in ("", "أحم"):
        started = time.process_time()
        without_identifiers((start + piece * 40_000)[:39_999] + "x", names)
        assert time.process_time() - started < 2
