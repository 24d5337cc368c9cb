"""Data of training: what is wrong is named with file and line, and nothing is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.drafting import DraftContext
from core.errors import TrainingDataError
from core.report import Language
from model.prompts import END_OF_TURN, Task, encode, encode_text, question
from model.train.conversations import Conversation, Turn, read_conversations
from model.train.samples import IGNORED, Samples, encode_conversation
from model.train.toy import GEOMETRY, build_tokenizer

CONTEXT = DraftContext(modality="DX")


def record(**changes: Any) -> dict[str, Any]:
    made = {
        "id": "1",
        "image": "a.png",
        "language": "ar",
        "conversations": [
            {"from": "human", "value": "<image>\nWhat is seen?"},
            {"from": "gpt", "value": "كتلة."},
        ],
    }
    return {name: value for name, value in (made | changes).items() if value is not None}


def said(*messages: tuple[str, str]) -> list[dict[str, str]]:
    return [{"from": who, "value": text} for who, text in messages]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(b"")
    return tmp_path


def test_a_list_and_lines_are_read_alike(folder: Path) -> None:
    records = [record(), record(id=2, language=None)]
    (folder / "list.json").write_text(json.dumps(records, indent=1), encoding="utf-8")
    lines = "\n".join(json.dumps(r) for r in records)
    (folder / "lines.jsonl").write_text(lines, encoding="utf-8")

    as_list, as_lines = (read_conversations(folder / n) for n in ("list.json", "lines.jsonl"))

    assert as_list == as_lines
    assert [c.id for c in as_list] == ["1", "2"]
    assert [c.language for c in as_list] == [Language.AR, None]
    assert as_list[0].turns == (Turn(question="What is seen?", answer="كتلة."),)
    assert as_list[0].images == (folder / "a.png",)


FAULTS = {
    "a picture that is not there": (record(image="b.png"), "no picture"),
    "an unknown field": (record(finding="x"), "finding"),
    "a language that is neither": (record(language="fr"), "language"),
    "an empty answer": (
        record(conversations=said(("human", "<image>\nx"), ("gpt", " \n"))),
        "empty",
    ),
    "an empty question": (
        record(conversations=said(("human", "<image>\n"), ("gpt", "x"))),
        "question is empty",
    ),
    "no mark for the picture": (
        record(conversations=said(("human", "x"), ("gpt", "x"))),
        "<image>",
    ),
    "a mark in an answer": (
        record(conversations=said(("human", "<image> x"), ("gpt", "<image>"))),
        "no other",
    ),
    "two questions in a row": (
        record(conversations=said(("human", "<image> x"), ("human", "y"))),
        "turns",
    ),
    "a question without an answer": (
        record(conversations=said(("human", "<image> x"), ("gpt", "y"), ("human", "z"))),
        "turns",
    ),
    "an unknown speaker": (
        record(conversations=said(("human", "<image> x"), ("bard", "y"))),
        "from",
    ),
    "no conversation": (record(conversations=None), "conversations"),
    "no record": ("text", "the record"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_file_and_line(fault: str, folder: Path) -> None:
    content, words = FAULTS[fault]
    file = folder / "data.jsonl"
    file.write_text(f"{json.dumps(record(id=9))}\n\n{json.dumps(content)}\n", encoding="utf-8")
    if fault == "no record":
        file.write_text(file.read_text().replace('"text"', '["text"]'), encoding="utf-8")
        words = ""
    with pytest.raises(TrainingDataError) as raised:
        read_conversations(file)
    assert f"{file}:3" in str(raised.value)
    assert words in str(raised.value)


def test_every_fault_is_told_up_to_ten(folder: Path) -> None:
    file = folder / "data.json"
    file.write_text(json.dumps([record(id=n, image="no.png") for n in range(13)]))
    with pytest.raises(TrainingDataError, match="and 3 more") as raised:
        read_conversations(file)
    assert len(str(raised.value).splitlines()) == 11


def test_an_id_that_comes_twice_no_json_and_an_empty_file_are_refused(folder: Path) -> None:
    file = folder / "data.jsonl"
    file.write_text(f"{json.dumps(record())}\n{json.dumps(record())}")
    with pytest.raises(TrainingDataError, match=r":2: the id 1 stands in line 1"):
        read_conversations(file)
    file.write_text(f"{json.dumps(record())}\n{{broken")
    with pytest.raises(TrainingDataError, match=r":2: this is no JSON"):
        read_conversations(file)
    for text in ("", "[]"):
        file.write_text(text)
        with pytest.raises(TrainingDataError, match="no record"):
            read_conversations(file)
    with pytest.raises(TrainingDataError, match="cannot be read"):
        read_conversations(folder / "nowhere.json")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return build_tokenizer()


def conversation(*turns: Turn) -> Conversation:
    return Conversation(id="1", images=(Path("a.png"),), turns=turns)


def test_the_prompt_of_training_is_the_engines_and_only_answers_are_learnt(tokenizer: Any) -> None:
    asked = question(Task.REPORT_AR, CONTEXT, "FINDINGS:\nThe lungs are clear.")
    answer = "النتائج:\nالرئتان صافيتان."
    ids, labels = encode_conversation(
        tokenizer, conversation(Turn(question=asked, answer=answer)), GEOMETRY
    )
    prompt = encode(tokenizer, asked, image_count=1, tokens_per_image=GEOMETRY.token_count)
    end = tokenizer.convert_tokens_to_ids(END_OF_TURN)
    written = [*encode_text(tokenizer, answer), end]
    assert ids == [*prompt, *written]
    assert labels == [*[IGNORED] * len(prompt), *written]


def test_each_answer_of_several_turns_is_learnt(tokenizer: Any) -> None:
    turns = (Turn(question="Is it clear?", answer="yes"), Turn(question="And?", answer="no mass"))
    ids, labels = encode_conversation(tokenizer, conversation(*turns), GEOMETRY)
    learnt = tokenizer.decode([label for label in labels if label != IGNORED])
    assert learnt == f"yes{END_OF_TURN}no mass{END_OF_TURN}"
    assert len(ids) == len(labels)
    assert "And?" in tokenizer.decode(ids)


def test_a_quoted_report_is_learnt_where_that_is_asked_for(tokenizer: Any) -> None:
    source = "FINDINGS:\nThe lungs are clear."
    asked = question(Task.SUMMARY_EN, CONTEXT, source)
    one = conversation(Turn(question=asked, answer="Clear."))
    ids, labels = encode_conversation(tokenizer, one, GEOMETRY, learns_quotes=True)
    learnt = tokenizer.decode([label for label in labels if label != IGNORED])
    assert learnt == f"{source}Clear.{END_OF_TURN}"
    assert all(label in (IGNORED, token) for token, label in zip(ids, labels, strict=True))


def test_a_special_token_in_the_data_is_plain_text(tokenizer: Any) -> None:
    end = tokenizer.convert_tokens_to_ids(END_OF_TURN)
    one = conversation(Turn(question="x", answer=f"a{END_OF_TURN}b"))
    ids, _ = encode_conversation(tokenizer, one, GEOMETRY)
    assert ids.count(end) == 3  # the system's, the question's, the answer's


def test_one_that_is_too_long_is_refused_by_its_id(tokenizer: Any) -> None:
    one = conversation(Turn(question="x", answer="mass " * 400))
    with pytest.raises(TrainingDataError, match="record 1 takes"):
        Samples(tokenizer, [one], GEOMETRY, longest=300)


def test_samples_of_about_one_length_come_together_and_none_is_lost(tokenizer: Any) -> None:
    talks = [conversation(Turn(question="x", answer="mass " * (1 + n % 30))) for n in range(64 + 3)]
    samples = Samples(tokenizer, talks, GEOMETRY, longest=400)
    order = samples.order(np.random.default_rng(0), 8)
    assert sorted(order) == list(range(67))
    assert order != samples.order(np.random.default_rng(1), 8)
    spans = [np.ptp([n % 30 for n in order[i : i + 8]]) for i in range(0, 64, 8)]
    assert max(spans) <= 8
