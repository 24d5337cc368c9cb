"""Several programs under one roof: started in order, revived when they die, stopped together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from core.log import log
from core.process import die_with_parent

_log = log(__name__)
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
# A program that ran for this long was healthy; its next death is a new trouble.
_HEALTHY_SECONDS = 60.0
_TICK_SECONDS = 0.2
# A program that is killed before it was ready once (for want of memory, say) is started again; one
# that always is cannot be started.
_MOST_FIRST_KILLS = 5


@dataclass(frozen=True, kw_only=True)
class Program:
    """One program to keep running.

    Attributes:
        is_ready: Asked after the first start, before the next program is started.
        grace_seconds: How long it may take to stop before it is killed.
        sockets: Listening sockets that it inherits, under the same numbers.
    """

    name: str
    command: Sequence[str]
    is_ready: Callable[[], bool] = field(default=lambda: True)
    ready_seconds: float = 30.0
    grace_seconds: float = 10.0
    sockets: tuple[socket.socket, ...] = ()


class StartError(Exception):
    """A program ended by itself, or did not get ready, when it was first started."""


class _Child:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.pause = _FIRST_PAUSE_SECONDS
        self.start_at = 0.0
        self.first_kills = 0

    def start(self) -> None:
        # Its own session: Ctrl-C reaches the supervisor alone, which stops the others in order.
        # The supervisor starts programs from its main thread only, whose end is the process's end.
        self.process = subprocess.Popen(
            list(self.program.command),
            start_new_session=True,
            pass_fds=[listener.fileno() for listener in self.program.sockets],
            preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509  no other thread forks or holds locks here
        )
        self.started_at = time.monotonic()
        _log.info("program_started", name=self.program.name, pid=self.process.pid)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """Runs programs until it is told to stop."""

    def __init__(self, programs: Sequence[Program]) -> None:
        self._children = [_Child(program) for program in programs]
        self._stopping = threading.Event()

    def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Start the programs in order, keep them running, stop them on SIGTERM or SIGINT.

        Raises:
            StartError: One of them could not be started; the others are stopped.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        try:
            for child in self._children:
                self._start(child)
                self._await_ready(child)
            if not self._stopping.is_set():
                on_ready()
            while not self._stopping.wait(_TICK_SECONDS):
                for child in self._children:
                    self._revive(child)
        finally:
            self._stop()

    def _start(self, child: _Child) -> None:
        try:
            child.start()
        except OSError as error:
            raise StartError(f"{child.program.name} cannot be started: {error.strerror}") from None

    def _await_ready(self, child: _Child) -> None:
        """Wait for a program; where it is killed meanwhile, or one before it is, it is revived."""
        earlier = self._children[: self._children.index(child)]
        while not self._stopping.is_set() and not child.program.is_ready():
            for other in earlier:
                self._revive(other)
            if child.is_running:
                self._require_in_time(child)
            else:
                if not child.start_at:
                    self._require_killed(child)
                self._revive(child)
            time.sleep(_TICK_SECONDS / 4)

    def _require_in_time(self, child: _Child) -> None:
        if time.monotonic() - child.started_at > child.program.ready_seconds:
            raise StartError(
                f"{child.program.name} was not ready after {child.program.ready_seconds:g} s"
            )

    def _require_killed(self, child: _Child) -> None:
        """Tell a program that somebody killed, which may be luckier, from one that gave up."""
        if child.process is not None and child.process.returncode >= 0:
            raise StartError(f"{child.program.name} ended while it was starting")
        child.first_kills += 1
        if child.first_kills == _MOST_FIRST_KILLS:
            raise StartError(f"{child.program.name} was killed {_MOST_FIRST_KILLS} times")

    def _revive(self, child: _Child) -> None:
        """Start a dead program again, after a pause that doubles while it keeps dying."""
        if child.is_running:
            return
        now = time.monotonic()
        if not child.start_at:
            code = child.process.returncode if child.process else None
            if now - child.started_at > _HEALTHY_SECONDS:
                child.pause = _FIRST_PAUSE_SECONDS
            _log.error("program_died", name=child.program.name, exit_code=code, seconds=child.pause)
            child.start_at = now + child.pause
            child.pause = min(child.pause * 2, _LONGEST_PAUSE_SECONDS)
        elif now >= child.start_at:
            child.start_at = 0.0
            try:
                child.start()
            except OSError:
                # Out of processes or memory, say: counted as one more death, looked at again.
                _log.exception("program_not_started", name=child.program.name)

    def _stop(self) -> None:
        """Stop the programs, the last started first, each with its grace."""
        for child in reversed(self._children):
            if child.process is None or not child.is_running:
                continue
            child.process.terminate()
            try:
                child.process.wait(child.program.grace_seconds)
            except subprocess.TimeoutExpired:
                _log.warning("program_killed", name=child.program.name)
                child.process.kill()
                child.process.wait()
