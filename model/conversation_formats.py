"""The conversations that checkpoints of LLaVA's kind were trained on, by the names LLaVA has.

- ``llama3``: BiMediX2 and LLaVA-pp; made token by token in `model.prompts`.
- ``mistral_instruct``: LLaVA-Med 1.5 and what else stands on Mistral-7B-Instruct. It has no system
  words; its marks ``[INST]`` and ``[/INST]`` are no tokens but plain signs, so that text from
  outside gets a space behind whatever looks like one of them.

Which one a checkpoint has, its tokenizer says, and the language model that it wraps.

Source: LLaVA-Med, `llava/conversation.py` (`conv_mistral_instruct`) and `llava/mm_utils.py`
(`tokenizer_image_token`); LLaVA-pp, `LLaMA-3-V/conversation.py` (`conv_llama3`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from model.marks import without_marks
from model.prompts import (
    BEGIN,
    END_OF_TEXT,
    END_OF_TURN,
    HEADER_END,
    HEADER_START,
    IMAGE,
    SPECIAL_TOKENS,
    SYSTEM,
    encode,
)

_MISTRAL_BEGIN = "<s>"
_MISTRAL_END = "</s>"


class Encode(Protocol):
    """Makes the ids of a whole prompt; see `model.prompts.encode`."""

    def __call__(
        self,
        tokenizer: Any,
        question_text: str,
        *,
        image_count: int,
        tokens_per_image: int,
        history: Sequence[tuple[str, str]] = (),
    ) -> list[int]:
        """Return the ids, ready for the answer to follow."""


@dataclass(frozen=True, kw_only=True)
class ConversationFormat:
    """How question and answer are told apart.

    Attributes:
        name: As LLaVA's `conv_templates` has it.
        special_tokens: What the tokenizer must have.
        end_tokens: What ends an answer, where the tokenizer has it.
        encode: Makes a prompt.
        chat_template: The same for other programs, in Jinja; every begin-of-text stands in it.
    """

    name: str
    special_tokens: tuple[str, ...]
    end_tokens: tuple[str, ...]
    encode: Encode
    chat_template: str

    def end_ids(self, tokenizer: Any) -> tuple[int, ...]:
        """Return the tokens that end an answer, the turn's own first."""
        vocabulary = tokenizer.get_vocab()
        return tuple(vocabulary[token] for token in self.end_tokens if token in vocabulary)


def find_format(language_model: str, vocabulary: Collection[str]) -> ConversationFormat | None:
    """Return the conversation of a checkpoint, None where nobody knows it.

    Args:
        language_model: The model type of its language half, such as ``llama``.
        vocabulary: The tokens of its tokenizer.
    """
    if all(token in vocabulary for token in LLAMA3.special_tokens):
        return LLAMA3
    # A Llama 2 has the same tokens, and any of several conversations.
    if language_model == "mistral" and all(
        token in vocabulary for token in MISTRAL_INSTRUCT.special_tokens
    ):
        return MISTRAL_INSTRUCT
    return None


def _encode_mistral_instruct(
    tokenizer: Any,
    question_text: str,
    *,
    image_count: int,
    tokens_per_image: int,
    history: Sequence[tuple[str, str]] = (),
) -> list[int]:
    """Return the ids of a prompt as `tokenizer_image_token` makes them: one begin, at the front.

    The text between pictures is encoded in one piece: SentencePiece joins signs across the borders
    of question and marks, and puts a space before each piece.
    """
    first, *later = [
        without_marks(asked) for asked in (*(asked for asked, _ in history), question_text)
    ]
    text = f"[INST] {' '.join([IMAGE] * image_count)}\n{first} [/INST]"
    for (_, answer), asked in zip(history, later, strict=True):
        text += f" {without_marks(answer)} {_MISTRAL_END}[INST] {asked} [/INST]"
    begin, image = tokenizer.convert_tokens_to_ids([_MISTRAL_BEGIN, IMAGE])
    head, *parts = (tokenizer.encode(part, add_special_tokens=False) for part in text.split(IMAGE))
    ids = [begin, *head]
    for part in parts:
        ids += [*[image] * tokens_per_image, *part]
    return ids


_CONTENT = f"""\
{{%- if message['content'] is string -%}}
{{{{ message['content'] }}}}
{{%- else -%}}
{{%- set images = message['content'] | selectattr('type', 'equalto', 'image') | list -%}}
{{%- for _ in images -%}}
{{{{ '{IMAGE}' + ('\\n' if loop.last else ' ') }}}}
{{%- endfor -%}}
{{%- for part in message['content'] if part['type'] == 'text' -%}}
{{{{ part['text'] }}}}
{{%- endfor -%}}
{{%- endif -%}}
"""

LLAMA3 = ConversationFormat(
    name="llama3",
    special_tokens=SPECIAL_TOKENS,
    end_tokens=(END_OF_TURN, END_OF_TEXT),
    encode=encode,
    # Both begin-of-text tokens: what renders a chat template adds none of its own.
    chat_template=f"""\
{BEGIN}{BEGIN}{HEADER_START}system{HEADER_END}

{SYSTEM}{END_OF_TURN}
{{%- for message in messages -%}}
{{{{ '{HEADER_START}' + message['role'] + '{HEADER_END}\\n\\n' }}}}
{_CONTENT}
{{{{- '{END_OF_TURN}' }}}}
{{%- endfor -%}}
{{%- if add_generation_prompt -%}}
{{{{ '{HEADER_START}assistant{HEADER_END}\\n\\n' }}}}
{{%- endif -%}}""",
)
MISTRAL_INSTRUCT = ConversationFormat(
    name="mistral_instruct",
    special_tokens=(_MISTRAL_BEGIN, _MISTRAL_END),
    end_tokens=(_MISTRAL_END,),
    encode=_encode_mistral_instruct,
    chat_template=f"""\
{_MISTRAL_BEGIN}
{{%- for message in messages -%}}
{{%- set is_answer = message['role'] == 'assistant' -%}}
{{{{ ' ' if is_answer else '[INST] ' }}}}
{_CONTENT}
{{{{- ' {_MISTRAL_END}' if is_answer else ' [/INST]' }}}}
{{%- endfor -%}}""",
)
FORMATS = (LLAMA3, MISTRAL_INSTRUCT)
