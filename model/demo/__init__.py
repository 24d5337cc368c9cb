"""The demonstration checkpoint; `model.train.demo` makes it."""

from __future__ import annotations

from pathlib import Path

CHECKPOINT = Path(__file__).parent / "checkpoint"
