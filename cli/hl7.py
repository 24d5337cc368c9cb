"""`hl7`: the messages that came, what became of each, and playing one again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from cli.options import as_json, open_database, print_json, with_settings
from core import messages, store
from core.clock import utcnow
from core.database import reading, writing
from core.errors import TaqrirError
from core.lifecycle import MessageState
from core.order_tables import Hl7Message
from core.settings import Settings

_ACTOR = "operator"


@click.group()
def hl7() -> None:
    """Look at the HL7 messages that came, and play one again after a fix."""


@hl7.command("list")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([str(state) for state in MessageState]),
    help="Only messages in this state; may be given several times.",
)
@click.option("--limit", default=50, type=click.IntRange(1, 10_000), help="How many at most.")
@as_json
@with_settings
def list_messages(
    settings: Settings, config: Path | None, states: tuple[str, ...], limit: int, as_json: bool
) -> None:
    """List the newest messages, the newest last."""
    del config
    with reading(open_database(settings)) as session:
        rows = messages.listed(session, states=states, limit=limit)
        counts = messages.count_messages(session)
    if as_json:
        print_json([_summary(row) for row in rows])
        return
    click.echo("  ".join(f"{state} {number}" for state, number in counts.items()))
    for row in rows:
        click.echo(_line(row))


@hl7.command()
@click.argument("message")
@as_json
@with_settings
def show(settings: Settings, config: Path | None, message: str, as_json: bool) -> None:
    """Show messages by number or MSH-10, with their content: it names a patient."""
    del config
    with reading(open_database(settings)) as session:
        rows = _find(session, message)
    if as_json:
        print_json([_summary(row) | {"content": _text(row)} for row in rows])
        return
    for row in rows:
        click.echo(_line(row))
        for line in _text(row).split("\n"):
            # A terminal must not obey what a message says.
            click.echo("    " + "".join(c if c.isprintable() else "?" for c in line))


@hl7.command()
@click.argument("message", required=False)
@click.option("--failed", is_flag=True, help="Every message that failed.")
@as_json
@with_settings
def replay(
    settings: Settings, config: Path | None, message: str | None, failed: bool, as_json: bool
) -> None:
    """Let the worker follow messages again, by number or MSH-10."""
    del config
    if (message is None) != failed:
        raise click.UsageError("name a message, or give --failed")
    with writing(open_database(settings)) as session:
        rows = (
            messages.listed(session, states=[MessageState.FAILED], limit=10_000)
            if message is None
            else _find(session, message)
        )
        for row in rows:
            messages.replay(row)
            store.note(
                session, None, "hl7_message_replayed", at=utcnow(), actor=_ACTOR, message=row.id
            )
        numbers = [row.id for row in rows]
    if as_json:
        print_json({"replayed": numbers})
    else:
        click.echo(f"{len(numbers)} to be followed again")


def _find(session: Session, text: str) -> Sequence[Hl7Message]:
    rows = messages.find(session, text)
    if not rows:
        raise TaqrirError(f"no message has the number or the MSH-10 {text!r}")
    return rows


def _summary(row: Hl7Message) -> dict[str, Any]:
    return {
        "number": row.id,
        "received_at": row.received_at.isoformat(),
        "peer": row.peer,
        "sending_application": row.sending_application,
        "sending_facility": row.sending_facility,
        "control_id": row.control_id,
        "kind": row.kind,
        "bytes": row.size_bytes,
        "state": row.state,
        "reason": row.reason,
        "attempts": row.attempts,
        "is_key_repeated": row.is_key_repeated,
    }


def _line(row: Hl7Message) -> str:
    words = [
        f"{row.id:6}",
        f"{row.received_at.astimezone():%Y-%m-%d %H:%M:%S}",
        row.state,
        row.kind,
        row.control_id,
        f"from {row.sending_application or row.peer}",
    ]
    if row.reason:
        words.append(f"({row.reason})")
    if row.is_key_repeated:
        words.append("[its MSH-10 came before with other content]")
    return " ".join(words)


def _text(row: Hl7Message) -> str:
    """Return a message's lines as far as they can be read; its bytes stay what they are."""
    try:
        text = row.content.decode()
    except UnicodeDecodeError:
        text = row.content.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


COMMANDS = (hl7,)
