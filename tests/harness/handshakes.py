"""Handshakes with our acceptor: one connection at a time, and how it went."""

from __future__ import annotations

import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from servers.certificates import Authority, Pair

from core.settings_node import NodeTlsSettings
from dicom_node.tls import HandshakeFault, TlsAcceptor, TlsHandshakeError, peer_subject

_V = ssl.TLSVersion


def tls_settings(site: Authority, node: Pair, **values: object) -> NodeTlsSettings:
    """Return `[node.tls]` of a site whose node has this pair."""
    return NodeTlsSettings.model_validate(
        {
            "certificate": node.certificate,
            "key": node.key,
            "trusted": site.certificate,
            "handshake_seconds": 5,
            **values,
        }
    )


def tls_acceptor(site: Authority, node: Pair, **values: object) -> TlsAcceptor:
    """Return an acceptor that is set so."""
    return TlsAcceptor(tls_settings(site, node, **values), lambda path: path)


@contextmanager
def serving(acceptor: TlsAcceptor) -> Iterator[tuple[int, list[object]]]:
    """Take one connection, answer its bytes in capitals, and remember how it went."""
    outcome: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            try:
                secured = acceptor.wrap(connection)
            except TlsHandshakeError as error:
                outcome.append(error)
                assert connection.fileno() == -1
                return
            with secured:
                outcome.append(peer_subject(secured))
                with suppress(OSError):
                    while data := secured.recv(100):
                        secured.sendall(data.upper())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], outcome
        thread.join(10)
        assert not thread.is_alive()


def tls_client(
    pair: Pair | None = None,
    *,
    newest: ssl.TLSVersion = _V.TLSv1_3,
    suites: str = "DEFAULT",
) -> ssl.SSLContext:
    """Return a client that believes everybody, with the versions and suites that it has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(suites)
    if pair is not None:
        context.load_cert_chain(pair.certificate, pair.key)
    with warnings.catch_warnings():
        # Python warns of the old versions that are asked for here on purpose.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = min(_V.TLSv1_2, newest)
        context.maximum_version = newest
    return context


def talk(port: int, context: ssl.SSLContext) -> tuple[bytes, str]:
    """Send a word; return the answer and the version, or the refusal's name."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain) as connection,
        ):
            connection.sendall(b"hello")
            return connection.recv(10), connection.version() or ""
    except ssl.SSLError as error:
        return b"", error.reason or ""
    except ConnectionResetError:
        return b"", "reset"


def fault_of(acceptor: TlsAcceptor, act: Callable[[int], object]) -> HandshakeFault:
    """Let a client do something, and return why it was not let in."""
    with serving(acceptor) as (port, outcome):
        act(port)
    [error] = outcome
    assert isinstance(error, TlsHandshakeError)
    assert str(error).startswith(f"No TLS connection: {error.fault}")
    return error.fault


def raw_bytes(data: bytes, *, then_seconds: float = 0.0) -> Callable[[int], None]:
    """Return a client that sends these bytes; then it hangs up, or waits for an answer first."""

    def act(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.settimeout(then_seconds or 1)
            connection.sendall(data)
            with suppress(OSError):
                if then_seconds:
                    connection.recv(100)

    return act
