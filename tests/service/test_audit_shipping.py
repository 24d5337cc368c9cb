"""The trail goes to a syslog receiver over TLS: one of our own that can be broken, and rsyslog."""

from __future__ import annotations

import ssl
import stat
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from harness import ManualClock, captured_logs
from harness.syslog_receiver import Receiver, at_a_distance, die_reading, read_and_just_close
from servers import free_port, program, running, wait_until
from servers.certificates import Authority, Pair
from servers.process import is_listening

from cli.main import taqrir
from core import database, migration
from core.audit import AuditTrail
from core.audit_backlog import shipping_state
from core.audit_events import Alert
from core.audit_metrics import AuditCollector
from core.audit_syslog import AuditShipper, frame
from core.errors import SettingsError
from core.settings import Settings
from core.settings_file import load


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.issue("repository")


@pytest.fixture
def make_settings(tmp_path: Path, authority: Authority) -> Callable[..., Settings]:
    def make(port: int, more: str = "", trusted: Path | None = None) -> Settings:
        path = tmp_path / "taqrir.toml"
        path.write_text(
            f'data_dir = "data"\n[audit]\nsite = "Site"\n[audit.syslog]\nhost = "127.0.0.1"\n'
            f'port = {port}\ntrusted = "{trusted or authority.certificate}"\n{more}',
            encoding="utf-8",
        )
        return load(path, {})

    return make


@pytest.fixture
def shippers() -> Iterator[Callable[[Settings], AuditShipper]]:
    started: list[AuditShipper] = []

    def start(settings: Settings) -> AuditShipper:
        shipper = AuditShipper(settings, poll_seconds=0.05, pause_seconds=0.05)
        shipper.start()
        started.append(shipper)
        return shipper

    yield start
    for shipper in started:
        shipper.stop()


def _tell(settings: Settings, *words: str) -> None:
    clock = ManualClock()
    trail = AuditTrail(settings, clock)
    for word in words:
        trail.security_alert(Alert.TLS_FAILED, word)


def _words(receiver: Receiver) -> list[str]:
    return [
        m.split(b"TLS handshake failed: ")[1].split(b"<")[0].decode() for m in receiver.messages()
    ]


def _waiting(settings: Settings) -> int:
    return shipping_state(settings, at=ManualClock().now).messages


# What is sent


def test_a_message_arrives_as_rfc_5424_wants_it(
    make_settings: Callable[..., Settings], pair: Pair
) -> None:
    with Receiver(pair) as receiver:
        settings = make_settings(receiver.port)
        AuditTrail(settings).application_started("node")
        _tell(settings, "why")
        assert AuditShipper(settings).ship() == 2

    start, alert = receiver.messages()
    priority, moment, host, name, process, kind, data, xml = start.decode("ascii").split(" ", 7)
    # Facility 10; severity 5 for a success, 3 for a serious failure.
    assert priority == "<85>1"
    assert alert.startswith(b"<83>1 ")
    assert f'EventDateTime="{moment}"' in xml
    assert host
    assert (name, process, kind, data) == ("taqrir", "-", "DICOM+RFC3881", "-")
    assert xml.startswith("<AuditMessage>")
    assert xml.endswith("</AuditMessage>")


def test_what_an_earlier_run_left_is_sent_first_and_nothing_twice(
    make_settings: Callable[..., Settings],
    pair: Pair,
    shippers: Callable[[Settings], AuditShipper],
) -> None:
    with Receiver(pair) as receiver:
        settings = make_settings(receiver.port)
        _tell(settings, "one", "two")
        shipper = shippers(settings)
        wait_until(lambda: _waiting(settings) == 0)
        _tell(settings, "three")
        shipper.stop()
        shippers(settings).stop()

        assert _words(receiver) == ["one", "two", "three"]
    state = settings.data_dir / "audit" / "shipped.json"
    assert stat.S_IMODE(state.stat().st_mode) == 0o600


def test_days_are_sent_in_their_order(make_settings: Callable[..., Settings], pair: Pair) -> None:
    clock = ManualClock()
    with Receiver(pair) as receiver:
        settings = make_settings(receiver.port)
        trail = AuditTrail(settings, clock)
        for word in ("one", "two", "three"):
            trail.security_alert(Alert.TLS_FAILED, word)
            clock.advance(days=1)
        AuditShipper(settings).ship()
        # Somebody was late and still wrote to the day before.
        clock.now -= timedelta(days=3)
        trail.security_alert(Alert.TLS_FAILED, "late")
        AuditShipper(settings).ship()

        assert _words(receiver) == ["one", "two", "three", "late"]


