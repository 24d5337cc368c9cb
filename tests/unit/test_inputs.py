"""What a person named to be sent: files, folders, archives, and what is none of them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from cli.inputs import opened


def _zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_file_is_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(b"x")

    with opened([path]) as inputs:
        assert inputs.files == [path]
        assert inputs.name_of(path) == str(path)


def test_a_folder_is_every_file_in_it_in_order(tmp_path: Path) -> None:
    for name in ("b", "sub/deep/c", "a", "sub/.hidden"):
        path = tmp_path / "films" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "films" / "empty").mkdir()

    with opened([tmp_path / "films"]) as inputs:
        names = [p.relative_to(tmp_path / "films").as_posix() for p in inputs.files]
    assert names == ["a", "b", "sub/.hidden", "sub/deep/c"]


def test_a_folder_that_contains_itself_has_an_end(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")

    with opened([tmp_path]) as inputs:
        assert inputs.files == [tmp_path / "a"]


def test_what_does_not_exist_is_named(tmp_path: Path) -> None:
    with opened([tmp_path / "gone", tmp_path / "a" / "b"]) as inputs:
        assert inputs.files == []
        assert inputs.missing == [str(tmp_path / "gone"), str(tmp_path / "a" / "b")]


def test_an_archive_is_every_file_in_it_and_is_gone_afterwards(tmp_path: Path) -> None:
    path = _zip(tmp_path / "films.zip", {"a.dcm": b"one", "sub/": b"", "sub/b.dcm": b"two"})

    with opened([path]) as inputs:
        assert [p.read_bytes() for p in inputs.files] == [b"one", b"two"]
        assert [inputs.name_of(p) for p in inputs.files] == [f"{path}:a.dcm", f"{path}:sub/b.dcm"]
        files = list(inputs.files)
    assert not any(p.exists() for p in files)


@pytest.mark.parametrize(
    "name",
    ["../../escaped", "/escaped", "..\\..\\escaped", "C:\\escaped", "a\nb", "نزار", "x" * 300],
)
def test_a_hostile_name_leads_nowhere(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "deep" / "deeper"
    folder.mkdir(parents=True)
    path = _zip(folder / "films.zip", {name: b"content"})
    before = set(tmp_path.rglob("*"))

    with opened([path]) as inputs:
        (file,) = inputs.files
        assert file.read_bytes() == b"content"
        assert file.name == "00000000.dcm"
        assert set(tmp_path.rglob("*")) == before
    assert not Path("/escaped").exists()


def test_two_members_of_one_name_are_two_files(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.dcm", b"one")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.dcm", b"two")
    path = tmp_path / "films.zip"
    path.write_bytes(buffer.getvalue())

    with opened([path]) as inputs:
        assert [p.read_bytes() for p in inputs.files] == [b"one", b"two"]


def test_several_archives_do_not_mix(tmp_path: Path) -> None:
    paths = [_zip(tmp_path / f"{n}.zip", {"a": n.encode()}) for n in ("x", "y")]

    with opened([*paths, tmp_path / "gone", paths[0]]) as inputs:
        assert [p.read_bytes() for p in inputs.files] == [b"x", b"y", b"x"]
        assert len(inputs.missing) == 1


def _break(path: Path, kind: str) -> None:
    """Damage an archive of one good and one larger member."""
    data = bytearray(path.read_bytes())
    match kind:
        case "content":
            at = data.index(b"PK\x03\x04", 4) + 60
            data[at : at + 20] = b"\xff" * 20
        case "password":
            for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
                at = data.rindex(mark)
                data[at + offset] |= 1
        case _:
            for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
                at = data.rindex(mark)
                data[at + offset] = 99
    path.write_bytes(data)


@pytest.mark.parametrize("kind", ["content", "password", "method"])
def test_an_archive_that_cannot_be_unpacked_is_named_and_the_rest_goes_on(
    tmp_path: Path, kind: str
) -> None:
    path = _zip(tmp_path / "films.zip", {"good": b"good" * 50, "bad": bytes(range(256)) * 20})
    _break(path, kind)
    other = tmp_path / "other.dcm"
    other.write_bytes(b"x")

    with opened([path, other]) as inputs:
        assert [p.read_bytes() for p in inputs.files] == [b"good" * 50, b"x"]
        assert [line.split(": ")[0] for line in inputs.unreadable] == [f"{path}:bad"]


def test_an_archive_without_its_directory_is_named(tmp_path: Path) -> None:
    path = _zip(tmp_path / "films.zip", {"a": b"x" * 100})
    data = path.read_bytes()
    at = data.rindex(b"PK\x05\x06")
    path.write_bytes(data[:at].replace(b"PK\x01\x02", b"XX\x01\x02") + data[at:])

    with opened([path]) as inputs:
        assert inputs.files == []
        assert [line.split(": ")[0] for line in inputs.unreadable] == [str(path)]
