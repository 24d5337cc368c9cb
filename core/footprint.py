"""What a process that runs for months can do without: there is one a core, or one for each part.

Python never gives back what was once imported. So a library that is needed for a moment only is
imported by a process that ends, and one that is never needed is left out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

from core.errors import TransientError
from core.process import die_with_parent

_P = ParamSpec("_P")
_T = TypeVar("_T")

# What pydicom imports for pixels alone, wherever it is installed: 30 MB together.
PIXEL_LIBRARIES = ("numpy", "gdcm", "PIL")
_ATTEMPTS = 3


def leave_out(libraries: tuple[str, ...]) -> None:
    """Let optional libraries look as if they were not installed, for the rest of this process.

    It comes before the first import of whoever looks for them.

    Raises:
        RuntimeError: One of them is there already.
    """
    for library in libraries:
        if sys.modules.get(library) is not None:
            raise RuntimeError(f"{library} has been imported already")
        # The import system's own way of saying no (importlib, "sys.modules").
        sys.modules[library] = None  # type: ignore[assignment]


def apart(function: Callable[_P, _T], *arguments: _P.args, **options: _P.kwargs) -> _T:
    """Call a function in a process of its own, which takes with it what the function imported.

    Args:
        function: One of a module; what it takes, returns and raises can be pickled. Where its
            process is killed it is called again, a few times.
        arguments: Its arguments.
        options: Its arguments by name.

    Raises:
        TransientError: The process was killed each time.
    """
    for _ in range(_ATTEMPTS):
        with (
            ProcessPoolExecutor(
                1,
                mp_context=get_context("fork"),
                initializer=die_with_parent,
                initargs=(os.getpid(),),
            ) as executor,
            suppress(BrokenProcessPool),
        ):
            return executor.submit(function, *arguments, **options).result()
    raise TransientError(f"{function.__module__}: its process was killed {_ATTEMPTS} times")
