"""Every form of every object says what it said when somebody last read it."""

from __future__ import annotations

from document_forms import FOLDER, golden_texts


def test_every_form_is_as_it_was() -> None:
    kept = {path.stem: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.txt")}
    made = golden_texts()

    assert set(kept) == set(made), "run: make golden"
    for name, text in made.items():
        assert text.splitlines() == kept[name].splitlines(), f"{name}: read it, then: make golden"
