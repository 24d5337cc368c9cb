"""Files of TLS that will not do are named by `taqrir check` and at the start of the node."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from servers.certificates import Authority, Pair

from cli.main import taqrir
from core.clock import utcnow
from core.errors import SettingsError
from core.settings import Settings
from core.settings_destinations import PacsSettings, RisSettings, RisTlsSettings
from core.settings_node import NodeSettings, NodeTlsSettings, SenderSettings
from core.settings_orders import OrdersSettings, OrdersTlsSettings
from core.settings_tls import PacsTlsSettings, SenderTlsSettings
from dicom_node.tls_check import check_pacs_tls, check_sender_tls, check_tls
from hl7.tls_check import check_orders_tls, check_ris_tls


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("site"))


def _node(site: Authority, pair: Pair, **values: object) -> Settings:
    tls = NodeTlsSettings.model_validate(
        {
            "certificate": pair.certificate,
            "key": pair.key,
            "trusted": site.certificate,
            **values,
        }
    )
    return Settings(node=NodeSettings(tls=tls))


def _check_pacs(site: Authority, pair: Pair) -> list[str]:
    tls = PacsTlsSettings(trusted=site.certificate, certificate=pair.certificate, key=pair.key)
    pacs = PacsSettings(name="main", ae_title="ARCHIVE", host="127.0.0.1", tls=tls)
    return check_pacs_tls(Settings(pacs=(pacs,)), pacs)


def _check_sender(site: Authority, pair: Pair) -> list[str]:
    tls = SenderTlsSettings(trusted=site.certificate, certificate=pair.certificate, key=pair.key)
    sender = SenderSettings(ae_title="CT1", host="127.0.0.1", port=104, tls=tls)
    return check_sender_tls(Settings(senders=(sender,)), sender)


def _check_orders(site: Authority, pair: Pair) -> list[str]:
    tls = OrdersTlsSettings(trusted=site.certificate, certificate=pair.certificate, key=pair.key)
    return check_orders_tls(Settings(orders=OrdersSettings(tls=tls)))


def _check_ris(site: Authority, pair: Pair) -> list[str]:
    tls = RisTlsSettings(trusted=site.certificate, certificate=pair.certificate, key=pair.key)
    ris = RisSettings(name="main", host="127.0.0.1", tls=tls)
    return check_ris_tls(Settings(ris=(ris,)), ris)


# Every section of TLS files, by its name: what is true of one is true of all.
_CHECKS = {
    "node": lambda site, pair: check_tls(_node(site, pair)),
    "pacs": _check_pacs,
    "senders": _check_sender,
    "orders": _check_orders,
    "ris": _check_ris,
}


@pytest.mark.parametrize("check", _CHECKS)
def test_files_that_will_do_give_no_warning(check: str, site: Authority) -> None:
    assert _CHECKS[check](site, site.issue("good", days=60)) == []


def test_without_tls_there_is_nothing_to_check() -> None:
    assert check_tls(Settings()) == []
    pacs = PacsSettings(name="main", ae_title="ARCHIVE", host="127.0.0.1")
    assert check_pacs_tls(Settings(pacs=(pacs,)), pacs) == []
    assert check_orders_tls(Settings()) == []
    ris = RisSettings(name="main", host="127.0.0.1")
    assert check_ris_tls(Settings(ris=(ris,)), ris) == []


@pytest.mark.parametrize("key", ["rsa:2048", "ec:P-384"])
def test_other_kinds_of_keys_will_do(key: str, site: Authority) -> None:
    pair = site.issue(key.replace(":", "-"), key=key)
    assert check_tls(_node(site, pair, profile="bcp195-modified")) == []


@pytest.mark.parametrize("check", _CHECKS)
def test_a_certificate_that_ends_within_a_month_is_a_warning(check: str, site: Authority) -> None:
    pair = site.issue("soon", days=29)
    ends = utcnow() + timedelta(days=29)
    words = f"{pair.certificate} expires on {ends:%Y-%m-%d}"
    assert _CHECKS[check](site, pair) == [f"{check}.tls.certificate: {words}"]


def test_an_authority_that_ends_is_a_warning(tmp_path: Path) -> None:
    authority = Authority(tmp_path, days=20)
    settings = _node(authority, authority.issue("node"))
    [words] = check_tls(settings)
    assert words.startswith(f"node.tls.trusted: an authority in {authority.certificate} expires")


def test_an_authority_that_has_ended_is_said_to_have(tmp_path: Path) -> None:
    authority = Authority(tmp_path, days=20)
    settings = _node(authority, authority.issue("node"))
    words = check_tls(settings, clock=lambda: utcnow() + timedelta(days=21))
    assert len(words) == 1
    assert "has expired" in words[0]


def test_a_key_that_everybody_can_read_is_a_warning(site: Authority) -> None:
    pair = site.issue("open")
    pair.key.chmod(0o644)
    [words] = check_tls(_node(site, pair))
    assert words == f"node.tls.key: {pair.key} can be read by every user of this machine"


@pytest.mark.parametrize("check", _CHECKS)
def test_an_expired_certificate_is_refused(check: str, site: Authority) -> None:
    pair = site.issue("old", days=-1)
    with pytest.raises(SettingsError) as caught:
        _CHECKS[check](site, pair)
    assert str(caught.value) == f"{check}.tls.certificate: {pair.certificate}: it has expired"


@pytest.mark.parametrize(
    ("check", "usage"),
    [
        ("node", "clientAuth"),
        ("pacs", "serverAuth"),
        ("orders", "clientAuth"),
        ("ris", "serverAuth"),
    ],
)
def test_a_certificate_for_the_other_side_is_refused(
    check: str, usage: str, site: Authority
) -> None:
    pair = site.issue("other-side", usage=usage)
    with pytest.raises(SettingsError, match="purpose"):
        _CHECKS[check](site, pair)


@pytest.mark.parametrize("check", _CHECKS)
def test_a_key_of_another_certificate_is_refused(check: str, site: Authority) -> None:
    mixed = Pair(certificate=site.issue("one").certificate, key=site.issue("two").key)
    with pytest.raises(SettingsError, match="the key is not the key of this certificate"):
        _CHECKS[check](site, mixed)


@pytest.mark.parametrize("check", _CHECKS)
@pytest.mark.parametrize("name", ["certificate", "key"])
def test_a_file_that_is_not_there_is_named(check: str, name: str, site: Authority) -> None:
    missing = site.certificate.with_name("none.pem")
    with pytest.raises(SettingsError) as caught:
        _CHECKS[check](site, replace(site.issue("there"), **{name: missing}))
    assert str(caught.value).startswith(f"{check}.tls.{name}: {missing} cannot be read")


# The command


@pytest.fixture
def run_check(tmp_path: Path) -> Callable[[Pair, Authority, bool], tuple[str, str]]:
    """Return what `taqrir check` prints about the node's TLS, and about an archive."""

    def run(pair: Pair, site: Authority, as_json: bool) -> tuple[str, str]:
        file = tmp_path / "taqrir.toml"
        file.write_text(
            f"""\
[node.tls]
certificate = "{pair.certificate}"
key = "{pair.key}"
trusted = "{site.certificate}"
[[pacs]]
name = "main"
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = 1
[pacs.tls]
trusted = "{tmp_path}/none.pem"
""",
            encoding="utf-8",
        )
        options = ["--json"] if as_json else []
        result = CliRunner().invoke(taqrir, ["check", "--config", str(file), *options])
        if as_json:
            rows = {row["name"]: row for row in json.loads(result.stdout)["checks"]}
            return json.dumps(rows["node tls"]), json.dumps(rows["pacs main"])
        lines = result.stdout.splitlines()
        return (
            "\n".join(line for line in lines if "node tls" in line),
            "\n".join(line for line in lines if "pacs main" in line),
        )

    return run


