"""Text from outside, for models whose conversation is written by a template of their own.

There special tokens are recognised in plain text, or marks are plain text themselves. BiMediX2's
prompts are made token by token and do not need this.
"""

from __future__ import annotations

import re

# How special tokens begin: <|...|>, <image>, </s>, <start_of_turn>, [INST], [/INST].
_MARK = re.compile(r"<(?=[|/!_a-zA-Z])|\[(?=/?[A-Z_]+\])")


def without_marks(text: str) -> str:
    """Return the text with a space behind what might begin a special token.

    No letter is lost: ``<|eot_id|>`` becomes ``< |eot_id|>``, while ``<5 mm`` stays as it is.
    """
    return _MARK.sub(lambda found: f"{found[0]} ", text)
