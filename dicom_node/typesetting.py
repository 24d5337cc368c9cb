"""Pages and marks by the typesetting system Typst: shaping, both directions, line breaks.

Typst carries HarfBuzz's shaping (in its Rust form) and UAX 9 and 14, is one wheel without system
packages, and gives the same bytes for the same input. The letters are Amiri's (SIL OFL): its
lam-alef is two glyphs, so that what is copied from a page, or found in it, stands in the order in
which it was written. Characters that neither font draws are shown by their code point: nothing is
left out without a sign.

Source: Unicode UAX 9 (isolates), ISO 32000-2.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fontpkg
import numpy as np
import pypdfium2
import segno
import typst
from fontTools.ttLib import TTFont
from numpy.typing import NDArray

from core.report import Language

_TEMPLATE = Path(__file__).with_name("report_page.typ")
_FONT = Path(fontpkg.path("Amiri"))
# Of Libertinus Serif, which comes with Typst: what reports need and Amiri lacks.
_SYMBOLS = "≤≥≠≈→←↑↓∞ΑΒΓΔΘΛΣΦΨΩαβγδεζηθκλμνξπρστφχψω"
_LEFT_TO_RIGHT_ISOLATE, _POP_ISOLATE = "\u2066", "\u2069"
_LETTER = r"A-Za-z0-9\u00b5\u0370-\u03ff%°²³"
_WORD = rf"[{_LETTER}]+"
_INNER = rf"[{_LETTER}±+\-−–<>≤≥~=/×*.,: ]+"
# Between two words of a run: not a full stop before a blank, which ends a sentence.
_JOIN = r"(?:[.,:](?=[0-9A-Za-z])| ?[/×*±+\-−–<>≤≥~=_']{1,2} ?|,? )"
_RUN = re.compile(rf"(?:[±+\-−–<>≤≥~] ?)?{_WORD}(?:{_JOIN}{_WORD}| ?\({_INNER}\)| ?\[{_INNER}\])*")


# A word that no line holds would run off the page; a paragraph of a megabyte would take minutes.
_UNBROKEN = re.compile(r"\S{60}(?=\S)")
_LONGEST_PARAGRAPH = 4000


def typeset(data: Mapping[str, Any], files: Mapping[str, bytes], at: datetime) -> bytes:
    """Return the report's page as PDF.

    Args:
        data: What `report_page.typ` reads.
        files: Pictures that it names.
        at: Creation date in the PDF.
    """
    with TemporaryDirectory(prefix="taqrir-page-") as folder:
        root = Path(folder)
        root.joinpath("data.json").write_text(json.dumps(data), encoding="utf-8")
        for name, content in files.items():
            root.joinpath(name).write_bytes(content)
        compiler = typst.Compiler(root=folder, font_paths=_fonts(), ignore_system_fonts=True)
        pdf = compiler.compile(_TEMPLATE.read_bytes(), format="pdf", timestamp=int(at.timestamp()))
    return _bytes(pdf)


def outlined(text: str) -> bytes:
    """Return a mark as SVG without letters: a drawing, which no search in the page finds."""
    return _bytes(_compile_mark(text, "svg"))


def code(url: str) -> bytes:
    """Return the QR code of an address as SVG."""
    return segno.make(url, error="m").svg_inline(border=1, scale=4).encode()


@cache
def mask(text: str, height: int) -> NDArray[np.uint8]:
    """Return a line of bold text as a picture (height, W): 255 where there is ink."""
    page = pypdfium2.PdfDocument(_bytes(_compile_mark(text, "pdf")))[0]
    picture = page.render(scale=height / page.get_height(), grayscale=True).to_numpy()
    return np.ascontiguousarray(255 - picture[:height]).astype(np.uint8)


def shown(line: str, language: Language) -> str:
    """Return a line as it is set: numbers and Latin terms of an Arabic line read left to right.

    Without an isolate the bidirectional algorithm turns `12.5 × 8 mm` behind an Arabic word into
    `mm 8 × 12.5`. Direction marks of the text's own are dropped: they could turn digits around.
    """
    plain = _UNBROKEN.sub("\\g<0>\u200b", "".join(map(_visible, line)))
    if language is not Language.AR:
        return plain
    return _RUN.sub(lambda run: f"{_LEFT_TO_RIGHT_ISOLATE}{run[0]}{_POP_ISOLATE}", plain)


def paragraphs(line: str) -> Iterator[str]:
    """Yield a line as paragraphs: cut at a blank, and only where it is huge."""
    while len(line) > _LONGEST_PARAGRAPH:
        blank = line.rfind(" ", 1, _LONGEST_PARAGRAPH)
        cut = blank if blank > 0 else _LONGEST_PARAGRAPH
        yield line[:cut]
        line = line[cut:]
    yield line


def letters_of(text: str) -> str:
    """Return what must be found of a line in a page: its letters, marks and digits.

    Taken apart by NFKD, since a font may draw letter and mark as one glyph. Stops and signs are
    left out: readers of PDF turn brackets around in a right-to-left line, take a hyphen at its end
    for a broken word, and drop signs that touch.
    """
    parts = unicodedata.normalize("NFKD", text)
    return "".join(c for c in parts if unicodedata.category(c)[0] in "LMN")


def read_letters(pdf: bytes) -> str:
    """Return the letters of all pages of a PDF."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        return "".join(letters_of(page.get_textpage().get_text_range()) for page in document)
    finally:
        document.close()


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cf":
        # Joiners shape the letters beside them; the rest only directs.
        return character if character in "\u200c\u200d" else ""
    if character.isspace():
        return " "
    return character if ord(character) in _drawn() else f"[U+{ord(character):04X}]"


@cache
def _drawn() -> frozenset[int]:
    with TTFont(_FONT, lazy=True) as font:
        return frozenset(font.getBestCmap()) | frozenset(map(ord, _SYMBOLS))


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=True, font_paths=[str(_FONT.parent)]
    )


@cache
def _compile_mark(text: str, kind: Any) -> Any:
    source = (
        "#set page(width: auto, height: auto, margin: 2pt, fill: none)\n"
        '#set text(font: "Amiri", size: 40pt, weight: "bold", fill: luma(sys.inputs.shade))\n'
        "#sys.inputs.text"
    ).replace("luma(sys.inputs.shade)", "luma(230)" if kind == "svg" else "black")
    compiler = typst.Compiler(
        root=_FONT.parent, font_paths=_fonts(), ignore_system_fonts=True, sys_inputs={"text": text}
    )
    pages = compiler.compile(source.encode(), format=kind, timestamp=0)
    return pages[0] if isinstance(pages, list) else pages


def _bytes(compiled: Any) -> bytes:
    # A list where a document has several pages in a format that holds one; ours never has.
    if not isinstance(compiled, bytes):
        raise TypeError(type(compiled).__name__)
    return compiled
