"""The codes of the checks, each with what it does to a draft."""

from __future__ import annotations

from core.report import Finding, Language, Severity

SUMMARY_LEFT_OUT = "SUMMARY_LEFT_OUT"
# By code, what a finding does unless a site says otherwise; docs/checks.md lists the same.
SEVERITIES = {
    "EMPTY_SECTION": Severity.BLOCK,
    "CUT_OFF": Severity.BLOCK,
    "REPETITION": Severity.BLOCK,
    "WRONG_SCRIPT": Severity.BLOCK,
    "BROKEN_TEXT": Severity.BLOCK,
    "SIDE_MISMATCH": Severity.BLOCK,
    "NUMBER_MISMATCH": Severity.BLOCK,
    "NEGATION_MISMATCH": Severity.BLOCK,
    "LEVEL_MISMATCH": Severity.BLOCK,
    "PLACE_MISMATCH": Severity.BLOCK,
    "SIZE_MISMATCH": Severity.BLOCK,
    "QUALITY_MISMATCH": Severity.BLOCK,
    "ORIENTATION_UNKNOWN": Severity.BLOCK,
    "LATERALITY_CONTRADICTED": Severity.BLOCK,
    "BODY_PART_CONTRADICTED": Severity.BLOCK,
    "SEX_CONTRADICTED": Severity.BLOCK,
    "AGE_CONTRADICTED": Severity.BLOCK,
    "UNFINISHED": Severity.BLOCK,
    "TOO_LONG": Severity.BLOCK,
    "REFUSAL": Severity.BLOCK,
    "CLAIMS_SIGNED": Severity.BLOCK,
    "PATIENT_DATA": Severity.BLOCK,
    "PROMPT_ECHO": Severity.BLOCK,
    "PLACEHOLDER": Severity.BLOCK,
    "FINDING_MISSING": Severity.WARN,
    "UNCERTAINTY_MISMATCH": Severity.WARN,
    "COMPARISON_WITHOUT_PRIOR": Severity.WARN,
    "IMPLAUSIBLE_VALUE": Severity.WARN,
    SUMMARY_LEFT_OUT: Severity.WARN,
    "CONTROL_CHARACTERS": Severity.NOTE,
}
NAMES = {Language.EN: "English", Language.AR: "Arabic"}


def fault(
    code: str, message: str, language: Language | None = None, words: tuple[str, ...] = ()
) -> Finding:
    """Return a finding with its code's own severity."""
    return Finding(
        code=code, severity=SEVERITIES[code], message=message, language=language, words=words
    )
