"""Calling an archive over TLS: whom we believe, what we show, and what a person is told."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from dicom_samples import radiograph, to_bytes
from pynetdicom import AE, evt
from servers.certificates import Authority, Pair

from core.errors import PeerUnreachableError
from core.settings_tls import PacsTlsSettings
from core.tls_context import (
    ClientCertificate,
    OwnPair,
    PeerTls,
    acceptor_context,
    load_peer_tls,
    peer_tls,
)
from dicom_node.client import Peer, echo, store
from dicom_node.contexts import supported_contexts


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("elsewhere"), "Other CA")


@pytest.fixture(scope="module")
def pacs(site: Authority) -> Pair:
    return site.issue("pacs")


@pytest.fixture(scope="module")
def ours(site: Authority) -> OwnPair:
    return _own(site.issue("taqrir"))


def _own(pair: Pair) -> OwnPair:
    return OwnPair(setting="pacs.tls", certificate=pair.certificate, key=pair.key)


@contextmanager
def _archive(
    pair: Pair, trusted: Path | None = None, asks: ClientCertificate = "none"
) -> Iterator[tuple[int, list[bytes]]]:
    """Run an archive that speaks TLS, and keep what it is sent."""
    context = acceptor_context(
        _own(pair), profile="bcp195", client_certificate=asks, trusted=trusted
    )
    stored: list[bytes] = []

    def keep(event: evt.Event) -> int:
        stored.append(event.encoded_dataset(include_meta=False))
        return 0x0000

    entity = AE(ae_title="PACS")
    entity.supported_contexts = supported_contexts()
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)], ssl_context=context
    )
    assert server is not None
    assert server.socket is not None
    port = server.socket.getsockname()[1]
    try:
        yield port, stored
    finally:
        stopping = threading.Thread(target=entity.shutdown)
        stopping.start()
        # The server looks twice a second whether it is to end, and after every connection.
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
        stopping.join()


def _peer(port: int, tls: PeerTls | None, host: str = "127.0.0.1", seconds: float = 5) -> Peer:
    return Peer(
        ae_title="PACS",
        host=host,
        port=port,
        connect_seconds=seconds,
        answer_seconds=seconds,
        tls=tls,
    )


def _words(peer: Peer) -> str:
    with pytest.raises(PeerUnreachableError) as caught:
        echo(peer)
    return str(caught.value)


# What works


@pytest.mark.parametrize("asks", ["required", "optional", "none"])
def test_an_object_arrives_over_tls_byte_for_byte(
    asks: ClientCertificate, site: Authority, pacs: Pair, ours: OwnPair
) -> None:
    data = to_bytes(radiograph())
    with _archive(pacs, site.certificate, asks) as (port, stored):
        peer = _peer(port, PeerTls(trusted=site.certificate, own=ours))
        echo(peer)
        assert store(peer, data).is_success
    assert data.endswith(stored[0])


def test_a_host_name_is_found_in_the_certificate(site: Authority, pacs: Pair) -> None:
    with _archive(pacs) as (port, _):
        echo(_peer(port, PeerTls(trusted=site.certificate), host="localhost"))


def test_a_certificate_that_is_trusted_itself_needs_no_authority(pacs: Pair) -> None:
    with _archive(pacs) as (port, _):
        echo(_peer(port, PeerTls(trusted=pacs.certificate)))


def test_a_renewed_authority_counts_at_the_next_call(
    site: Authority, other: Authority, pacs: Pair, tmp_path: Path
) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(other.certificate.read_bytes())
    with _archive(pacs) as (port, _):
        assert "its certificate is refused" in _words(_peer(port, PeerTls(trusted=trusted)))
        trusted.write_bytes(site.certificate.read_bytes())
        echo(_peer(port, PeerTls(trusted=trusted)))


# Whom we do not believe


@pytest.mark.parametrize("hosts", ["IP:127.0.0.2,DNS:pacs.example", ""])
def test_a_certificate_must_name_the_address_that_we_call(hosts: str, site: Authority) -> None:
    with _archive(site.issue("elsewhere", hosts=hosts)) as (port, _):
        peer = _peer(port, PeerTls(trusted=site.certificate))
        assert "IP address mismatch" in _words(peer)
        echo(_peer(port, PeerTls(trusted=site.certificate, verify_host=False)))


@pytest.mark.parametrize("verify_host", [True, False])
def test_an_archive_of_another_authority_is_not_believed(
    verify_host: bool, other: Authority, pacs: Pair
) -> None:
    with _archive(pacs) as (port, stored):
        peer = _peer(port, PeerTls(trusted=other.certificate, verify_host=verify_host))
        assert "its certificate is refused: unable to get local issuer" in _words(peer)
        with pytest.raises(PeerUnreachableError):
            store(peer, to_bytes(radiograph()))
    assert stored == []


def test_an_expired_archive_is_not_believed(site: Authority) -> None:
    with _archive(site.issue("old", days=-1)) as (port, _):
        words = _words(_peer(port, PeerTls(trusted=site.certificate)))
    assert words == (
        f"There is no TLS connection to PACS at 127.0.0.1:{port}: "
        "its certificate is refused: certificate has expired."
    )


# Who does not believe us


def test_an_archive_that_asks_for_our_certificate_says_so(site: Authority, pacs: Pair) -> None:
    with _archive(pacs, site.certificate, "required") as (port, _):
        words = _words(_peer(port, PeerTls(trusted=site.certificate)))
    assert "the peer asks for our certificate" in words


def test_an_archive_that_does_not_know_our_authority_says_so(
    site: Authority, other: Authority, pacs: Pair, ours: OwnPair
) -> None:
    with _archive(pacs, other.certificate, "required") as (port, _):
        words = _words(_peer(port, PeerTls(trusted=site.certificate, own=ours)))
    assert "the peer does not trust the authority of our certificate" in words


# No TLS there


@contextmanager
def _listener(answer: Callable[[socket.socket], object]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)
        assert not thread.is_alive()


def _answering(data: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(data)
        with suppress(OSError):
            connection.recv(1000)

    return answer


def test_a_plain_port_is_told_apart(site: Authority) -> None:
    abort = bytes.fromhex("07000000000400000201")
    with _listener(_answering(abort)) as port:
        words = _words(_peer(port, PeerTls(trusted=site.certificate)))
    assert "does not speak TLS" in words


def test_an_archive_of_old_versions_only_is_told_apart(site: Authority) -> None:
    # A server hello of TLS 1.1, as far as its version.
    hello = bytes.fromhex("160302003102" + "00002d0302" + "00" * 32 + "00" + "002f" + "00" + "0005")
    hello += bytes.fromhex("ff01000100")
    with _listener(_answering(hello)) as port:
        words = _words(_peer(port, PeerTls(trusted=site.certificate)))
    assert "no TLS version that is still allowed" in words


def test_a_silent_archive_is_not_waited_for_beyond_the_time_limit(site: Authority) -> None:
    done = threading.Event()
    with _listener(lambda c: (c.recv(1000), done.wait(10))) as port:
        words = _words(_peer(port, PeerTls(trusted=site.certificate), seconds=0.3))
        done.set()
    assert "the handshake took too long" in words


def test_an_archive_that_trickles_does_not_stretch_the_time_limit(site: Authority) -> None:
    over = threading.Event()
    started = time.monotonic()

    def trickle(connection: socket.socket) -> None:
        connection.recv(1000)
        try:
            while not over.wait(0.05):
                connection.sendall(b"\x16")
                if time.monotonic() - started > 8:
                    return
        except OSError:
            over.set()

    with _listener(trickle) as port:
        words = _words(_peer(port, PeerTls(trusted=site.certificate), seconds=0.5))
        over.set()
    assert words.startswith("There is no TLS connection")


def test_an_archive_that_hangs_up_is_told_apart(site: Authority) -> None:
    with _listener(lambda c: c.recv(1000)) as port:
        words = _words(_peer(port, PeerTls(trusted=site.certificate)))
    assert "broke the handshake off" in words


# Our own files


def test_a_missing_file_is_named_and_may_be_mended(site: Authority, pacs: Pair) -> None:
    gone = site.certificate.with_name("gone.pem")
    with _archive(pacs) as (port, _):
        assert str(gone) in _words(_peer(port, PeerTls(trusted=gone)))


def test_files_are_found_where_the_settings_are(tmp_path: Path) -> None:
    settings = PacsTlsSettings(
        trusted=Path("ca.pem"), certificate=Path("c.pem"), key=Path("k.pem"), verify_host=False
    )
    tls = peer_tls(settings, lambda path: tmp_path / path)
    assert tls == PeerTls(
        trusted=tmp_path / "ca.pem",
        own=OwnPair(setting="pacs.tls", certificate=tmp_path / "c.pem", key=tmp_path / "k.pem"),
        verify_host=False,
    )
    assert peer_tls(None, lambda path: path) is None


def test_a_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(ValueError, match="go together"):
        PacsTlsSettings(trusted=Path("ca.pem"), certificate=Path("c.pem"))


def test_no_older_version_and_no_other_suite_is_offered(site: Authority) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    load_peer_tls(context, PeerTls(trusted=site.certificate))

    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    suites = {suite["name"] for suite in context.get_ciphers()}
    assert all("GCM" in name or name == "TLS_CHACHA20_POLY1305_SHA256" for name in suites), suites
    assert all(name.startswith(("ECDHE-", "TLS_")) for name in suites), suites
