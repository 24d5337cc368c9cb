"""The listener for orders: durable before it says yes, deaf to strangers, patient with nonsense."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from harness.feed import message, order
from servers.certificates import Authority
from sqlalchemy import event, select, text

from core import database, migration
from core.clock import utcnow
from core.database import reading, writing
from core.errors import SettingsError
from core.lifecycle import MessageState
from core.order_tables import Hl7Message
from core.settings_file import load
from hl7.ack import Ack, read_ack
from hl7.er7 import parse
from hl7.frame import FrameReader, frame
from hl7.listener import OrdersListener
from hl7.reception import Reception

Start = Callable[..., "Listening"]


class Listening:
    """A listener on a database of its own."""

    def __init__(self, folder: Path, lines: str, template: Path) -> None:
        config = folder / "taqrir.toml"
        config.write_text(f'data_dir = "data"\n[orders]\n{lines}', encoding="utf-8")
        self.settings = load(config, {})
        self.settings.data_dir.mkdir()
        (self.settings.data_dir / "taqrir.db").write_bytes(template.read_bytes())
        self.engine = database.open_engine(database.database_url(self.settings))
        self.now = utcnow()
        self.listener = OrdersListener(self.settings, self.engine, clock=lambda: self.now, port=0)
        self.port = self.listener.start()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def rows(self) -> list[Hl7Message]:
        with reading(self.engine) as session:
            return list(session.scalars(select(Hl7Message).order_by(Hl7Message.id)))

    def stop(self) -> None:
        self.listener.stop()
        self.engine.dispose()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("database") / "taqrir.db"
    engine = database.open_engine(f"sqlite:///{path}")
    migration.migrate(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return path


@pytest.fixture
def start(tmp_path: Path, template: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(lines: str = "") -> Listening:
            listening = Listening(tmp_path, lines, template)
            stack.callback(listening.stop)
            return listening

        yield begin


def answers(connection: socket.socket, count: int) -> list[bytes]:
    reader, found = FrameReader(1 << 20), list[bytes]()
    while len(found) < count:
        chunk = connection.recv(1 << 16)
        if not chunk:
            raise EOFError
        found += reader.feed(chunk)
    return found


def say(connection: socket.socket, *messages: bytes) -> list[Ack]:
    """Send messages in one packet; return the answers."""
    connection.sendall(b"".join(map(frame, messages)))
    return [read_ack(answer) for answer in answers(connection, len(messages))]


def test_yes_is_said_once_the_bytes_are_committed(start: Start) -> None:
    here = start()
    content = order(control_id="1")
    with closing(here.connect()) as connection:
        (ack,) = say(connection, content)

    (row,) = here.rows()
    assert (ack.code, ack.control_id) == ("AA", "1")
    assert (row.content, row.digest) == (content, hashlib.sha256(content).hexdigest())
    assert (row.state, row.kind, row.peer) == (MessageState.RECEIVED, "ORM^O01", "127.0.0.1")


def test_the_same_message_gets_the_same_answer_and_one_row(start: Start) -> None:
    here = start()
    with closing(here.connect()) as connection:
        connection.sendall(frame(order(control_id="1")))
        first = answers(connection, 1)
        here.now += timedelta(hours=3)
        twice = frame(order(control_id="1")) * 2
        connection.sendall(twice)

        assert answers(connection, 2) == first * 2
    assert len(here.rows()) == 1


def test_the_same_key_with_other_content_is_kept_and_marked(start: Start) -> None:
    here = start()
    with closing(here.connect()) as connection:
        acks = say(
            connection,
            order(control_id="1"),
            order(control_id="1", reason="other"),
            order(control_id="1").replace(b"|HOSP|", b"|CLINIC|"),
        )

    assert [ack.code for ack in acks] == ["AA"] * 3
    assert [row.is_key_repeated for row in here.rows()] == [False, True, False]


def test_messages_of_one_packet_are_committed_together_and_answered_in_order(start: Start) -> None:
    here = start()
    commits = []
    event.listen(here.engine, "commit", commits.append)
    contents = [order(control_id=f"N{n}") for n in range(150)]
    with closing(here.connect()) as connection:
        acks = say(connection, *contents)

    assert [ack.control_id for ack in acks] == [f"N{n}" for n in range(150)]
    assert [row.content for row in here.rows()] == contents
    assert len(commits) < 75


def test_a_message_in_single_bytes_is_one_message(start: Start) -> None:
    here = start()
    with closing(here.connect()) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in frame(order(control_id="1")):
            connection.sendall(bytes([byte]))
        assert read_ack(answers(connection, 1)[0]).control_id == "1"


@pytest.mark.parametrize(
    "content", [b"", b"junk", b"\xff\x00\xfe", b"MSH", b"MSH||||", b"MSHabcdef|x", b"\r\rPID|1\r"]
)
def test_what_cannot_be_read_is_refused_and_the_connection_stays(
    start: Start, content: bytes
) -> None:
    here = start()
    with closing(here.connect()) as connection:
        bad, good = say(connection, content, order(control_id="1"))

    assert (bad.code, bad.control_id, good.code) == ("AR", "", "AA")
    assert len(here.rows()) == 1


@pytest.mark.parametrize(("field", "number"), [("ORM^O01", 9), ("77", 10)])
def test_a_header_without_kind_or_control_id_is_refused_by_name(
    start: Start, field: str, number: int
) -> None:
    here = start()
    content = order(control_id="77").replace(f"|{field}|".encode(), b"||")
    with closing(here.connect()) as connection:
        connection.sendall(frame(content))
        answer = answers(connection, 1)[0]

    found = parse(answer)
    assert (found.text("MSA", 1), found.text("ERR", 3)) == ("AR", "101")
    assert f"MSH-{number}" in found.text("ERR", 8)
    assert here.rows() == []


def test_the_answer_speaks_the_language_of_the_message(start: Start) -> None:
    here = start()
    content = "MSH$%*!@$EIGÄN$HÖF$$$2026$$ORM%O01$9$P$2.4$$$$$$8859/1\rPID$$$1\r".encode("latin-1")
    with closing(here.connect()) as connection:
        connection.sendall(frame(content))
        answer = answers(connection, 1)[0]

    assert answer.startswith(b"MSH$%*!@$TAQRIR$$EIG\xc4N$H\xd6F$")
    assert parse(answer).text("MSA", 2) == "9"
    assert parse(answer).text("MSH", 12) == "2.4"


@pytest.mark.parametrize(
    ("modes", "code"), [("AL|NE", "CA"), ("AL|AL", "AA"), ("NE|NE", "AA"), ("|", "AA")]
)
def test_whoever_asks_for_a_commit_alone_gets_one(start: Start, modes: str, code: str) -> None:
    here = start()
    content = order(control_id="1").replace(b"|2.5.1||||||", f"|2.5.1|||{modes}||".encode())
    with closing(here.connect()) as connection:
        assert [ack.code for ack in say(connection, content)] == [code]


def test_a_message_that_is_too_long_is_refused_by_its_control_id(start: Start) -> None:
    here = start("max_message_mb = 1\n")
    with closing(here.connect()) as connection:
        (ack,) = say(connection, order(control_id="LONG", reason="x" * (2 << 20)))
        assert (ack.code, ack.control_id) == ("AR", "LONG")
        with pytest.raises(EOFError):
            answers(connection, 1)
    with closing(here.connect()) as connection:
        assert say(connection, order(control_id="1"))[0].code == "AA"
    assert len(here.rows()) == 1


def test_a_frame_that_never_ends_is_let_go_and_harms_nobody(start: Start) -> None:
    here = start("message_seconds = 0.3\n")
    with closing(here.connect()) as stalled, closing(here.connect()) as other:
        stalled.sendall(b"\x0bMSH|^~\\&|never")
        assert say(other, order(control_id="1"))[0].code == "AA"
        with pytest.raises((EOFError, ConnectionResetError)):
            answers(stalled, 1)


def test_when_the_database_is_away_the_sender_is_told_to_come_again(start: Start) -> None:
    here = start()
    with closing(here.connect()) as connection:
        with here.engine.begin() as database_connection:
            database_connection.execute(text("ALTER TABLE hl7_message RENAME TO away"))
        (ack,) = say(connection, order(control_id="1"))
        assert (ack.code, ack.control_id) == ("AE", "1")
        assert "again" in ack.text
        with here.engine.begin() as database_connection:
            database_connection.execute(text("ALTER TABLE away RENAME TO hl7_message"))
        assert say(connection, order(control_id="1"))[0].code == "AA"


def test_one_message_that_the_database_refuses_holds_up_no_other(start: Start) -> None:
    here = start()
    with here.engine.begin() as connection:
        connection.execute(
            text(
                "CREATE TRIGGER odd BEFORE INSERT ON hl7_message WHEN NEW.control_id = 'ODD' "
                "BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
        )
    with closing(here.connect()) as connection:
        acks = say(connection, *(order(control_id=name) for name in ("1", "ODD", "2", "3")))

    assert [ack.code for ack in acks] == ["AA", "AE", "AA", "AA"]
    assert [row.control_id for row in here.rows()] == ["1", "2", "3"]


def test_whoever_waits_no_longer_holds_up_no_other(start: Start) -> None:
    here = start()
    reception = Reception(here.engine, here.settings.orders)
    reception.start()

    async def take() -> Sequence[bytes]:
        with writing(here.engine) as session:
            # Nothing is committed while this writer is at it.
            session.execute(text("SELECT 1"))
            gone = asyncio.create_task(reception.take([order(control_id="1")], "127.0.0.1"))
            await asyncio.sleep(0.3)
            other = asyncio.create_task(reception.take([order(control_id="2")], "127.0.0.1"))
            await asyncio.sleep(0.3)
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone
        return await asyncio.wait_for(other, 20)

    (answer,) = asyncio.run(take())
    reception.stop()

    assert read_ack(answer).code == "AA"
    assert [row.control_id for row in here.rows()] == ["1", "2"]


def test_without_peers_only_this_machine_may_come_in(start: Start) -> None:
    here = start()
    assert here.listener._admit("127.0.0.1")
    assert here.listener._admit("::1")
    assert not here.listener._admit("10.0.0.9")


def test_an_address_that_is_no_peers_is_turned_away_and_audited(start: Start) -> None:
    here = start('[[orders.peers]]\nhost = "10.0.0.9"\n')
    with closing(here.connect()) as connection:
        connection.sendall(frame(order(control_id="1")))
        with pytest.raises((EOFError, ConnectionResetError)):
            answers(connection, 1)

    assert here.rows() == []
    trail = "".join(p.read_text() for p in here.settings.data_dir.rglob("*") if "audit" in str(p)
                    and p.is_file())  # fmt: skip
    assert "HL7 connection refused" in trail


def test_another_application_of_a_peer_is_refused(start: Start) -> None:
    here = start('[[orders.peers]]\nhost = "127.0.0.1"\nsending_application = "RIS"\n')
    with closing(here.connect()) as connection:
        acks = say(
            connection,
            order(control_id="1"),
            order(control_id="2").replace(b"|RIS|", b"|LAB|"),
            order(control_id="3"),
        )
    assert [ack.code for ack in acks] == ["AA", "AR", "AA"]


def test_with_tls_a_client_without_a_known_certificate_is_turned_away(
    start: Start, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "ca")
    ours, theirs = authority.issue("taqrir"), authority.issue("ris")
    stranger = Authority(tmp_path / "other", "Other CA").issue("stranger")
    here = start(
        f'[orders.tls]\ncertificate = "{ours.certificate}"\nkey = "{ours.key}"\n'
        f'trusted = "{authority.certificate}"\n'
    )

    def call(pair: object) -> Ack:
        context = ssl.create_default_context(cafile=str(authority.certificate))
        context.load_cert_chain(pair.certificate, pair.key)  # type: ignore[attr-defined]
        with (
            here.connect() as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            return say(connection, order(control_id="1"))[0]

    assert call(theirs).code == "AA"
    with pytest.raises((OSError, EOFError)):
        call(stranger)
    with closing(here.connect()) as plain:
        plain.sendall(frame(order(control_id="2")))
        with pytest.raises((OSError, EOFError)):
            answers(plain, 1)
    assert [row.control_id for row in here.rows()] == ["1"]


def test_a_certificate_that_is_not_there_stops_the_start(start: Start) -> None:
    with pytest.raises(SettingsError, match=r"orders\.tls"):
        start('[orders.tls]\ncertificate = "a.pem"\nkey = "a.key"\nclient_certificate = "none"\n')


def test_a_merge_is_marked_as_it_comes(start: Start) -> None:
    here = start()
    with closing(here.connect()) as connection:
        say(
            connection,
            message("ADT^A40^ADT_A39", "PID|||2", "MRG|1"),
            message("ADT^A08", "PID|||2"),
            message("ADT", "EVN|A40", "PID|||2", "MRG|1"),
            message("ADT", "EVN|A08", "PID|||2"),
        )
    assert [(row.kind, row.is_merge) for row in here.rows()] == [
        ("ADT^A40", True),
        ("ADT^A08", False),
        ("ADT^A40", True),
        ("ADT^A08", False),
    ]
