"""The files of our TLS port: replaced while it serves, and not good enough at the start."""

from __future__ import annotations

import json
import socket
import ssl
from pathlib import Path

import pytest
from harness.handshakes import fault_of, serving, talk, tls_acceptor, tls_client, tls_settings
from harness.logs import captured_logs
from servers.certificates import Authority, Pair

from core.errors import SettingsError
from dicom_node.tls import HandshakeFault


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def node(site: Authority) -> Pair:
    return site.issue("node")


@pytest.fixture(scope="module")
def modality(site: Authority) -> Pair:
    return site.issue("ct1")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Authority(tmp_path_factory.mktemp("elsewhere"), "Other CA").issue("stranger")


# Files that change


def _replace(old: Pair, new: Pair) -> None:
    for ours, theirs in ((old.certificate, new.certificate), (old.key, new.key)):
        # As renewals do it: written beside the old one, then put in its place.
        fresh = ours.with_suffix(".new")
        fresh.write_bytes(theirs.read_bytes())
        fresh.replace(ours)


def _shown(port: int, client: ssl.SSLContext) -> bytes | None:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        client.wrap_socket(plain) as connection,
    ):
        connection.sendall(b"x")
        assert connection.recv(1) == b"X"
        return connection.getpeercert(binary_form=True)


def _der(pair: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.certificate.read_text())


@pytest.fixture
def renewed(site: Authority, tmp_path: Path) -> Pair:
    """Return a pair of our own files, free to be replaced."""
    first = site.issue("first")
    ours = Pair(certificate=tmp_path / "node.pem", key=tmp_path / "node.key")
    ours.certificate.write_bytes(first.certificate.read_bytes())
    ours.key.write_bytes(first.key.read_bytes())
    return ours


def test_a_renewed_certificate_is_shown_at_the_next_handshake_and_cuts_off_nobody(
    site: Authority, modality: Pair, renewed: Pair
) -> None:
    second = site.issue("second")
    acceptor = tls_acceptor(site, renewed)
    client = tls_client(modality)
    with (
        serving(acceptor) as (port, _),
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        client.wrap_socket(plain) as early,
    ):
        early.sendall(b"a")
        assert early.recv(1) == b"A"
        _replace(renewed, second)
        with serving(acceptor) as (later_port, _):
            assert _shown(later_port, client) == _der(second)
        early.sendall(b"b")
        assert early.recv(1) == b"B"


def test_a_half_written_pair_keeps_the_old_one_until_it_is_whole(
    site: Authority, modality: Pair, renewed: Pair
) -> None:
    acceptor = tls_acceptor(site, renewed)
    before, second = _der(renewed), site.issue("second")
    client = tls_client(modality)

    with captured_logs() as log:
        # The certificate is new, its key is not there yet; then half of the key is.
        renewed.certificate.write_bytes(second.certificate.read_bytes())
        for _ in range(2):
            with serving(acceptor) as (port, _):
                assert _shown(port, client) == before
        renewed.key.write_bytes(second.key.read_bytes()[:60])
        with serving(acceptor) as (port, _):
            assert _shown(port, client) == before
        renewed.key.unlink()
        with serving(acceptor) as (port, _):
            assert _shown(port, client) == before
        renewed.key.write_bytes(second.key.read_bytes())
        with serving(acceptor) as (port, _):
            assert _shown(port, client) == _der(second)

    events = [json.loads(line)["event"] for line in log.getvalue().splitlines()]
    assert events == ["tls_files_not_usable"] * 3 + ["tls_files_reloaded"]


def test_an_authority_that_is_no_longer_trusted_lets_nobody_in(
    site: Authority, node: Pair, modality: Pair, stranger: Pair, tmp_path: Path
) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(site.certificate.read_bytes())
    acceptor = tls_acceptor(site, node, trusted=trusted)
    client = tls_client(modality)
    with serving(acceptor) as (port, _):
        assert talk(port, client)[0] == b"HELLO"

    trusted.write_bytes(stranger.certificate.read_bytes())
    assert fault_of(acceptor, lambda port: talk(port, client)) is HandshakeFault.UNKNOWN_AUTHORITY


# Files that will not do at the start


def _problem(site: Authority, pair: Pair, **values: object) -> str:
    with pytest.raises(SettingsError) as caught:
        tls_acceptor(site, pair, **values)
    return str(caught.value)


def test_a_missing_file_is_named_with_its_setting(site: Authority, node: Pair) -> None:
    gone = node.certificate.with_name("gone.pem")
    for name in ("certificate", "key", "trusted"):
        words = _problem(site, node, **{name: gone})
        assert words.startswith(f"node.tls.{name}: {gone} cannot be read: No such file")


def test_a_folder_in_place_of_a_file_is_named(site: Authority, node: Pair, tmp_path: Path) -> None:
    assert "node.tls.key" in _problem(site, node, key=tmp_path)


def test_a_key_of_another_certificate_is_named(site: Authority, node: Pair, modality: Pair) -> None:
    words = _problem(site, node, key=modality.key)
    assert words.startswith(f"node.tls.certificate: {node.certificate}: the key is not the key")


def test_files_that_were_swapped_are_named(site: Authority, node: Pair) -> None:
    words = _problem(site, node, certificate=node.key, key=node.certificate)
    assert "node.tls.certificate" in words
    assert "holds no certificate" in words


def test_a_broken_file_is_named(site: Authority, node: Pair, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_bytes(node.certificate.read_bytes()[:120])
    assert f"node.tls.certificate: {broken}" in _problem(site, node, certificate=broken)
    assert f"node.tls.trusted: {broken}" in _problem(site, node, trusted=broken)
    broken.write_bytes(node.key.read_bytes()[:60])
    assert str(broken) in _problem(site, node, key=broken)


def test_a_key_with_a_passphrase_is_refused_instead_of_asking_for_it(site: Authority) -> None:
    locked = site.issue("locked", passphrase="secret")
    assert "locked with a passphrase" in _problem(site, locked)


def test_a_key_that_is_too_short_is_named(site: Authority) -> None:
    short = site.issue("short", key="rsa:1024")
    assert "too short" in _problem(site, short)


def test_clients_that_must_show_a_certificate_need_somebody_to_judge_them(
    site: Authority, node: Pair
) -> None:
    for asked in ("required", "optional"):
        with pytest.raises(ValueError, match="trusted is missing"):
            tls_settings(site, node, trusted=None, client_certificate=asked)
    assert tls_settings(site, node, trusted=None, client_certificate="none").trusted is None