def test_the_check_command_shows_warnings_and_faults(
    site: Authority, run_check: Callable[[Pair, Authority, bool], tuple[str, str]]
) -> None:
    node, pacs = run_check(site.issue("soon", days=10), site, False)
    good, warning = node.splitlines()
    assert good.startswith("ok    node tls")
    assert "port 2762, profile bcp195, client certificate required" in good
    assert warning.startswith("WARN  node tls")
    assert "soon.pem expires on" in warning
    assert pacs.startswith("FAIL  pacs main")
    assert "pacs.tls.trusted" in pacs


def test_the_check_command_shows_them_as_json(
    site: Authority, run_check: Callable[[Pair, Authority, bool], tuple[str, str]]
) -> None:
    node = json.loads(run_check(site.issue("soon", days=10), site, True)[0])
    assert node["ok"]
    assert len(node["warnings"]) == 1

    node = json.loads(run_check(site.issue("old", days=-1), site, True)[0])
    assert not node["ok"]
    assert "it has expired" in node["words"]


def test_the_check_command_looks_at_the_files_of_hl7(site: Authority, tmp_path: Path) -> None:
    good, old = site.issue("soon", days=10), site.issue("old", days=-1)
    file = tmp_path / "taqrir.toml"
    file.write_text(
        f"""\
[orders.tls]
certificate = "{good.certificate}"
key = "{good.key}"
trusted = "{site.certificate}"
[[ris]]
name = "main"
host = "127.0.0.1"
port = 1
[ris.tls]
trusted = "{site.certificate}"
certificate = "{old.certificate}"
key = "{old.key}"
""",
        encoding="utf-8",
    )
    result = CliRunner().invoke(taqrir, ["check", "--config", str(file), "--json"])

    rows = {row["name"]: row for row in json.loads(result.stdout)["checks"]}
    assert rows["orders tls"]["ok"]
    assert rows["orders tls"]["words"] == "port 2576, client certificate required"
    [warning] = rows["orders tls"]["warnings"]
    assert warning.startswith(f"orders.tls.certificate: {good.certificate} expires on")
    # Before anybody is called: nobody listens on that port.
    assert not rows["ris main"]["ok"]
    assert rows["ris main"]["words"] == (f"ris.tls.certificate: {old.certificate}: it has expired")


def test_the_check_command_looks_at_the_files_for_a_sender(tmp_path: Path) -> None:
    file = tmp_path / "taqrir.toml"
    file.write_text(
        """\
[[senders]]
ae_title = "CT1"
host = "127.0.0.1"
port = 104
[senders.tls]
trusted = "none.pem"
""",
        encoding="utf-8",
    )

    printed = CliRunner().invoke(taqrir, ["check", "--config", str(file)]).stdout

    [line] = [line for line in printed.splitlines() if "sender CT1" in line]
    assert line.startswith("FAIL")
    assert f"senders.tls.trusted: {tmp_path / 'none.pem'} cannot be read" in line
