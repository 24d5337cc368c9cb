"""The prompts, versioned: what is asked of the model, and the conversation around it.

The conversation is BiMediX2's own (the llama-3 template of LLaVA-pp), token for token: its
tokenizer puts a second begin-of-text before the one that the template writes, in training as in
inference, so both stand here.

Whatever comes from outside (the indication, or a text that the model wrote before) is encoded with
special tokens switched off: an `<|eot_id|>` in an indication is plain signs, never a turn's end.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from core.drafting import DraftContext

PROMPTS_VERSION = "2"

BEGIN = "<|begin_of_text|>"
HEADER_START = "<|start_header_id|>"
HEADER_END = "<|end_header_id|>"
END_OF_TURN = "<|eot_id|>"
# Llama 3 may end a whole text with it; a model that has it is not waited for beyond it.
END_OF_TEXT = "<|end_of_text|>"
IMAGE = "<image>"
SPECIAL_TOKENS = (BEGIN, HEADER_START, HEADER_END, END_OF_TURN)

SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)

# An indication is free text of the order: long ones are cut so that the pictures keep their room.
MAX_INDICATION_LETTERS = 400
MAX_PRIOR_LETTERS = 600


class Task(StrEnum):
    """What is asked for, in the order in which a draft is made; also the names of its steps."""

    REPORT_EN = "report_en"
    REPORT_AR = "report_ar"
    SUMMARY_EN = "summary_en"
    SUMMARY_AR = "summary_ar"


# "Please caption ..." and "Summarize the findings" are the wordings of BiMediX2's paper.
_REPORT_EN = (
    "Please caption this scan with findings and impressions. "
    "Write two sections, FINDINGS: and IMPRESSION:."
)
_REPORT_AR = (
    "Translate this radiology report of the scan into Arabic. "
    "Keep every finding, side, number and negation. "
    "Write two sections, النتائج: and الانطباع:.\n\n{source}"
)
# The same question in Arabic, where nothing is translated.
_REPORT_AR_FROM_IMAGE = "يرجى وصف هذه الصورة مع النتائج والانطباع. اكتب قسمين، النتائج: والانطباع:."
_SUMMARY_EN = "Summarize the findings in one or two sentences.\n\n{source}"
_SUMMARY_AR = "لخص النتائج في جملة أو جملتين.\n\n{source}"

_QUESTIONS = {
    Task.REPORT_EN: _REPORT_EN,
    Task.REPORT_AR: _REPORT_AR,
    Task.SUMMARY_EN: _SUMMARY_EN,
    Task.SUMMARY_AR: _SUMMARY_AR,
}


def one_line(text: str, max_letters: int = MAX_INDICATION_LETTERS) -> str:
    """Return text from outside on one line, without control and formatting signs, cut to length."""
    visible = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text)
    return re.sub(r" +", " ", visible).strip()[:max_letters].rstrip()


def context_line(context: DraftContext) -> str:
    """Return the study's allow-listed context as one short line, empty where nothing is known."""
    parts = (
        ("modality", context.modality),
        ("body part", context.body_part),
        ("view", context.view),
        ("sex", context.sex),
        ("age", context.age_band),
        ("indication", context.indication),
    )
    known = [f"{name} {one_line(value)}" for name, value in parts if one_line(value)]
    if prior := one_line(context.prior_impression, MAX_PRIOR_LETTERS):
        known.append(f"earlier impression {prior}")
    return f"Context: {'; '.join(known)}." if known else ""


def question(task: Task, context: DraftContext, source: str | None = None) -> str:
    """Return the question of a task.

    Args:
        task: What is asked for.
        context: What is known of the study.
        source: The text to translate or to summarise. `Task.REPORT_EN` needs none, and without one
            `Task.REPORT_AR` asks for a report straight from the pictures.
    """
    is_from_image = task is Task.REPORT_AR and source is None
    wording = _REPORT_AR_FROM_IMAGE if is_from_image else _QUESTIONS[task]
    asked = wording.replace("{source}", source or "")
    context_text = context_line(context)
    return f"{context_text}\n{asked}" if context_text else asked


def official_text(question_text: str, image_count: int = 1) -> str:
    """Return the conversation as one string, as the official inference writes it.

    For reading and for tests: prompts are made by `encode`, which knows which signs are ours.
    """
    images = " ".join([IMAGE] * image_count)
    return (
        f"{BEGIN}{HEADER_START}system{HEADER_END}\n\n{SYSTEM}{END_OF_TURN}"
        f"{HEADER_START}user{HEADER_END}\n\n{images}\n{question_text}{END_OF_TURN}"
        f"{HEADER_START}assistant{HEADER_END}\n\n"
    )


def encode_text(tokenizer: Any, text: str) -> list[int]:
    """Return the ids of plain text; what looks like a special token becomes ordinary signs."""
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    return ids


def encode(
    tokenizer: Any,
    question_text: str,
    *,
    image_count: int,
    tokens_per_image: int,
    history: Sequence[tuple[str, str]] = (),
) -> list[int]:
    """Return the ids of a whole prompt, ready for the answer to follow.

    Args:
        tokenizer: A transformers tokenizer that knows the special tokens and ``<image>``.
        question_text: From `question`; encoded as plain text.
        image_count: How many pictures stand before the first question, at least one.
        tokens_per_image: How many positions each of them takes.
        history: Earlier turns, question and answer each; plain text too.
    """
    begin, start, end, end_of_turn, image = tokenizer.convert_tokens_to_ids(
        [BEGIN, HEADER_START, HEADER_END, END_OF_TURN, IMAGE]
    )

    def header(role: str) -> list[int]:
        return [start, *encode_text(tokenizer, role), end]

    images: list[int] = []
    for index in range(image_count):
        images += encode_text(tokenizer, " ") if index else []
        images += [image] * tokens_per_image
    break_ids = encode_text(tokenizer, "\n\n")

    def turn(words: str) -> list[int]:
        return [
            *encode_text(tokenizer, words),
            end_of_turn,
            *header("assistant"),
            *break_ids,
        ]

    first, *later = [*(asked for asked, _ in history), question_text]
    following: list[int] = []
    for (_, answer), asked in zip(history, later, strict=True):
        following += [*encode_text(tokenizer, answer), end_of_turn]
        following += [*header("user"), *break_ids, *turn(asked)]
    return [
        begin,  # the tokenizer's own
        begin,  # the template's
        *header("system"),
        *encode_text(tokenizer, f"\n\n{SYSTEM}"),
        end_of_turn,
        *header("user"),
        *break_ids,
        *images,
        *turn(f"\n{first}"),
        *following,
    ]
