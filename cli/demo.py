"""`taqrir demo`: the whole path on one machine, with a PACS and a RIS of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
from sqlalchemy import select

from cli.counter import Counter
from cli.inputs import Inputs, opened
from cli.show import describe_study, study_text, timeline_line
from core import database
from core.errors import PeerUnreachableError, PermanentError, TransientError
from core.lifecycle import DeliveryState, State
from core.process import die_with_parent
from core.tables import Study

_QUIET_SECONDS = 2
_START_SECONDS = 60.0
_MODALITY_AE_TITLE = "DEMOSENDER"
_PACS_AE_TITLE = "DEMOPACS"
# Neither of these comes to anything more by itself.
_FINISHED = {State.IN_REVIEW, State.WITHHELD, State.FAILED, State.IGNORED}
_WITHHELD_EXIT = 3
# Seed and number of the phantom that is shown: a pneumothorax, an effusion, a large heart.
PHANTOM = (2026, 9)


class DemoError(PermanentError):
    """The demonstration did not come to its end."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where a demonstration plays."""

    folder: Path
    node_port: int
    pacs: Any
    ris: Any

    @property
    def config(self) -> Path:
        """The settings that its parts run with."""
        return self.folder / "taqrir.toml"

    @property
    def log(self) -> Path:
        """Where its parts write their log."""
        return self.folder / "log.jsonl"


@click.command()
@click.option(
    "--dicom",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="File, folder or zip to send (default: a phantom and a chest film); may be repeated.",
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Keep results here.")
@click.option("--timeout", default=600, show_default=True, help="Seconds to wait for the drafts.")
@click.pass_context
def demo(context: click.Context, dicom: tuple[Path, ...], out: Path | None, timeout: int) -> None:
    """Send a study through the whole path, with a PACS and a RIS of its own, and show all of it.

    Exit code 0: SRs and ORU were acknowledged; 3: a study was withheld, and why is printed. The
    demonstration's own real film may be: its model knows phantoms only.
    """
    from cli.phantom import write_phantom
    from dicom_node.sample import chest_film

    # Both ways to be stopped leave nothing behind, also where a shell had SIGINT ignored.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.signal(signal.SIGINT, _interrupt)
    with ExitStack() as stack:
        stage = stack.enter_context(_stage())
        truth = None if dicom else write_phantom(stage.folder, *PHANTOM)
        shown = (stage.folder / truth.file, chest_film()) if truth else dicom
        inputs = stack.enter_context(opened(shown))
        click.echo("Starting node, workers, broker, a PACS and a RIS ...", err=True)
        stack.enter_context(_running(stage))
        accepted = _send(stage, inputs)
        click.echo(f"{accepted} objects accepted by the node (Success: durable on disk)")
        click.echo("\nTimeline")
        studies = _follow(stage, time.monotonic() + timeout)
        for study in studies:
            click.echo("\n" + study_text(study, with_timeline=False))
        if truth:
            click.echo("\n" + _truth_against_draft(truth, studies))
        _summarise(stage, out)
        code = max(_exit_code(study, truth) for study in studies)
    context.exit(code)


# The signal is the whole process's.
_interrupted = threading.Event()


def _interrupt(*_: object) -> None:
    _interrupted.set()
    raise KeyboardInterrupt


def _stop_if_interrupted() -> None:
    """Stop after a Ctrl-C that came inside a library's callback, where Python swallows it."""
    if _interrupted.is_set():
        raise KeyboardInterrupt


@contextmanager
def _stage() -> Iterator[Stage]:
    """Set up a temporary folder, a PACS, a RIS and the settings that name them."""
    from dicom_node.demo_pacs import DemoPacs
    from hl7.demo_ris import DemoRis

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="taqrir-demo-")))
        pacs = stack.enter_context(DemoPacs(_PACS_AE_TITLE, folder / "pacs"))
        ris = stack.enter_context(DemoRis(folder / "ris"))
        node_port, metrics_port = _free_ports(2)
        stage = Stage(folder=folder, node_port=node_port, pacs=pacs, ris=ris)
        stage.config.write_text(_settings_text(stage, metrics_port), encoding="utf-8")
        yield stage


def _settings_text(stage: Stage, metrics_port: int) -> str:
    return f"""\
data_dir = "data"
[node]
host = "127.0.0.1"
port = {stage.node_port}
[[senders]]
ae_title = "{_MODALITY_AE_TITLE}"
[[pacs]]
name = "demo"
ae_title = "{_PACS_AE_TITLE}"
host = "127.0.0.1"
port = {stage.pacs.port}
[[ris]]
name = "demo"
host = "127.0.0.1"
port = {stage.ris.port}
[completion]
quiet_seconds = {_QUIET_SECONDS}
[worker]
sweep_seconds = 1
[metrics]
port = {metrics_port}
"""


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on; all are held until the last is found."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def _running(stage: Stage) -> Iterator[None]:
    """Run `taqrir up` for as long as the block lasts; nothing of it is left behind.

    Raises:
        DemoError: It ended while it was starting; the end of its log is quoted.
    """
    command = [sys.executable, "-m", "cli", "up", "--config", str(stage.config)]
    with stage.log.open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509  it only calls prctl(2)
        )
        try:
            _await_node(stage, process)
            yield
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=60)
            process.kill()
            process.wait()


def _peer(stage: Stage) -> Any:
    from dicom_node.client import Peer

    return Peer(
        ae_title="TAQRIR",
        host="127.0.0.1",
        port=stage.node_port,
        calling_ae_title=_MODALITY_AE_TITLE,
    )


