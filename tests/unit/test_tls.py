"""Our TLS port: who is let in, who is told why not, and whose silence holds up nobody."""

from __future__ import annotations

import socket
import ssl
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from harness.handshakes import fault_of, raw_bytes, serving, talk, tls_acceptor, tls_client
from servers.certificates import Authority, Pair

from dicom_node.tls import HandshakeFault, TlsAcceptor

_V = ssl.TLSVersion


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def node(site: Authority) -> Pair:
    return site.issue("node")


@pytest.fixture(scope="module")
def rsa(site: Authority) -> Pair:
    return site.issue("rsa", key="rsa:2048")


@pytest.fixture(scope="module")
def modality(site: Authority) -> Pair:
    return site.issue("ct1")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Authority(tmp_path_factory.mktemp("elsewhere"), "Other CA").issue("stranger")


# Who is let in


@pytest.mark.parametrize("version", [_V.TLSv1_2, _V.TLSv1_3])
@pytest.mark.parametrize("profile", ["bcp195", "bcp195-modified"])
def test_a_known_client_is_let_in_and_named(
    version: ssl.TLSVersion, profile: str, site: Authority, node: Pair, modality: Pair
) -> None:
    acceptor = tls_acceptor(site, node, profile=profile)

    with serving(acceptor) as (port, outcome):
        answer = talk(port, tls_client(modality, newest=version))

    assert answer == (b"HELLO", version.name.replace("_", "."))
    assert outcome == ["CN=ct1,O=Site"]


def test_other_keys_that_the_profiles_allow_serve(
    site: Authority, rsa: Pair, modality: Pair
) -> None:
    for pair in (rsa, site.issue("p384", key="ec:P-384")):
        with serving(tls_acceptor(site, pair)) as (port, _):
            assert talk(port, tls_client(modality, newest=_V.TLSv1_2))[0] == b"HELLO"


@pytest.mark.parametrize("version", [_V.TLSv1_2, _V.TLSv1_3])
def test_a_session_is_never_resumed_so_that_every_connection_shows_its_certificate(
    version: ssl.TLSVersion, site: Authority, node: Pair, modality: Pair
) -> None:
    acceptor, client = tls_acceptor(site, node), tls_client(modality, newest=version)

    session, reused = None, []
    with socket.create_server(("127.0.0.1", 0)) as server:
        for _ in range(2):
            thread = threading.Thread(target=_greet, args=[acceptor, server], daemon=True)
            thread.start()
            plain = socket.create_connection(server.getsockname(), 10)
            with client.wrap_socket(plain, session=session) as secured:
                assert secured.recv(100) == b"hello"
                reused.append(secured.session_reused)
                session = secured.session
                secured.unwrap()
            thread.join(10)

    assert reused == [False, False]


def _greet(acceptor: TlsAcceptor, server: socket.socket) -> None:
    """Serve one connection and end it in order: only then is its session fit to be resumed."""
    with acceptor.wrap(server.accept()[0]) as secured:
        secured.sendall(b"hello")
        secured.unwrap()


@pytest.mark.parametrize("suite", ["ECDHE-ECDSA-AES256-CCM", "ECDHE-ECDSA-CHACHA20-POLY1305"])
def test_the_modified_profile_takes_suites_that_the_plain_one_does_not(
    suite: str, site: Authority, node: Pair, modality: Pair
) -> None:
    client = tls_client(modality, newest=_V.TLSv1_2, suites=suite)

    with serving(tls_acceptor(site, node, profile="bcp195-modified")) as (port, _):
        assert talk(port, client)[0] == b"HELLO"
    assert (
        fault_of(tls_acceptor(site, node), lambda port: talk(port, client))
        is HandshakeFault.NO_COMMON_CIPHER
    )


@pytest.mark.parametrize("asked", ["optional", "none"])
def test_a_client_without_certificate_is_let_in_where_none_is_required(
    asked: str, site: Authority, node: Pair
) -> None:
    with serving(tls_acceptor(site, node, client_certificate=asked)) as (port, outcome):
        assert talk(port, tls_client())[0] == b"HELLO"
    assert outcome == [""]


def test_a_certificate_that_is_trusted_itself_needs_no_authority(
    site: Authority, node: Pair, stranger: Pair
) -> None:
    acceptor = tls_acceptor(site, node, trusted=stranger.certificate)

    with serving(acceptor) as (port, outcome):
        assert talk(port, tls_client(stranger))[0] == b"HELLO"
    assert outcome == ["CN=stranger,O=Site"]


def test_a_subject_is_written_so_that_nobody_can_claim_a_second_name(
    site: Authority, node: Pair
) -> None:
    crafty = site.issue("ct2", subject=r"/O=Site/CN=ct2,CN=ct1\+x")

    with serving(tls_acceptor(site, node)) as (port, outcome):
        talk(port, tls_client(crafty))
    assert outcome == [r"CN=ct2\,CN\=ct1\+x,O=Site"]


