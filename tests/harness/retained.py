"""Looking at what retention left of an installation."""

from __future__ import annotations

from sqlalchemy import select

from core.database import reading
from core.removal import StudyRemoval
from core.tables import Instance
from harness.site import Site
from worker.purge import Purge, PurgeResult


def purge(site: Site) -> PurgeResult:
    """Purge once, by the site's clock; nobody is told."""
    result = Purge(site.parts, on_purged=lambda _: None).run()
    site.check()
    return result


def age(site: Site) -> None:
    """Let more days pass than anything is kept."""
    site.clock.advance(days=31)


def files_of(site: Site) -> set[str]:
    """Return the files in `studies/`, relative to the data folder."""
    root = site.parts.files.root
    return {str(p.relative_to(root)) for p in (root / "studies").rglob("*") if p.is_file()}


def paths_of_rows(site: Site) -> set[str]:
    """Return the files that rows point to."""
    with reading(site.engine) as session:
        return set(session.scalars(select(Instance.path)))


def assert_whole(site: Site) -> None:
    """No row points to nothing, no file belongs to nobody, nothing is half removed."""
    assert files_of(site) == paths_of_rows(site)
    assert StudyRemoval(site.parts.files).marks() == []
