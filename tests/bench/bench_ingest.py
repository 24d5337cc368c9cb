"""Receiving, ours beside DCMTK's, Orthanc's and pynetdicom's: `make bench-ingest`.

One run, one machine, one table; docs/benchmarks.md says how to read it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pynetdicom
from servers import dcmtk

from bench import checks
from bench.data import KINDS, Load, make_big, make_load, source_folder
from bench.receivers import Receiver, all_receivers
from bench.rounds import Result, run_round
from bench.table import Target, print_tables, print_targets, ratios

_BIG_BYTES, _QUICK_BIG_BYTES = 4_000_000_000, 200_000_000
_BIG_RECEIVERS = ("written-alone", "written", "fsync-alone", "fsync", "storescp-b")
_BIG_PEAK_MB = 120.0
_LONG_INSTANCES, _SHORT_INSTANCES, _QUICK_INSTANCES = 100_000, 5_000, 1_000
_NEEDED_BYTES = 2_000_000_000


def main() -> int:
    """Measure; return 0 if every target is met, 1 if one is missed."""
    options = _options()
    # Without it DCMTK's peers wait for each other's delayed ACKs, and nothing else is measured.
    os.environ["TCP_NODELAY"] = "1"
    # It is for this script alone; receivers run as they are installed.
    os.environ.pop("PYTHONPATH", None)
    with tempfile.TemporaryDirectory(prefix="taqrir-bench-", dir=options.work) as work:
        source = source_folder(_NEEDED_BYTES, Path(work))
        with tempfile.TemporaryDirectory(prefix="taqrir-bench-", dir=source) as files:
            _describe(Path(work), Path(files), options)
            return _run(options, Path(work), Path(files))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small loads, one round: a smoke run")
    parser.add_argument("--rounds", type=int, help="rounds that count (default: 5)")
    parser.add_argument("--loads", default="ct,cr,mr", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--associations", default="1,4", help="associations at once")
    parser.add_argument("--receivers", default="", help="names, comma-separated (default: all)")
    parser.add_argument("--big", action="store_true", help="also one multi-frame object of 4 GB")
    parser.add_argument("--long", action="store_true", help="flat memory over 100,000 instances")
    parser.add_argument("--no-checks", action="store_true", help="the table only")
    parser.add_argument("--work", type=Path, help="folder on the disk that receivers write to")
    parser.add_argument("--json", type=Path, help="write all figures there")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 5)
    return options


def _describe(work: Path, files: Path, options: argparse.Namespace) -> None:
    disk = subprocess.run(
        ["stat", "--file-system", "--format", "%T", work],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    version = subprocess.run(
        [dcmtk("storescp"), "--version"], capture_output=True, text=True, check=True
    )
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{version.stdout.splitlines()[0].strip('$ ')}; pynetdicom {pynetdicom.__version__}")
    print(f"receivers write to {work} ({disk}), one fsync takes {_fsync_ms(work):.2f} ms")
    print(f"senders read from {files}; {options.rounds} round(s), medians")


def _fsync_ms(folder: Path) -> float:
    path = folder / "fsync"
    taken = []
    for _ in range(20):
        with path.open("wb") as file:
            file.write(bytes(524_288))
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    path.unlink()
    return statistics.median(taken) * 1000


def _run(options: argparse.Namespace, work: Path, files: Path) -> int:
    chosen = _chosen(options)
    results: list[Result] = []
    targets: list[Target] = []
    for name in filter(None, options.loads.split(",")):
        load = make_load(name, files / name, is_quick=options.quick)
        counts = [int(count) for count in options.associations.split(",")]
        results += _measure(chosen, load, counts, options, work)
        if name == "mr" and not options.no_checks:
            targets += _checked("index pace", checks.check_index_pace, work / "pace", load)
        shutil.rmtree(files / name)
    if options.big:
        load = make_big(files / "big", _QUICK_BIG_BYTES if options.quick else _BIG_BYTES)
        big = [receiver for receiver in chosen if receiver.name in _BIG_RECEIVERS]
        rows = _measure(big, load, [1], options, work, rounds=1)
        results += rows
        targets += _big_targets(rows)
    if not options.no_checks:
        targets += _checked("associations", checks.check_associations, work / "many")
        targets += _checked(
            "memory", checks.check_flat_memory, work / "flat", _flat_instances(options)
        )
    return _report(
        results, [*ratios([r for r in results if r.load.name != "multi-frame"]), *targets], options
    )


def _chosen(options: argparse.Namespace) -> list[Receiver]:
    receivers = all_receivers()
    wanted = set(filter(None, options.receivers.split(",")))
    if unknown := wanted - {receiver.name for receiver in receivers}:
        raise SystemExit(f"no receivers of these names: {', '.join(sorted(unknown))}")
    return [receiver for receiver in receivers if not wanted or receiver.name in wanted]


def _flat_instances(options: argparse.Namespace) -> int:
    if options.long:
        return _LONG_INSTANCES
    return _QUICK_INSTANCES if options.quick else _SHORT_INSTANCES


def _measure(
    receivers: Sequence[Receiver],
    load: Load,
    counts: Sequence[int],
    options: argparse.Namespace,
    work: Path,
    *,
    rounds: int | None = None,
) -> list[Result]:
    """Run every receiver once a round, so that a busy neighbour slows all of them alike."""
    results = [
        Result(load=load, receiver=receiver, associations=count)
        for count in counts
        for receiver in receivers
    ]
    rounds = rounds or options.rounds
    # The first round only warms caches; a smoke run measures nothing worth warming for.
    warm_up = 0 if options.quick or rounds == 1 else 1
    for number in range(rounds + warm_up):
        shift = number % len(results)
        for result in [*results[shift:], *results[:shift]]:
            _progress(f"{load.name} round {number}: {result.receiver.name} x{result.associations}")
            done = run_round(result.receiver, load, result.associations, work / "round")
            if done.voided:
                _progress(f"void: {result.receiver.name} x{result.associations}: {done.voided}")
            if number >= warm_up:
                result.rounds.append(done)
    return results


def _big_targets(rows: Sequence[Result]) -> Iterator[Target]:
    for row in rows:
        if row.receiver.label.startswith("taqrir"):
            yield Target(
                name=f"{row.load}: peak of the largest process, {row.receiver.label}",
                value=row.peak_mb,
                wanted=_BIG_PEAK_MB,
                is_most=True,
                unit=" MB",
            )


def _checked(name: str, check: Callable[..., Iterator[Target]], *arguments: object) -> list[Target]:
    _progress(f"check: {name}")
    try:
        return list(check(*arguments))
    except (AssertionError, OSError) as error:
        _progress(f"check failed: {name}: {error}")
        return [Target(name=f"{name}: the check could not be finished", value=None, wanted=0)]


def _report(
    results: Sequence[Result], targets: Sequence[Target], options: argparse.Namespace
) -> int:
    print_tables(results)
    print()
    print_targets(targets)
    if options.json:
        report = {
            "results": [result.as_json() for result in results],
            "targets": [target.as_json() for target in targets],
        }
        options.json.write_text(json.dumps(report, indent=2), encoding="utf-8")
    return int(any(target.verdict.startswith("MISS") for target in targets))


_BEGAN = time.monotonic()


def _progress(words: str) -> None:
    print(f"[{time.monotonic() - _BEGAN:6.0f} s] {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
