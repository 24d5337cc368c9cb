"""A small BiMed-MBench: files of its form, with words of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RECORD: dict[str, Any] = {
    "question_id": 7,
    "image": "a.jpg",
    "pair_id": "a",
    "text": "ما الذي يظهر؟",
    "gpt4_answer": "كتلة",
    "fig_caption": "A CT of the chest.",
    "in_text_mention": [
        {"tokens": "A mass ( Figure 3 ) .", "entities": [{"type": "figure", "entity_id": "3"}]},
        {"tokens": "It was resected .", "entities": []},
    ],
    "domain": {"chest_xray": False, "mri": False, "ct_scan": True, "histology": False, "gross": 0},
    "type": "conversation",
    "fig_label": "Figure 3",
}


def write_lines(file: Path, records: list[dict[str, Any]]) -> Path:
    """Write records one a line."""
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    file.write_text("".join(lines), encoding="utf-8")
    return file


def write_bench(folder: Path, ids: tuple[int, ...] = (7, 8)) -> tuple[Path, Path]:
    """Return the files of a bench with some questions, and of answers to it."""
    bench = write_lines(folder / "bench.jsonl", [{**RECORD, "question_id": n} for n in ids])
    said = [{"question_id": n, "text": f"answer {n}"} for n in ids]
    return bench, write_lines(folder / "answers.jsonl", said)
