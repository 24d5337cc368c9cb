"""One installation in one process: real node, real database, real peers; clock and drafter fake."""

from harness.fake_drafter import FakeDrafter, a_finding, a_report
from harness.films import add_patient, film, film_of_another_patient, new_uid, report_object, save
from harness.logs import captured_logs
from harness.scripted_pacs import ScriptedPacs, abort
from harness.scripted_ris import ScriptedRis
from harness.site import MODALITY, ManualClock, RecordingBell, Site, Timing, one_database

__all__ = [
    "MODALITY",
    "FakeDrafter",
    "ManualClock",
    "RecordingBell",
    "ScriptedPacs",
    "ScriptedRis",
    "Site",
    "Timing",
    "a_finding",
    "a_report",
    "abort",
    "add_patient",
    "captured_logs",
    "film",
    "film_of_another_patient",
    "new_uid",
    "one_database",
    "report_object",
    "save",
]
