"""Names of character sets that a setting may hold: DICOM's defined terms and Python's codecs.

How text is decoded by them is `dicom_node.character_sets`' business.
"""

from __future__ import annotations

import codecs

# Specific Character Set (0008,0005), PS3.3 C.12.1.1.2 (tables C.12-2 to C.12-5), ASCII and GBK.
STAND_ALONE_TERMS = frozenset(("GB18030", "GBK", "ISO_IR 192"))
_SINGLE_BYTE = ("6", "13", "100", "101", "109", "110", "126", "127", "138", "144", "148", "166")
_MULTI_BYTE = ("58", "87", "149", "159")
DEFINED_TERMS = (
    STAND_ALONE_TERMS
    | {f"ISO_IR {number}" for number in _SINGLE_BYTE}
    | {f"ISO 2022 IR {number}" for number in (*_SINGLE_BYTE, *_MULTI_BYTE)}
)
_FORMS = (
    'allowed are a codec of Python such as "cp1256" or "iso8859-6", or DICOM\'s defined terms such '
    'as "ISO_IR 192", several of them ("ISO 2022 IR ...") parted by a backslash'
)
# Whatever the character set, these bytes are these letters: delimiters, digits, codes. The last of
# them mean something else to codecs that only spell letters by other letters. (cp864, Arabic, has
# its own percent sign.)
_PLAIN = bytes(range(0x20, 0x7F)).replace(b"%", b"") + rb"+AGE- \u0041 \x41 \n ~{"
# Text encodings in Python's sense only, which would pass all the same or warn.
_NO_CHARACTER_SETS = frozenset(("idna", "punycode", "unicode-escape", "utf-8-sig"))


def terms_of(value: str) -> tuple[str, ...]:
    """Return the defined terms that a setting or (0008,0005) names; empty where it names none."""
    terms = tuple(term.strip() for term in value.split("\\"))
    return terms if all(term in DEFINED_TERMS for term in terms) else ()


def check_character_set(value: str) -> str:
    """Return a setting without spaces around it, if a character set is called so.

    Raises:
        ValueError: Nothing is called so, or it is no character set for DICOM text.
    """
    value = value.strip()
    if not value:
        return value
    if terms := terms_of(value):
        if len(terms) > 1 and not all(term.startswith("ISO 2022 ") for term in terms):
            raise ValueError(
                f'"{value}" mixes what cannot be switched: several terms are all "ISO 2022 IR ..."'
            )
        return value
    if not _is_character_set(value):
        raise ValueError(f'"{value}" is no character set: {_FORMS}')
    return value


def _is_character_set(codec: str) -> bool:
    try:
        name = codecs.lookup(codec).name
        return name not in _NO_CHARACTER_SETS and _PLAIN.decode(codec) == _PLAIN.decode("ascii")
    except (LookupError, ValueError):
        # An unknown name; a codec that is none of text; a name with a NUL.
        return False
