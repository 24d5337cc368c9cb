"""Measurements: each `bench_*.py` prints its figures; see docs/benchmarks.md."""
