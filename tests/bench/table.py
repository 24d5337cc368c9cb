"""The figures as a table, and the targets with what was reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from bench.rounds import Result

_STORESCP = ("storescp", "storescp-b", "storescp-pdu", "storescp-b-pdu")
_WRITTEN, _SYNCED = ("written-alone", "written"), ("fsync-alone", "fsync")


@dataclass(frozen=True, kw_only=True)
class Target:
    """One demand on the figures.

    Attributes:
        wanted: Bound of the value; None where the value is only shown.
        is_most: The value may not be larger; else not smaller.
    """

    name: str
    value: float | None
    wanted: float | None
    is_most: bool = False
    unit: str = ""

    @property
    def verdict(self) -> str:
        if self.wanted is None:
            return "-"
        if self.value is None:
            return "MISS (no figure)"
        is_met = self.value <= self.wanted if self.is_most else self.value >= self.wanted
        return "PASS" if is_met else "MISS"

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "verdict": self.verdict}


Figures = dict[tuple[str, str, int], Result]


def figures(results: Sequence[Result]) -> Figures:
    """Index results by load, receiver and associations."""
    return {(r.load.name, r.receiver.name, r.associations): r for r in results}


def print_tables(results: Sequence[Result]) -> None:
    """Print a table for each load: a receiver a line, a figure for each number of associations."""
    for load in {r.load.name: r.load for r in results}.values():
        rows = [r for r in results if r.load.name == load.name]
        counts = sorted({r.associations for r in rows})
        columns = ("instances/s", "MB/s", "CPU s/GB", "peak MB", "sum MB")
        head = "".join(f"{name:^{8 * len(counts)}} " for name in columns)
        print(f"\n{load}; figures at {' and '.join(map(str, counts))} association(s)\n")
        print(f"{'':30s}{head}void")
        for name in dict.fromkeys(r.receiver.name for r in rows):
            print(_line([r for r in rows if r.receiver.name == name]))


def _line(row: Sequence[Result]) -> str:
    row = sorted(row, key=lambda result: result.associations)
    cells = [
        "".join(_cell(getattr(result, name), digits) for result in row)
        for name, digits in (
            ("instances_per_second", 1),
            ("mb_per_second", 0),
            ("cpu_per_gb", 2),
            ("peak_mb", 0),
            ("together_mb", 0),
        )
    ]
    void = sum(len(result.rounds) - len(result.valid) for result in row)
    return f"{row[0].receiver.label:30s}{' '.join(cells)} {void or ''}"


def _cell(value: float | None, digits: int) -> str:
    return f"{'-':>8s}" if value is None else f"{value:8,.{digits}f}"


def ratios(results: Sequence[Result]) -> Iterator[Target]:
    """Yield the targets that compare receivers; those that were not run are left out."""
    found = figures(results)
    for load, associations in dict.fromkeys((r.load.name, r.associations) for r in results):
        yield from _speed_targets(found, load, associations)
        yield from _cpu_targets(found, load, associations)


def _speed_targets(found: Figures, load: str, associations: int) -> Iterator[Target]:
    at_four = associations > 1
    for names, peers, peer, wanted in (
        (_WRITTEN, _STORESCP, "storescp's best mode", 1.15),
        (_WRITTEN, ("pynetdicom",), "pynetdicom", 5.0),
        (_SYNCED, ("orthanc",), "Orthanc", 2.2),
        (_SYNCED, _STORESCP, "storescp's best mode", 1.0 if at_four else None),
        (_WRITTEN, ("floor",), "the floor", None),
        (_SYNCED, ("floor-fsync",), "the floor with fsync", None),
        (("floor-dicom",), _STORESCP, "storescp's best mode", None),
    ):
        other = _best(found, load, peers, associations)
        for name in names:
            if (load, name, associations) not in found or other is None:
                continue
            row = found[load, name, associations]
            ours, form = row.instances_per_second, row.receiver.label.removeprefix("taqrir ")
            yield Target(
                name=f"{load}, {associations} assoc.: instances/s, {form} / {peer}",
                value=None if ours is None else ours / other,
                wanted=wanted,
            )


def _best(found: Figures, load: str, peers: Sequence[str], associations: int) -> float | None:
    rows = [
        found[load, peer, associations] for peer in peers if (load, peer, associations) in found
    ]
    return max((r.instances_per_second for r in rows if r.instances_per_second), default=None)


def _cpu_targets(found: Figures, load: str, associations: int) -> Iterator[Target]:
    peers = [
        found[load, peer, associations] for peer in _STORESCP if (load, peer, associations) in found
    ]
    least = min((r.cpu_per_gb for r in peers if r.cpu_per_gb), default=None)
    for name, wanted in (
        ("written-alone", 0.9 if associations == 1 else 1.0),
        ("floor-dicom", None),
    ):
        ours = found.get((load, name, associations))
        if ours is None or least is None:
            continue
        form = ours.receiver.label.removeprefix("taqrir ")
        yield Target(
            name=f"{load}, {associations} assoc.: CPU s/GB, {form} / storescp",
            value=None if ours.cpu_per_gb is None else ours.cpu_per_gb / least,
            wanted=wanted,
            is_most=True,
        )


def print_targets(targets: Sequence[Target]) -> None:
    """Print a target a line: what, value, bound, verdict."""
    width = max((len(target.name) for target in targets), default=0)
    for target in targets:
        value = "-" if target.value is None else f"{target.value:,.2f}"
        sign = "at most" if target.is_most else "at least"
        wanted = "" if target.wanted is None else f"{sign} {target.wanted:g}{target.unit}"
        print(f"{target.name:{width}s}  {value + target.unit:>12s}  {wanted:18s}  {target.verdict}")
