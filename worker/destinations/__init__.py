"""Where results go: every kind of destination in one list.

The objects of a report are chosen by the destinations themselves, so that to a PACS and to a RIS
go what each understands.
"""

from __future__ import annotations

from collections.abc import Collection

from core.outbox import Planned
from core.settings import Settings
from worker.destinations.base import Archive, Destination, Issue, Item
from worker.destinations.dicomweb import DicomwebDestination
from worker.destinations.fhir import FhirDestination
from worker.destinations.pacs import PacsDestination
from worker.destinations.ris import RisDestination

__all__ = [
    "Archive",
    "Destination",
    "Issue",
    "all_archives",
    "all_destinations",
    "find_destination",
    "plan_results",
]


def all_archives(settings: Settings) -> list[Archive]:
    """Return every destination that keeps documents and can be asked for them."""
    return [
        *(PacsDestination(settings, pacs) for pacs in settings.pacs),
        *(DicomwebDestination(settings, service) for service in settings.dicomweb),
    ]


def all_destinations(settings: Settings) -> list[Destination]:
    """Return every destination of a site, kind by kind."""
    return [
        *all_archives(settings),
        *(RisDestination(settings, ris) for ris in settings.ris),
        *(FhirDestination(settings, server) for server in settings.fhir),
    ]


def find_destination(settings: Settings, name: str) -> Destination | None:
    """Return the destination of a name such as `pacs:main`; None where it left the settings."""
    return next((d for d in all_destinations(settings) if d.name == name), None)


def plan_results(
    settings: Settings, issue: Issue, *, only: Collection[str] | None = None
) -> list[Planned]:
    """Return what a report becomes, and where each object goes: to all destinations, or to some.

    Order matters: a destination gets a study's objects in the order of these rows.
    """
    takers: dict[Item, list[str]] = {}
    wanted = [d for d in all_destinations(settings) if only is None or d.name in only]
    for destination in wanted:
        for item in destination.items(issue):
            takers.setdefault(item, []).append(destination.name)
    return [
        Planned(kind=item.kind, language=item.language, uid=item.uid, destinations=tuple(names))
        for item, names in takers.items()
    ]
