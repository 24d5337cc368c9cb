"""Errands: a thread for each peer."""

from __future__ import annotations

import threading

from harness import captured_logs

from core.errands import Errands


def test_a_silent_peer_holds_up_no_other() -> None:
    errands, silence, done = Errands(), threading.Event(), threading.Event()

    assert errands.start(("site", "silent"), silence.wait)
    assert errands.start(("site", "quick"), done.set)

    assert done.wait(5)
    assert errands.is_out(("site", "silent"))
    silence.set()
    errands.finish()


def test_no_two_errands_of_one_name_are_out() -> None:
    errands, gate = Errands(), threading.Event()
    errands.start(("site", "archive"), gate.wait)

    assert not errands.start(("site", "archive"), gate.wait)
    # Another installation in the same process.
    assert errands.start(("other", "archive"), gate.wait)

    gate.set()
    errands.finish()
    assert not errands.is_out(("site", "archive"))
    assert errands.start(("site", "archive"), lambda: None)
    errands.finish()


def test_an_errand_that_fails_is_logged_without_its_words_and_may_be_sent_again() -> None:
    errands = Errands()

    def fail() -> None:
        raise RuntimeError("Nizar^Ahmad")

    with captured_logs() as logs:
        errands.start(("site", "archive"), fail)
        errands.finish()

    assert "errand_failed" in logs.getvalue()
    assert "Nizar" not in logs.getvalue()
    assert errands.start(("site", "archive"), lambda: None)
    errands.finish()