def test_a_subject_in_arabic_is_kept_and_a_long_one_is_cut(site: Authority, node: Pair) -> None:
    long = site.issue("long", subject="/CN=\u0623\u0634\u0639\u0629" + "/OU=department" * 30)

    with serving(tls_acceptor(site, node)) as (port, outcome):
        talk(port, tls_client(long))
    [subject] = outcome
    assert isinstance(subject, str)
    assert len(subject) == 256
    assert subject.startswith("OU=department,OU=")

    arabic = site.issue("arabic", subject="/CN=\u0623\u0634\u0639\u0629")
    with serving(tls_acceptor(site, node)) as (port, outcome):
        talk(port, tls_client(arabic))
    assert outcome == ["CN=\u0623\u0634\u0639\u0629"]


# Who is not


@pytest.mark.parametrize("version", [_V.TLSv1_2, _V.TLSv1_3])
def test_a_client_that_must_show_a_certificate_and_does_not_is_told(
    version: ssl.TLSVersion, site: Authority, node: Pair
) -> None:
    answers = []
    fault = fault_of(
        tls_acceptor(site, node),
        lambda port: answers.append(talk(port, tls_client(newest=version))),
    )
    assert fault is HandshakeFault.NO_CERTIFICATE
    # SSLV3 and TLSV13 are names of alerts, not versions in use.
    assert answers[0][1] in {
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    }


@pytest.mark.parametrize("asked", ["required", "optional"])
def test_a_client_of_another_authority_is_refused_and_told(
    asked: str, site: Authority, node: Pair, stranger: Pair
) -> None:
    acceptor = tls_acceptor(site, node, client_certificate=asked)
    answers = []
    fault = fault_of(acceptor, lambda port: answers.append(talk(port, tls_client(stranger))))
    assert fault is HandshakeFault.UNKNOWN_AUTHORITY
    assert answers == [(b"", "TLSV1_ALERT_UNKNOWN_CA")]


def test_an_expired_client_is_refused(site: Authority, node: Pair) -> None:
    old = site.issue("old", days=-1)
    acceptor = tls_acceptor(site, node)
    assert fault_of(acceptor, lambda port: talk(port, tls_client(old))) is HandshakeFault.EXPIRED


def test_a_certificate_for_servers_only_is_no_clients(site: Authority, node: Pair) -> None:
    web = site.issue("web", usage="serverAuth")
    acceptor = tls_acceptor(site, node)
    fault = fault_of(acceptor, lambda port: talk(port, tls_client(web)))
    assert fault is HandshakeFault.UNFIT_CERTIFICATE


def test_a_client_with_a_short_key_is_refused(site: Authority, node: Pair) -> None:
    short = site.issue("short", key="rsa:1024")
    client = tls_client(suites="DEFAULT:@SECLEVEL=0")
    client.load_cert_chain(short.certificate, short.key)
    fault = fault_of(tls_acceptor(site, node), lambda port: talk(port, client))
    assert fault is HandshakeFault.UNFIT_CERTIFICATE


@pytest.mark.parametrize("version", [_V.TLSv1, _V.TLSv1_1])
@pytest.mark.parametrize("profile", ["bcp195", "bcp195-modified"])
def test_an_old_version_is_refused(
    version: ssl.TLSVersion, profile: str, site: Authority, node: Pair, modality: Pair
) -> None:
    client = tls_client(suites="DEFAULT:@SECLEVEL=0")
    client.load_cert_chain(modality.certificate, modality.key)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        client.minimum_version = client.maximum_version = version
    acceptor = tls_acceptor(site, node, profile=profile)
    fault = fault_of(acceptor, lambda port: talk(port, client))
    assert fault is HandshakeFault.PROTOCOL_TOO_OLD


@pytest.mark.parametrize(
    "suite",
    ["AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "DHE-RSA-AES256-GCM-SHA384", "AES256-SHA"],
)
@pytest.mark.parametrize("profile", ["bcp195", "bcp195-modified"])
def test_a_suite_outside_the_profile_is_refused(
    suite: str, profile: str, site: Authority, rsa: Pair, modality: Pair
) -> None:
    acceptor = tls_acceptor(site, rsa, profile=profile)
    client = tls_client(modality, newest=_V.TLSv1_2, suites=suite)
    fault = fault_of(acceptor, lambda port: talk(port, client))
    assert fault is HandshakeFault.NO_COMMON_CIPHER


# What is no handshake

_ASSOCIATE_RQ = bytes.fromhex("0100000000cd00010000") + b"TAQRIR".ljust(195)
_HALF = bytes.fromhex("160301020001000001fc0303")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (_ASSOCIATE_RQ, HandshakeFault.NOT_TLS),
        (b"GET / HTTP/1.1\r\nHost: node\r\n\r\n", HandshakeFault.NOT_TLS),
        (b"\xff" * 64, HandshakeFault.NOT_TLS),
        (b"", HandshakeFault.BROKEN_OFF),
        (_HALF, HandshakeFault.BROKEN_OFF),
        (bytes.fromhex("1603010008") + b"\xff" * 8, HandshakeFault.OTHER),
    ],
    ids=["plain DICOM", "HTTP", "noise", "nothing", "half a handshake", "a broken record"],
)
def test_what_is_no_handshake_is_named(
    data: bytes, fault: HandshakeFault, site: Authority, node: Pair
) -> None:
    # What is cut off hangs up; of the rest the sender waits to hear an answer.
    wait = 0.0 if fault is HandshakeFault.BROKEN_OFF else 5.0
    assert fault_of(tls_acceptor(site, node), raw_bytes(data, then_seconds=wait)) is fault