def _await_node(stage: Stage, process: subprocess.Popen[bytes]) -> None:
    from dicom_node.client import echo

    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        _stop_if_interrupted()
        if process.poll() is not None:
            break
        try:
            echo(_peer(stage))
        except (PeerUnreachableError, TransientError):
            time.sleep(0.1)
        else:
            return
    tail = "\n".join(stage.log.read_text(errors="replace").splitlines()[-5:])
    raise DemoError(f"the parts did not start; the end of their log:\n{tail}")


def _send(stage: Stage, inputs: Inputs) -> int:
    from dicom_node.client import send_files

    results = send_files(_peer(stage), inputs.files, Counter(len(inputs.files)))
    for problem in inputs.unreadable:
        click.echo(f"taqrir: {problem}", err=True)
    for result in results:
        if not result.is_stored:
            click.echo(f"taqrir: {inputs.name_of(result.path)}: {result.problem}", err=True)
    accepted = sum(result.is_stored for result in results)
    if not accepted:
        raise DemoError("the node accepted none of the files")
    return accepted


def _follow(stage: Stage, deadline: float) -> list[dict[str, Any]]:
    """Print timelines as they grow until every study has come to rest; return the studies.

    Raises:
        DemoError: Time ran out.
    """
    engine = database.open_engine(f"sqlite:///{stage.folder / 'data' / 'taqrir.db'}")
    printed: dict[str, int] = {}
    try:
        while time.monotonic() < deadline:
            _stop_if_interrupted()
            with database.reading(engine) as session:
                rows = session.scalars(select(Study).order_by(Study.id)).all()
                studies = [describe_study(session, row) for row in rows]
            for study in studies:
                _print_news(study, printed)
            if studies and all(_is_at_rest(study) for study in studies):
                return studies
            time.sleep(0.2)
    finally:
        engine.dispose()
    raise DemoError("time ran out before every study came to rest")


def _print_news(study: dict[str, Any], printed: dict[str, int]) -> None:
    uid = study["study_uid"]
    for row in study["timeline"][printed.get(uid, 0) :]:
        click.echo(timeline_line(row))
    printed[uid] = len(study["timeline"])


def _is_at_rest(study: dict[str, Any]) -> bool:
    is_sent = all(row["state"] != DeliveryState.PENDING for row in study["deliveries"])
    return study["state"] in _FINISHED and is_sent


def _summarise(stage: Stage, out: Path | None) -> None:
    documents: Sequence[Path] = stage.pacs.received
    messages: Sequence[Path] = stage.ris.received
    click.echo(f"\nThe PACS holds {len(documents)} SRs, the RIS {len(messages)} ORU messages.")
    if out is None:
        click.echo("(--out DIR keeps them.)")
        return
    for name, files in (("sr", documents), ("oru", messages)):
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copy2(file, folder)
    click.echo(f"They are in {out / 'sr'} and {out / 'oru'}.")


def _truth_against_draft(truth: Any, studies: Sequence[dict[str, Any]]) -> str:
    """Return what the phantom shows beside what its draft says, finding by finding."""
    from core.report import Language
    from model.evaluate.findings import NOTHING, read_report
    from model.evaluate.reports import truth_of
    from model.phantom.record import findings_of

    study = next(s for s in studies if s["accession_number"] == truth.accession_number)
    known = truth_of(findings_of(truth.case))
    lines = [
        "Phantom: truth against draft (trained on synthetic phantoms; no clinical meaning)",
        f"  {'':<20}{'truth':<16}" + "".join(f"{language:<16}" for language in Language),
    ]
    texts = _texts_of(study)
    said = [read_report(texts[lang], lang) if lang in texts else NOTHING for lang in Language]
    for name in sorted(known.affirmed.union(*(reading.affirmed for reading in said))):
        cells = (
            (" and ".join(sorted(r.sides.get(name, ()))) or "yes") if name in r.affirmed else "-"
            for r in (known, *said)
        )
        lines.append(f"  {name:<20}" + "".join(f"{cell:<16}" for cell in cells))
    return "\n".join(line.rstrip() for line in lines)


def _texts_of(study: dict[str, Any]) -> dict[str, str]:
    """Return the newest draft's report by language, nothing where it was withheld."""
    drafts = [draft for draft in study["drafts"] if draft["report"] and not draft["is_withheld"]]
    if not drafts:
        return {}
    return {
        narrative["language"]: "\n".join(
            section["text"]
            for section in narrative["sections"]
            if section["kind"] in ("findings", "impression")
        )
        for narrative in drafts[-1]["report"]["narratives"]
    }


def _exit_code(study: dict[str, Any], truth: Any) -> int:
    if study["state"] == State.WITHHELD:
        if truth and study["accession_number"] != truth.accession_number:
            click.echo(f"The real film's draft was withheld by the checks: {study['reason']}")
            click.echo("The model has seen phantoms only; what it said of this film did not agree.")
            return 0
        click.echo(f"taqrir: {study['study_uid']} was WITHHELD: {study['reason']}", err=True)
        return _WITHHELD_EXIT
    sent = [row["state"] == DeliveryState.SENT for row in study["deliveries"]]
    if study["state"] == State.IN_REVIEW and sent and all(sent):
        return 0
    click.echo(f"taqrir: {study['study_uid']} is {study['state']}: {study['reason']}", err=True)
    return 1


COMMANDS = (demo,)
