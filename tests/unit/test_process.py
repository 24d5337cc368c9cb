"""Processes that never outlive the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import pytest

from core.process import die_with_parent


@pytest.mark.parametrize(
    ("parent", "wanted"), [(os.getpid, 0), (os.getppid, -signal.SIGKILL)], ids=["lives", "is dead"]
)
def test_a_child_ends_at_once_where_its_parent_died_before_it_asked(
    parent: Callable[[], int], wanted: int
) -> None:
    """The parent was killed between fork and prctl: nobody would tell the child any more."""
    asked = partial(die_with_parent, parent())
    done = subprocess.run([sys.executable, "-c", ""], check=False, preexec_fn=asked, timeout=30)
    assert done.returncode == wanted
