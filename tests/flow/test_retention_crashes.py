"""A purge that is killed, one beside another, and images that come in between."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import Site, film, one_database
from harness.retained import age, assert_whole, files_of, paths_of_rows, purge

from core import intake, retention
from core.lifecycle import State
from core.removal import StudyRemoval
from dicom_node.index import Indexer
from worker.purge import Purge, PurgeResult


class _KilledError(BaseException):
    """In place of kill -9: nothing behind it runs, no transaction is committed."""


_STEPS = (
    "mark made",
    "rows written, not committed",
    "rows committed",
    "files moved aside",
    "half deleted",
    "all deleted but the mark",
)


def _die(*_: object, **__: object) -> None:
    raise _KilledError


def _after(function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **options: Any) -> Any:
        function(*arguments, **options)
        raise _KilledError

    return wrapped


def _delete_one(path: Path) -> None:
    next(name for name in path.rglob("*") if name.is_file()).unlink()
    raise _KilledError


def _die_at(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    places: dict[str, tuple[Any, str, Callable[..., Any]]] = {
        "mark made": (StudyRemoval, "mark", _after(StudyRemoval.mark)),
        "rows written, not committed": (retention, "purge_rows", _after(retention.purge_rows)),
        "rows committed": (StudyRemoval, "move_aside", _die),
        "files moved aside": (StudyRemoval, "finish", _die),
        "half deleted": (shutil, "rmtree", _delete_one),
        "all deleted but the mark": (shutil, "rmtree", _after(shutil.rmtree)),
    }
    monkeypatch.setattr(*places[step])


@pytest.mark.parametrize("step", _STEPS)
def test_a_kill_at_any_step_leaves_nothing_that_the_next_purge_does_not_finish(
    site: Site, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    image = film()
    site.take_in(image, film(image.StudyInstanceUID))
    age(site)
    with monkeypatch.context() as patched:
        _die_at(step, patched)
        with pytest.raises(_KilledError):
            purge(site)
    # No row ever points to nothing.
    assert paths_of_rows(site) <= files_of(site)
    assert StudyRemoval(site.parts.files).marks() == [image.StudyInstanceUID]

    purge(site)

    assert files_of(site) == paths_of_rows(site) == set()
    assert site.study().purged_at is not None
    assert site.events().count("purged") == 1
    assert_whole(site)


@pytest.mark.parametrize("step", _STEPS[2:])
@pytest.mark.parametrize("is_same", [True, False])
@one_database
def test_an_image_that_comes_after_a_kill_is_not_removed_with_the_old_ones(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch, step: str, *, is_same: bool
) -> None:
    site = make_site()
    image = film()
    other = film(image.StudyInstanceUID, value=1)
    site.take_in(image, other)
    age(site)
    with monkeypatch.context() as patched:
        _die_at(step, patched)
        with pytest.raises(_KilledError):
            purge(site)

    late = image if is_same else film(image.StudyInstanceUID, value=2)
    site.receive(late)
    purge(site)

    [path] = paths_of_rows(site)
    assert str(late.SOPInstanceUID) in path
    assert files_of(site) == {path}
    assert site.state() is State.RECEIVING
    assert_whole(site)


def test_an_image_that_was_linked_while_its_study_was_purged_keeps_its_file(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = film()
    site.take_in(image)
    age(site)
    record_all = intake.record_all

    def purge_first(*arguments: Any, **options: Any) -> Any:
        # Its file has its place; its rows are not begun.
        monkeypatch.setattr(intake, "record_all", record_all)
        assert _purge_beside(site) == 1
        return record_all(*arguments, **options)

    def _purge_beside(site: Site) -> int:
        return Purge(site.parts, on_purged=lambda _: None).run().studies

    if site.engine.dialect.name == "sqlite":
        # The transaction has begun, and SQLite grants one writer: purge before it begins.
        write = Indexer._write

        def purge_then_write(indexer: Any, *arguments: Any) -> None:
            monkeypatch.setattr(Indexer, "_write", write)
            assert _purge_beside(site) == 1
            write(indexer, *arguments)

        monkeypatch.setattr(Indexer, "_write", purge_then_write)
    else:
        monkeypatch.setattr(intake, "record_all", purge_first)

    site.receive(image)

    assert (site.state(), site.study().version) == (State.RECEIVING, 2)
    assert len(files_of(site)) == 1
    assert_whole(site)


@one_database
def test_files_that_cannot_be_deleted_are_tried_again(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site()
    site.take_in(film())
    age(site)

    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", refuse)
        assert (purge(site).unfinished, purge(site).unfinished) == (1, 1)
    assert purge(site) == PurgeResult()
    assert_whole(site)


@one_database
def test_two_purges_do_not_run_at_once(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.take_in(film())
    age(site)
    with StudyRemoval(site.parts.files).only_one() as is_ours:
        assert is_ours
        assert purge(site).is_other_running
    assert purge(site).studies == 1


@one_database
def test_a_stray_file_among_the_marks_goes(make_site: Callable[..., Site]) -> None:
    site = make_site()
    removal = StudyRemoval(site.parts.files)
    with removal.only_one():
        (removal.folder / "stray").write_bytes(b"x")
    assert purge(site) == PurgeResult()
    assert removal.marks() == []
