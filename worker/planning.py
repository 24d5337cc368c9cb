"""What a draft becomes, and where each object goes."""

from __future__ import annotations

from core import identifiers
from core.outbox import Planned
from core.report import Report
from core.settings import PacsSettings, RisSettings, Settings
from core.tables import Draft, Study

_PACS, _RIS = "pacs:", "ris:"


def plan_results(settings: Settings, study: Study, draft: Draft, report: Report) -> list[Planned]:
    """Return a draft's objects: an SR a language for every PACS, an ORU for each RIS.

    Order matters: of one destination they are sent one after another, English first, because the
    Arabic SR refers to the English one.
    """
    archives = tuple(_PACS + pacs.name for pacs in settings.pacs)
    structured = [
        Planned(
            kind="sr",
            language=narrative.language,
            uid=identifiers.document_uid(
                study.study_uid, draft.report_version, "sr", narrative.language
            ),
            destinations=archives,
        )
        for narrative in report.narratives
        if archives
    ]
    messages = [
        Planned(
            kind="oru",
            language="",
            uid=identifiers.message_control_id(
                study.study_uid, draft.report_version, _RIS + ris.name, "oru"
            ),
            destinations=(_RIS + ris.name,),
        )
        for ris in settings.ris
    ]
    return structured + messages


def find_destination(settings: Settings, name: str) -> PacsSettings | RisSettings | None:
    """Return the settings of a destination such as `pacs:main`; None where it is gone."""
    if name.startswith(_PACS):
        return next((p for p in settings.pacs if _PACS + p.name == name), None)
    return next((r for r in settings.ris if _RIS + r.name == name), None)
