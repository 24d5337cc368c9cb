"""Whether an object of somebody else's is a final report of its study.

Source: PS3.3 C.17.2 (Completion Flag, Verification Flag, Preliminary Flag).
"""

from __future__ import annotations

from pathlib import Path

from pydicom import dcmread, uid

from dicom_node import PYDICOM_ERRORS, pydicom_warnings

_TEXT_REPORTS = frozenset({uid.BasicTextSRStorage, uid.EnhancedSRStorage})
# Measurements and results of CAD mostly; a diagnostic report only where it says so.
_OTHER_REPORTS = frozenset({uid.ComprehensiveSRStorage, uid.Comprehensive3DSRStorage})
_DIAGNOSTIC_REPORT = "2000"  # TID
_TEMPLATES = "ContentTemplateSequence"
_WANTED = [
    "SOPClassUID",
    "CompletionFlag",
    "VerificationFlag",
    "PreliminaryFlag",
    _TEMPLATES,
]


def may_be_report(sop_class_uid: str) -> bool:
    """Tell whether objects of a SOP class hold a report's text; dose and CAD results do not."""
    return sop_class_uid in _TEXT_REPORTS | _OTHER_REPORTS


def is_final_report(path: Path) -> bool:
    """Tell whether a stored object is a report that somebody completed and verified.

    One that says nothing of being preliminary counts, one that cannot be read does not.
    """
    try:
        with pydicom_warnings("ignore"):
            dataset = dcmread(path, specific_tags=_WANTED)
            is_final = (
                dataset.get("CompletionFlag") == "COMPLETE"
                and dataset.get("VerificationFlag") == "VERIFIED"
                and dataset.get("PreliminaryFlag", "FINAL") == "FINAL"
            )
            templates = {str(t.TemplateIdentifier) for t in dataset.get(_TEMPLATES, [])}
            return is_final and (
                dataset.SOPClassUID in _TEXT_REPORTS or _DIAGNOSTIC_REPORT in templates
            )
    except (OSError, *PYDICOM_ERRORS):
        return False
