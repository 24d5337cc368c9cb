"""How old a patient was at a study, as a decade: an exact age narrows down who it is."""

from __future__ import annotations

import re
from datetime import date

from dicom_node.header import InstanceHeader

_OLDEST_BAND = 90
_AGE = re.compile(r"([0-9]{3})([DWMY])")
_UNITS_A_YEAR = {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}


def age_band(header: InstanceHeader) -> str:
    """Return the decade of age at the study such as ``60-69``; ``90+``; empty where unknown.

    Patient's Age comes first, then birth date and study date.
    """
    years = _years_by_age(header.patient_age)
    if years is None:
        years = _years_between(header.patient.birth_date, header.study_date)
    if years is None:
        return ""
    if years >= _OLDEST_BAND:
        return f"{_OLDEST_BAND}+"
    decade = years // 10 * 10
    return f"{decade}-{decade + 9}"


def _years_by_age(text: str) -> int | None:
    if not (match := _AGE.fullmatch(text.upper())):
        return None
    return int(int(match[1]) / _UNITS_A_YEAR[match[2]])


def _years_between(birth: str, study: str) -> int | None:
    try:
        born, seen = date.fromisoformat(birth), date.fromisoformat(study)
    except ValueError:
        return None
    years = seen.year - born.year - ((seen.month, seen.day) < (born.month, born.day))
    return years if 0 <= years < 150 else None  # noqa: PLR2004 -- nobody is older