def test_a_file_that_the_site_moves_away_is_forgotten(
    make_settings: Callable[..., Settings], pair: Pair
) -> None:
    clock = ManualClock()
    with Receiver(pair) as receiver:
        settings = make_settings(receiver.port)
        trail = AuditTrail(settings, clock)
        trail.security_alert(Alert.TLS_FAILED, "one")
        AuditShipper(settings).ship()
        (file,) = (settings.data_dir / "audit").glob("*.xml.log")
        file.unlink()
        clock.advance(days=1)
        trail.security_alert(Alert.TLS_FAILED, "two")
        AuditShipper(settings).ship()

        assert _words(receiver) == ["one", "two"]
    assert file.name not in (file.parent / "shipped.json").read_text()


def test_a_file_that_somebody_began_anew_is_sent_from_its_start(
    make_settings: Callable[..., Settings], pair: Pair
) -> None:
    with Receiver(pair) as receiver:
        settings = make_settings(receiver.port)
        _tell(settings, "one", "two")
        AuditShipper(settings).ship()
        (file,) = (settings.data_dir / "audit").glob("*.xml.log")
        file.write_bytes(b"")
        _tell(settings, "three")
        AuditShipper(settings).ship()

        assert _words(receiver) == ["one", "two", "three"]


# Receivers that fail


def test_a_receiver_that_dies_and_returns_loses_nothing(
    make_settings: Callable[..., Settings],
    pair: Pair,
    shippers: Callable[[Settings], AuditShipper],
) -> None:
    port = free_port()
    settings = make_settings(port)
    _tell(settings, "one")
    with captured_logs() as logs:
        shippers(settings)
        wait_until(lambda: "audit_not_shipped" in logs.getvalue())
        with Receiver(pair, port=port) as receiver:
            wait_until(lambda: _waiting(settings) == 0)
            assert _words(receiver) == ["one"]
        _tell(settings, "two", "three")
        wait_until(lambda: logs.getvalue().count("audit_not_shipped") > 1)
        assert _waiting(settings) == 2
        with Receiver(pair, port=port) as receiver:
            wait_until(lambda: _waiting(settings) == 0)
            assert _words(receiver) == ["two", "three"]
        wait_until(lambda: "audit_shipped_again" in logs.getvalue())


def test_what_a_dying_receiver_did_not_read_is_sent_again(
    make_settings: Callable[..., Settings],
    pair: Pair,
) -> None:
    with Receiver(pair, die_reading) as receiver:
        settings = make_settings(receiver.port)
        _tell(settings, *(f"word {number} {'x' * 200}" for number in range(50)))
        with pytest.raises(OSError):
            AuditShipper(settings).ship()
        assert _waiting(settings) == 50
        assert AuditShipper(settings).ship() == 50

        assert len(receiver.messages()) == 50


def test_a_receiver_that_closes_without_a_word_has_read_everything(
    make_settings: Callable[..., Settings], pair: Pair
) -> None:
    with Receiver(pair, read_and_just_close) as receiver:
        settings = make_settings(receiver.port)
        _tell(settings, "one")
        assert AuditShipper(settings).ship() == 1

    assert _words(receiver) == ["one"]
    assert _waiting(settings) == 0


