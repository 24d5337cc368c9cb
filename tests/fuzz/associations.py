"""`make fuzz`: damaged associations for as long as wished, or one of them again.

    FUZZ_SECONDS=3600 make fuzz
    make fuzz ARGS="--replay failure.json"

The first example that breaks a promise is made as small as it can be, shown and written down.
"""

from __future__ import annotations

import argparse
import faulthandler
import io
import os
import secrets
import sys
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings

from core import log
from fuzz.streams import Example, examples
from fuzz.target import Target, target

_EXAMPLES_A_ROUND = 500
# A round takes some seconds; after this long one of its associations hangs.
_HANG_SECONDS = 300


def one_round(fuzzed: Target, number: int, count: int) -> int:
    """Run examples; return how many objects were stored.

    Raises:
        AssertionError: An example broke a promise: the smallest one.
    """
    stored = 0
    latest: list[Example] = []

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(examples())
    def run(example: Example) -> None:
        nonlocal stored
        latest[:] = [example]
        stored += fuzzed.run(example).count(0)

    try:
        run()
    except BaseException as error:
        # Hypothesis ends with the smallest example that fails.
        error.add_note(f"example: {latest[0].to_json()}" if latest else "no example")
        raise
    return stored


def _fuzz(fuzzed: Target, seconds: float) -> int:
    started, count, stored = time.monotonic(), 0, 0
    while time.monotonic() - started < seconds:
        number = secrets.randbits(32)
        faulthandler.dump_traceback_later(_HANG_SECONDS, exit=True)
        try:
            stored += one_round(fuzzed, number, _EXAMPLES_A_ROUND)
        except Exception as error:
            Path("fuzz-failure.json").write_text(
                error.__notes__[-1].removeprefix("example: "), encoding="utf-8"
            )
            print(f"seed {number}; written to fuzz-failure.json", flush=True)
            raise
        count += _EXAMPLES_A_ROUND
        passed = time.monotonic() - started
        print(f"{passed:6.0f} s  {count} associations, {stored} objects stored", flush=True)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    default_seconds = float(os.environ.get("FUZZ_SECONDS", "60"))
    parser.add_argument("--seconds", type=float, default=default_seconds)
    parser.add_argument("--replay", type=Path, help="an example that failed")
    options = parser.parse_args()
    log.configure(io.StringIO())
    with tempfile.TemporaryDirectory() as folder, target(Path(folder)) as fuzzed:
        if options.replay is None:
            return _fuzz(fuzzed, options.seconds)
        print(fuzzed.run(Example.from_json(options.replay.read_text(encoding="utf-8"))))
        return 0


if __name__ == "__main__":
    sys.exit(main())
