"""The data of training: LLaVA's conversation JSON, read whole and refused whole.

A list of records, or one record a line:

    {"id": "1", "image": "films/1.png", "language": "en",
     "conversations": [{"from": "human", "value": "<image> What is seen?"},
                       {"from": "gpt", "value": "..."}]}

`image` may be a list, one for each `<image>`; `language` (``en`` or ``ar``) may be left out.
Nothing else may stand in a record: a misspelt field would be a silent loss.

Source: LLaVA, docs/Finetune_Custom_Data.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import TrainingDataError
from core.report import Language
from model.prompts import IMAGE

_MOST_FAULTS = 10


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One question and its answer; the picture marks stand no more in the question."""

    question: str
    answer: str


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """One record.

    Attributes:
        images: The pictures' files, shown before the first question.
        language: None where the record does not say.
        is_mirrored: The pictures are shown mirrored, and of the answers only the words that name a
            side are learnt.
    """

    id: str
    images: tuple[Path, ...]
    turns: tuple[Turn, ...]
    language: Language | None = None
    is_mirrored: bool = False


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    speaker: Literal["human", "gpt"] = Field(alias="from")
    value: str


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    id: str
    image: str | list[str]
    conversations: list[_Message] = Field(min_length=2)
    language: Language | None = None


def read_conversations(file: Path, images: Path | None = None) -> tuple[Conversation, ...]:
    """Return every record of a file.

    Args:
        file: JSON (a list of records) or JSON lines.
        images: Folder that the pictures' names are taken from; the file's own where None.

    Raises:
        TrainingDataError: Something is wrong; the message names file, line and fault of the first
            ten, and nothing may be trained on the rest.
    """
    folder = images or file.parent
    found: list[Conversation] = []
    faults: list[str] = []
    seen: dict[str, int] = {}
    for line, content in _records(file):
        try:
            record = _conversation(content, folder)
        except _FaultError as error:
            faults.append(f"{file}:{line}: {error}")
            continue
        if record.id in seen:
            faults.append(f"{file}:{line}: the id {record.id} stands in line {seen[record.id]} too")
        seen.setdefault(record.id, line)
        found.append(record)
    if faults:
        more = f"\n... and {len(faults) - _MOST_FAULTS} more" * (len(faults) > _MOST_FAULTS)
        raise TrainingDataError("\n".join(faults[:_MOST_FAULTS]) + more)
    if not found:
        raise TrainingDataError(f"{file}: there is no record in it.")
    return tuple(found)


class _FaultError(Exception):
    """What is wrong with one record."""


def _records(file: Path) -> Iterator[tuple[int, Any]]:
    """Yield (line, record); the line is where the record begins.

    Raises:
        TrainingDataError: The file cannot be read, or is no JSON.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingDataError(f"{file}: cannot be read ({error}).") from None
    decoder, position = json.JSONDecoder(), 0
    line, counted = 1, 0
    while True:
        # A list and its commas are stepped over, so that each record is found with its line.
        while position < len(text) and text[position] in " \t\r\n,[]\ufeff":
            position += 1
        line, counted = line + text.count("\n", counted, position), position
        if position == len(text):
            return
        try:
            content, position = decoder.raw_decode(text, position)
        except ValueError as error:
            raise TrainingDataError(f"{file}:{line}: this is no JSON ({error}).") from None
        yield line, content


def _conversation(content: Any, folder: Path) -> Conversation:
    try:
        record = _Record.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the record"
        raise _FaultError(f"{place}: {first['msg']}") from None
    names = [record.image] if isinstance(record.image, str) else record.image
    images = tuple(folder / name for name in names)
    missing = next((image for image in images if not image.is_file()), None)
    if missing is not None:
        raise _FaultError(f"there is no picture {missing}")
    return Conversation(
        id=record.id,
        images=images,
        turns=_turns(record.conversations, len(images)),
        language=record.language,
    )


def _turns(messages: list[_Message], image_count: int) -> tuple[Turn, ...]:
    if len(messages) % 2 or any(
        message.speaker != ("human", "gpt")[index % 2] for index, message in enumerate(messages)
    ):
        raise _FaultError("questions (human) and answers (gpt) must take turns")
    marks = [message.value.count(IMAGE) for message in messages]
    if marks[0] != image_count or any(marks[1:]):
        raise _FaultError(
            f"the first question must have one {IMAGE} for each of the {image_count} pictures, "
            "and no other message any"
        )
    turns = []
    for asked, answered in zip(messages[::2], messages[1::2], strict=True):
        if not answered.value.strip():
            raise _FaultError("an answer is empty")
        # LLaVA puts the marks before the question, whatever their place; so does the engine.
        question = asked.value.replace(IMAGE, "").strip()
        if not question:
            raise _FaultError("a question is empty")
        turns.append(Turn(question=question, answer=answered.value.strip()))
    return tuple(turns)