@pytest.mark.parametrize("data", [b"", b"\x01\x00", _HALF], ids=["nothing", "two bytes", "half"])
def test_silence_ends_with_the_time_limit(data: bytes, site: Authority, node: Pair) -> None:
    acceptor = tls_acceptor(site, node, handshake_seconds=0.2)
    assert fault_of(acceptor, raw_bytes(data, then_seconds=5)) is HandshakeFault.TIMED_OUT


def test_bytes_that_trickle_in_do_not_stretch_the_time_limit(site: Authority, node: Pair) -> None:
    def trickle(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection, suppress(OSError):
            for byte in _HALF + bytes(500):
                connection.sendall(bytes([byte]))
                time.sleep(0.05)
            sent_all.append(True)

    sent_all: list[bool] = []
    acceptor = tls_acceptor(site, node, handshake_seconds=0.3)
    assert fault_of(acceptor, trickle) is HandshakeFault.TIMED_OUT
    assert not sent_all


def test_a_silent_client_holds_up_no_other(site: Authority, node: Pair, modality: Pair) -> None:
    acceptor = tls_acceptor(site, node)
    with (
        serving(acceptor) as (port_of_silence, _),
        socket.create_connection(("127.0.0.1", port_of_silence)),
        serving(acceptor) as (port, _),
    ):
        assert talk(port, tls_client(modality))[0] == b"HELLO"


# What the receiving loop relies on


@contextmanager
def _connected(acceptor: TlsAcceptor, modality: Pair) -> Iterator[tuple[ssl.SSLSocket, _Wire]]:
    """Return our end of an established connection, and the other end's sealed bytes at hand."""
    here, there = socket.socketpair()
    with here, there:
        wire = _Wire(tls_client(modality), there)
        thread = threading.Thread(target=wire.shake_hands)
        thread.start()
        ours = acceptor.wrap(here)
        thread.join(10)
        with ours:
            yield ours, wire


class _Wire:
    """A client whose records can be sent in pieces."""

    def __init__(self, context: ssl.SSLContext, connection: socket.socket) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._side = context.wrap_bio(self._incoming, self._outgoing)
        self.connection = connection

    def shake_hands(self) -> None:
        while True:
            try:
                self._side.do_handshake()
            except ssl.SSLWantReadError:
                self.connection.sendall(self._outgoing.read())
                self._incoming.write(self.connection.recv(1 << 16))
            else:
                self.connection.sendall(self._outgoing.read())
                return

    def seal(self, data: bytes) -> bytes:
        self._side.write(data)
        return self._outgoing.read()


def test_a_pause_within_a_record_times_out_and_loses_nothing(
    site: Authority, node: Pair, modality: Pair
) -> None:
    data = bytes(range(256)) * 40
    with _connected(tls_acceptor(site, node), modality) as (ours, wire):
        ours.settimeout(0.05)
        record = wire.seal(data)
        buffer = memoryview(bytearray(1 << 16))
        for piece in (record[:3], record[3:700]):
            wire.connection.sendall(piece)
            with pytest.raises(TimeoutError):
                ours.recv_into(buffer)
        wire.connection.sendall(record[700:])
        count = ours.recv_into(buffer)
    assert bytes(buffer[:count]) == data


def test_a_read_returns_one_record_however_large_the_buffer_is(
    site: Authority, node: Pair, modality: Pair
) -> None:
    with _connected(tls_acceptor(site, node), modality) as (ours, wire):
        wire.connection.sendall(wire.seal(b"a" * 100) + wire.seal(b"b" * 100))
        buffer = memoryview(bytearray(1 << 16))
        assert ours.recv_into(buffer) == 100
        # Not yet read from the kernel: `pending` knows of a record that is begun, no more.
        assert ours.pending() == 0
        assert ours.recv_into(buffer) == 100


def test_an_end_without_a_farewell_reads_as_an_end(
    site: Authority, node: Pair, modality: Pair
) -> None:
    with _connected(tls_acceptor(site, node), modality) as (ours, wire):
        wire.connection.shutdown(socket.SHUT_WR)
        assert ours.recv_into(bytearray(10)) == 0


# What a site reads


def test_the_page_explains_every_reason() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "tls.md"
    table = page.read_text(encoding="utf-8").partition("| Reason |")[2]
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")]
    unexplained = [f for f in HandshakeFault if sum(row in f for row in rows) != 1]
    assert unexplained == [HandshakeFault.OTHER]