def test_a_receiver_that_never_closes_gets_nothing_twice(
    make_settings: Callable[..., Settings], pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.audit_syslog._TIMEOUT_SECONDS", 0.5)
    is_over = threading.Event()

    def stay(connection: ssl.SSLSocket) -> bytes:
        content = connection.recv(65536)
        is_over.wait(10)
        return content

    with Receiver(pair, stay) as receiver:
        settings = make_settings(receiver.port)
        _tell(settings, "one")
        assert AuditShipper(settings).ship() == 1
        is_over.set()

    assert _words(receiver) == ["one"]


def test_a_stranger_in_the_place_of_the_repository_learns_nothing(
    make_settings: Callable[..., Settings], tmp_path: Path, authority: Authority
) -> None:
    impostor = Authority(tmp_path / "other").issue("repository")
    elsewhere = authority.issue("elsewhere", hosts="DNS:elsewhere.example.org")
    for shown in (impostor, elsewhere):
        with Receiver(shown) as receiver:
            settings = make_settings(receiver.port)
            _tell(settings, "one")
            with pytest.raises(ssl.SSLCertVerificationError):
                AuditShipper(settings).ship()
        assert receiver.content == b""
        assert _waiting(settings) > 0


def test_a_repository_that_wants_a_certificate_gets_ours(
    make_settings: Callable[..., Settings], authority: Authority, pair: Pair
) -> None:
    ours = authority.issue("taqrir")
    with Receiver(pair, clients=authority.certificate) as receiver:
        # TLS 1.3: the refusal comes when everything has long been sent.
        with at_a_distance(receiver.port) as port:
            without = make_settings(port)
            _tell(without, "one")
            with pytest.raises(OSError):
                AuditShipper(without).ship()
        assert _waiting(without) == 1

        lines = f'certificate = "{ours.certificate}"\nkey = "{ours.key}"\n'
        assert AuditShipper(make_settings(receiver.port, lines)).ship() == 1

    assert _words(receiver) == ["one"]


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_certificate_file_that_cannot_be_used_stops_the_start(
    make_settings: Callable[..., Settings], tmp_path: Path, content: str | None
) -> None:
    trusted = tmp_path / "ca.pem"
    if content:
        trusted.write_text(content)
    with pytest.raises(SettingsError, match=r"audit\.syslog"):
        AuditShipper(make_settings(6514, trusted=trusted)).start()


def test_an_impossible_address_is_logged_and_ends_nothing(
    make_settings: Callable[..., Settings], shippers: Callable[[Settings], AuditShipper]
) -> None:
    settings = make_settings(6514)
    assert settings.audit.syslog is not None
    syslog = settings.audit.syslog.model_copy(update={"host": f"{'x' * 70}.example.org"})
    audit = settings.audit.model_copy(update={"syslog": syslog})
    settings = settings.model_copy(update={"audit": audit})
    _tell(settings, "one")
    with captured_logs() as logs:
        shippers(settings)
        wait_until(lambda: logs.getvalue().count("audit_not_shipped") > 1)
    assert _waiting(settings) == 1


def test_without_a_repository_the_shipper_does_nothing(tmp_path: Path) -> None:
    path = tmp_path / "taqrir.toml"
    path.write_text('data_dir = "data"\n')
    settings = load(path, {})
    _tell(settings, "one")

    shipper = AuditShipper(settings)
    shipper.start()
    assert shipper.ship() == 0
    shipper.stop()


def test_a_line_without_a_moment_still_makes_a_frame() -> None:
    line = b"<AuditMessage></AuditMessage>"
    framed = frame(line, "ho st\u0631")
    length, _, message = framed.partition(b" ")
    assert int(length) == len(message)
    assert message == b"<85>1 - ho_st_ taqrir - DICOM+RFC3881 - " + line


def test_the_figures_say_what_waits(make_settings: Callable[..., Settings]) -> None:
    clock = ManualClock()
    settings = make_settings(free_port())
    AuditTrail(settings, clock).application_started("node")
    clock.advance(seconds=30)
    (settings.data_dir / "audit" / "unwritten").touch()

    figures = {
        metric.name: round(metric.samples[0].value)
        for metric in AuditCollector(settings, clock).collect()
    }
    assert figures == {
        "taqrir_audit_waiting": 1,
        "taqrir_audit_oldest_waiting_seconds": 30,
        "taqrir_audit_unwritten": 1,
    }


# A foreign receiver


@pytest.mark.peer
def test_rsyslog_takes_every_message_over_tls(
    make_settings: Callable[..., Settings], authority: Authority, pair: Pair, tmp_path: Path
) -> None:
    ours = authority.issue("taqrir")
    port, output = free_port(), tmp_path / "received"
    configuration = tmp_path / "rsyslog.conf"
    configuration.write_text(
        f"""\
global(workDirectory="{tmp_path}" maxMessageSize="64k"
  defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="{authority.certificate}"
  defaultNetstreamDriverCertFile="{pair.certificate}" defaultNetstreamDriverKeyFile="{pair.key}")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1"
  streamDriver.authMode="x509/certvalid")
input(type="imtcp" address="127.0.0.1" port="{port}")
template(name="line" type="string" string="%pri%|%app-name%|%msgid%|%msg%\\n")
*.* action(type="omfile" file="{output}" template="line")
""",
        encoding="utf-8",
    )
    lines = f'certificate = "{ours.certificate}"\nkey = "{ours.key}"\n'
    settings = make_settings(port, lines)
    _tell(settings, *(f"<{number}> نزار" for number in range(200)))
    command = [
        program("rsyslogd", "/usr/sbin/rsyslogd"),
        *("-n", "-f", configuration, "-i", tmp_path / "rsyslogd.pid"),
    ]
    log = tmp_path / "rsyslogd.log"
    with running(command, log=log, is_ready=lambda: is_listening(port)):
        assert AuditShipper(settings).ship() == 200
        wait_until(lambda: output.exists() and output.read_bytes().count(b"\n") >= 200)

    ours_sent = [x for x in output.read_text().splitlines() if "|taqrir|DICOM+RFC3881|" in x]
    assert len(ours_sent) == 200
    (file,) = (settings.data_dir / "audit").glob("*.xml.log")
    kept = file.read_text().splitlines()
    assert [x.split("|", 3)[3].strip() for x in ours_sent] == kept
    assert {x.split("|")[0] for x in ours_sent} == {"83"}


def test_the_status_says_what_waits_and_what_is_missing(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = make_settings(free_port())
    settings.data_dir.mkdir()
    engine = database.open_engine(database.database_url(settings))
    migration.migrate(engine)
    engine.dispose()
    _tell(settings, "one", "two")
    (settings.data_dir / "audit" / "unwritten").touch()

    answer = CliRunner().invoke(taqrir, ["status", "--config", str(tmp_path / "taqrir.toml")])

    assert "Audit       NOT WRITTEN since" in answer.output
    assert "Audit       2 messages wait for the repository" in answer.output
