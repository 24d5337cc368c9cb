"""The register of open associations: who is in it, for how long, and how many."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import pytest

from core.associations import Associations, OpenAssociation, TooManyAssociationsError

MANY = 1000


@pytest.fixture
def register(tmp_path: Path) -> Associations:
    associations = Associations(tmp_path)
    associations.prepare()
    return associations


def enter(
    register: Associations, ae_title: str = "MODALITY", *, limit: int = MANY, of_sender: int = MANY
) -> OpenAssociation:
    entry = OpenAssociation(
        id=register.new_id(), ae_title=ae_title, address="10.0.0.1", since=17.5, is_tls=True
    )
    register.enter(entry, limit=limit, limit_of_sender=of_sender)
    return entry


def test_who_enters_is_seen_by_every_process_until_it_leaves(
    register: Associations, tmp_path: Path
) -> None:
    other = Associations(tmp_path, slot=7)
    entry = enter(register)

    assert list(other.all()) == [entry]

    register.leave(entry.id)
    assert list(other.all()) == []
    # It may be said twice.
    register.leave(entry.id)


def test_an_id_tells_the_slot_and_is_nobody_elses(tmp_path: Path) -> None:
    register = Associations(tmp_path, slot=255)
    ids = {register.new_id() for _ in range(1000)}

    assert len(ids) == 1000
    assert all(name.startswith("ff") and "-" not in name for name in ids)


def test_the_limit_of_all_counts_every_process_and_sender(
    register: Associations, tmp_path: Path
) -> None:
    other = Associations(tmp_path, slot=1)
    enter(register, "A", limit=2)
    second = enter(other, "B", limit=2)

    with pytest.raises(TooManyAssociationsError):
        enter(register, "C", limit=2)

    assert len(list(register.all())) == 2
    other.leave(second.id)
    enter(register, "C", limit=2)


def test_the_limit_of_a_sender_counts_its_own_only(register: Associations) -> None:
    for title in ("A", "AB", "BA", "B"):
        enter(register, title, of_sender=1)

    with pytest.raises(TooManyAssociationsError):
        enter(register, "A", of_sender=1)


@pytest.mark.parametrize("title", ["A~B", "~B", "A~~B", "~"])
def test_a_tilde_in_a_title_does_not_make_it_anothers(register: Associations, title: str) -> None:
    enter(register, title)

    enter(register, "B", of_sender=1)
    enter(register, "", of_sender=1)
    with pytest.raises(TooManyAssociationsError):
        enter(register, title, of_sender=1)


@pytest.mark.parametrize(
    "title", ["../../etc", "/", "..", ".", "A B", "A%2FB", "%", "A\\B", 'A"B', "*", "[a]", ""]
)
def test_no_title_leaves_the_folder(register: Associations, tmp_path: Path, title: str) -> None:
    before = set(tmp_path.rglob("*"))
    entry = enter(register, title)

    assert list(register.all()) == [entry]
    (new,) = set(tmp_path.rglob("*")) - before
    assert new.parent == tmp_path / "associations"
    register.leave(entry.id)
    assert set(tmp_path.rglob("*")) == before


def test_of_those_that_enter_at_once_no_more_than_the_limit_are_in(register: Associations) -> None:
    entered, barrier = [], threading.Barrier(16)

    def try_to() -> None:
        barrier.wait()
        with suppress(TooManyAssociationsError):
            entered.append(enter(register, limit=5).id)

    threads = [threading.Thread(target=try_to) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(entered) <= 5
    assert sorted(entry.id for entry in register.all()) == sorted(entered)


def test_a_process_that_starts_again_removes_what_its_predecessor_left(
    register: Associations, tmp_path: Path
) -> None:
    enter(register)
    # Killed between writing an entry and naming it.
    (tmp_path / "associations" / ".00aabbccddee").touch()
    neighbour = Associations(tmp_path, slot=1)
    theirs = enter(neighbour)
    (tmp_path / "associations" / ".01aabbccddee").touch()
    neighbour.serve()

    Associations(tmp_path, slot=0).prepare()

    assert list(register.all()) == [theirs]
    names = {path.name for path in (tmp_path / "associations").iterdir()}
    assert names == {f"{theirs.id}~MODALITY", ".01aabbccddee", ".01"}


def test_the_first_start_forgets_everything(register: Associations, tmp_path: Path) -> None:
    enter(register)
    register.serve()
    enter(Associations(tmp_path, slot=9))

    Associations.forget_all(tmp_path)

    assert list((tmp_path / "associations").iterdir()) == []
    assert not register.is_served()


def test_a_process_is_served_once_it_says_so(register: Associations, tmp_path: Path) -> None:
    assert not register.is_served()

    register.serve()

    assert register.is_served()
    assert not Associations(tmp_path, slot=1).is_served()
    # It is no association.
    assert list(register.all()) == []
    enter(register, limit=1)


def test_where_nothing_was_prepared_nobody_is_in(tmp_path: Path) -> None:
    assert list(Associations(tmp_path).all()) == []
    Associations(tmp_path).leave("00abc")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"id": 1, "other": 2}', "null"])
def test_a_damaged_entry_is_passed_over_and_counts(
    register: Associations, tmp_path: Path, content: str
) -> None:
    (tmp_path / "associations" / "00damaged~A").write_text(content, encoding="utf-8")

    assert list(register.all()) == []
    with pytest.raises(TooManyAssociationsError):
        enter(register, limit=1)


def test_an_entry_that_cannot_be_written_leaves_nothing(
    register: Associations, tmp_path: Path
) -> None:
    entry = OpenAssociation(id="00" + "x" * 200, ae_title="ä" * 80, address="", since=0)

    # Its name is longer than a file's may be: written aside, it cannot be named.
    with pytest.raises(OSError, match="too long"):
        register.enter(entry, limit=MANY, limit_of_sender=MANY)

    assert list((tmp_path / "associations").iterdir()) == []
