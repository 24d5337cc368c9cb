"""A wrong setting stops the start, and the error says where it stands and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import SettingsError
from core.report import Language, Severity
from core.settings import Settings
from core.settings_file import load, masked

FULL = """\
data_dir = "data"

[node]
ae_title = "TAQRIR"
port = 11112

[[senders]]
ae_title = "CT1"

[[senders]]
ae_title = "CT2"
host = "10.0.0.5"
orientation_unknown = "warn"

[[pacs]]
name = "main"
ae_title = "ARCHIVE"
host = "10.0.0.5"

[[ris]]
name = "main"
host = "10.0.0.6"
draft_status = "P"
"""


def _load(tmp_path: Path, text: str, **variables: str) -> Settings:
    path = tmp_path / "taqrir.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, variables)


def _refusal(tmp_path: Path, text: str, **variables: str) -> str:
    with pytest.raises(SettingsError) as caught:
        _load(tmp_path, text, **variables)
    return str(caught.value).replace(f"{tmp_path}/", "")


# What is read


def test_a_file_is_read_into_types(tmp_path: Path) -> None:
    settings = _load(tmp_path, FULL)

    assert settings.node.port == 11112
    assert [sender.ae_title for sender in settings.senders] == ["CT1", "CT2"]
    assert settings.pacs[0].port == 104
    assert settings.ris[0].draft_status == "P"
    assert settings.model.languages == (Language.EN, Language.AR)


def test_without_a_file_the_defaults_hold() -> None:
    settings = load(None, {})

    assert settings.database.url == settings.broker.url == "embedded"
    assert (settings.senders, settings.pacs, settings.ris) == ((), (), ())
    assert settings.completion.quiet_seconds == 60


def test_a_relative_data_folder_counts_from_the_files_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)

    assert _load(tmp_path, FULL).data_dir == tmp_path / "data"
    assert _load(tmp_path, 'data_dir = "/srv/taqrir"').data_dir == Path("/srv/taqrir")


def test_the_environment_has_the_last_word(tmp_path: Path) -> None:
    settings = _load(
        tmp_path,
        FULL,
        TAQRIR_NODE__PORT="104",
        TAQRIR_DATA_DIR="/srv/taqrir",
        TAQRIR_MODEL__LANGUAGES='["en"]',
        TAQRIR_COMPLETION__QUIET_SECONDS="1.5",
        OTHER_NODE__PORT="1",
    )

    assert settings.node.port == 104
    assert settings.data_dir == Path("/srv/taqrir")
    assert settings.model.languages == (Language.EN,)
    assert settings.completion.quiet_seconds == 1.5


def test_a_sender_is_found_by_its_exact_title(tmp_path: Path) -> None:
    settings = _load(tmp_path, FULL)

    found = settings.sender("CT2")
    assert found is not None
    assert found.orientation_unknown is Severity.WARN
    assert settings.sender("ct2") is None
    assert settings.sender("") is None


def test_nothing_changes_after_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        _load(tmp_path, FULL).node.port = 1  # type: ignore[misc]


# What is refused, and where it stands


@pytest.mark.parametrize(
    ("line", "new", "expected"),
    [
        (
            5,
            "prot = 1",
            "taqrir.toml:5: unknown setting node.prot; known here: ae_title, artim_seconds, ",
        ),
        (5, "port = 0", "taqrir.toml:5: node.port = 0: input should be greater than or equal to 1"),
        (5, "port = 65536", "taqrir.toml:5: node.port = 65536: "),
        (5, 'port = "dicom"', "taqrir.toml:5: node.port = 'dicom': input should be a valid int"),
        (4, 'ae_title = ""', "taqrir.toml:4: node.ae_title = '': an AE title is 1 to 16"),
        (4, 'ae_title = "     "', "taqrir.toml:4: node.ae_title = '     ': an AE title"),
        (4, 'ae_title = "SEVENTEEN_LETTERS"', "taqrir.toml:4: node.ae_title = 'SEVENTEEN"),
        (4, 'ae_title = "تقرير"', "taqrir.toml:4: node.ae_title"),
        (4, r'ae_title = "A\\B"', "taqrir.toml:4: node.ae_title"),
        (8, "ae_title = 7", "taqrir.toml:8: senders.0.ae_title = 7: "),
        (11, "ae_title = 7", "taqrir.toml:11: senders.1.ae_title = 7: "),
        (13, 'orientation_unknown = "shout"', "taqrir.toml:13: senders.1.orientation_unknown"),
        (16, 'name = "a b"', "taqrir.toml:16: pacs.0.name = 'a b': "),
        (23, 'draft_status = "F"', "taqrir.toml:23: ris.0.draft_status = 'F': "),
        (3, "[nodes]", "taqrir.toml:3: unknown setting nodes; known here: audit, broker, "),
        (1, 'dat_dir = "x"', "taqrir.toml:1: unknown setting dat_dir; known here: "),
    ],
)
def test_a_refusal_names_the_line_the_key_the_value_and_what_is_allowed(
    tmp_path: Path, line: int, new: str, expected: str
) -> None:
    lines = FULL.splitlines()
    lines[line - 1] = new

    assert _refusal(tmp_path, "\n".join(lines)).startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[[pacs]]\nname = "a"\n', "taqrir.toml:1: pacs.0.ae_title: field required"),
        ('[[senders]]\nae_title = "A"\n\n[[senders]]\nhost = "h"\n', "taqrir.toml:4: senders.1.ae"),
    ],
)
def test_a_missing_key_names_the_line_of_its_section(
    tmp_path: Path, text: str, expected: str
) -> None:
    assert expected in _refusal(tmp_path, text)


@pytest.mark.parametrize("address", ["", 'host = "ct1"\n', "port = 104\n"])
def test_tls_towards_a_sender_needs_its_address_and_no_complaint_shows_its_passcode(
    tmp_path: Path, address: str
) -> None:
    row = f'[[senders]]\nae_title = "A"\nusername = "u"\npasscode = "open sesame"\n{address}'

    refusal = _refusal(tmp_path, f'{row}[senders.tls]\ntrusted = "a.pem"\n')

    assert "senders.0.tls" in refusal
    assert "give host and port" in refusal
    assert "sesame" not in refusal


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    refusal = _refusal(tmp_path, "[node]\nport = 0\nprot = 1\n[worker]\nmax_attempts = 0\n")

    assert [line.split(": ")[0] for line in refusal.splitlines()] == [
        "taqrir.toml:2",
        "taqrir.toml:3",
        "taqrir.toml:5",
    ]


def test_two_destinations_of_one_name_are_refused(tmp_path: Path) -> None:
    row = '[[pacs]]\nname = "main"\nae_title = "A"\nhost = "h"\n'

    assert "two [[pacs]] are called main" in _refusal(tmp_path, row * 2)


@pytest.mark.parametrize("languages", ['["en", "en"]', "[]"])
def test_each_language_stands_once_and_one_at_least(tmp_path: Path, languages: str) -> None:
    assert "model.languages" in _refusal(tmp_path, f"[model]\nlanguages = {languages}\n")


def test_a_refusal_of_the_whole_file_names_no_variable_that_is_right(tmp_path: Path) -> None:
    row = '[[pacs]]\nname = "main"\nae_title = "A"\nhost = "h"\n'

    refusal = _refusal(tmp_path, row * 2, TAQRIR_NODE__PORT="104")

    assert refusal.startswith("taqrir.toml: ")


def test_a_pacs_and_a_ris_may_bear_one_name(tmp_path: Path) -> None:
    settings = _load(tmp_path, FULL)

    assert settings.pacs[0].name == settings.ris[0].name


@pytest.mark.parametrize(
    "text", ["[node\n", "node = \n", "= 1", 'a = "', "\x00", "[node]\n[node]\n"]
)
def test_what_is_not_toml_names_the_file_and_the_place(tmp_path: Path, text: str) -> None:
    refusal = _refusal(tmp_path, text)

    assert refusal.startswith("taqrir.toml: ")
    assert "line" in refusal or "end of document" in refusal or "overwrite" in refusal


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml: cannot be read: No such file"):
        load(tmp_path / "nowhere.toml", {})
    (tmp_path / "latin.toml").write_bytes(b'data_dir = "\xe9"')
    with pytest.raises(SettingsError, match="cannot be read: not UTF-8"):
        load(tmp_path / "latin.toml", {})


# The environment


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TAQRIR_NODE__PORT", "many", "TAQRIR_NODE__PORT: node.port = 'many': "),
        ("TAQRIR_NODE__PROT", "1", "TAQRIR_NODE__PROT: unknown setting node.prot; known here: "),
        ("TAQRIR_NODES__PORT", "1", "TAQRIR_NODES__PORT: unknown setting nodes; known here: "),
        ("TAQRIR_DATADIR", "x", "TAQRIR_DATADIR: unknown setting datadir; known here: "),
        ("TAQRIR_NODE", "x", "TAQRIR_NODE: "),
        ("TAQRIR_MODEL__LANGUAGES", '["fr"]', "TAQRIR_MODEL__LANGUAGES: model.languages.0"),
        ("TAQRIR_MODEL__LANGUAGES", '["ar"]', "TAQRIR_MODEL__LANGUAGES: model.languages = "),
        ("TAQRIR_MODEL__LANGUAGES", "[en", "TAQRIR_MODEL__LANGUAGES: model.languages = '[en'"),
        ("TAQRIR_SENDERS__AE_TITLE", "A", "TAQRIR_SENDERS__AE_TITLE: rows of [[senders]]"),
        ("TAQRIR_DATA_DIR__X", "A", "TAQRIR_DATA_DIR__X: "),
        ("TAQRIR_NODE__PORT__X", "A", "TAQRIR_NODE__PORT__X: "),
    ],
)
@pytest.mark.parametrize("text", ["", FULL], ids=["no file", "a file"])
def test_a_refusal_names_the_variable(
    tmp_path: Path, text: str, name: str, value: str, expected: str
) -> None:
    assert _refusal(tmp_path, text, **{name: value}).startswith(expected)


# Secrets

SECRET_URLS = [
    "mysql://taqrir:s3cret@db/taqrir",
    "postgresql+psycopg2://taqrir:s3cret@db/taqrir",
    "postgresql://taqrir:p@s3cret@db/taqrir",
    "postgresql://db/taqrir?user=taqrir&password=s3cret",
    "mysql://taqrir:s3/cret:s3cret@db",
]


@pytest.mark.parametrize("url", SECRET_URLS)
def test_a_refusal_never_shows_a_password(tmp_path: Path, url: str) -> None:
    for section in ("database", "broker"):
        in_file = _refusal(tmp_path, f'[{section}]\nurl = "{url}"\n')
        in_variable = _refusal(tmp_path, "", **{f"TAQRIR_{section.upper()}__URL": url})
        misplaced = _refusal(tmp_path, f'{section} = "{url}"\n')
        for words in (in_file, in_variable, misplaced):
            assert "s3cret" not in words
            assert "s3/cret" not in words
        assert f"{section}.url" in in_file


@pytest.mark.parametrize(
    ("section", "url"),
    [
        ("database", "postgresql+psycopg://taqrir:s3cret@db/taqrir"),
        ("database", "postgresql+psycopg://db/taqrir?user=t&password=s3cret"),
        ("broker", "redis://:s3cret@cache:6379/0"),
        ("broker", "rediss://user:s3cret@cache"),
    ],
)
def test_the_settings_that_are_shown_hold_no_password(
    tmp_path: Path, section: str, url: str
) -> None:
    settings = _load(tmp_path, f'[{section}]\nurl = "{url}"\n')

    shown = masked(settings)[section]["url"]
    assert "s3cret" not in shown
    assert shown.startswith(url.split("://", maxsplit=1)[0])
    assert "***" in shown
    assert getattr(settings, section).url == url


def test_an_address_without_a_password_is_shown_as_it_is(tmp_path: Path) -> None:
    settings = _load(tmp_path, '[broker]\nurl = "redis://cache:6379/0"\n')

    assert masked(settings)["broker"]["url"] == "redis://cache:6379/0"


# The model's folder


def test_the_shipped_model_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    folder = load(None, {}).checkpoint_folder

    assert folder.parts[-3:] == ("model", "demo", "checkpoint")
    assert folder.is_absolute()


def test_a_relative_model_folder_counts_from_the_files_own_folder(tmp_path: Path) -> None:
    settings = _load(tmp_path, '[model]\npath = "checkpoints/a"\n')

    assert settings.checkpoint_folder == tmp_path / "checkpoints" / "a"
