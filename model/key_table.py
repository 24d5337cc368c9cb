"""What a tensor is called in each layout, and its one name in between.

The name in between is the one that LLaVA's checkpoints in transformers' layout have had on disk
since the first release: transformers renames it where a newer release calls it otherwise, and vLLM
reads it. No prefix means two things in two layouts, so one table serves them all; the longest
prefix that fits counts.

Source: transformers, `models/llava/convert_llava_weights_to_hf.py` and `conversion_mapping.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

TEXT = "language_model.model."
HEAD = "language_model.lm_head."
PROJECTOR = "multi_modal_projector."
TOWER = "vision_tower.vision_model."

EMBEDDING_WEIGHT = f"{TEXT}embed_tokens.weight"
HEAD_WEIGHT = f"{HEAD}weight"

PREFIXES: Mapping[str, str] = {
    # llava_llama, llava_mistral, and a bare Llama or Mistral
    "model.embed_tokens.": f"{TEXT}embed_tokens.",
    "model.layers.": f"{TEXT}layers.",
    "model.norm.": f"{TEXT}norm.",
    "lm_head.": HEAD,
    "model.mm_projector.0.": f"{PROJECTOR}linear_1.",
    "model.mm_projector.2.": f"{PROJECTOR}linear_2.",
    "model.vision_tower.vision_tower.vision_model.": TOWER,
    "model.vision_tower.vision_tower.": TOWER,
    # LlavaForConditionalGeneration, as older releases write it
    "language_model.model.": TEXT,
    "language_model.lm_head.": HEAD,
    "multi_modal_projector.": PROJECTOR,
    "vision_tower.vision_model.": TOWER,
    "vision_tower.": TOWER,
    # ... and as newer ones have it in memory
    "model.language_model.": TEXT,
    "model.multi_modal_projector.": PROJECTOR,
    "model.vision_tower.vision_model.": TOWER,
    "model.vision_tower.": TOWER,
}
# A folder of the vision tower alone: CLIPModel or CLIPVisionModel.
TOWER_PREFIXES: Mapping[str, str] = {
    "vision_model.": TOWER,
    "embeddings.": f"{TOWER}embeddings.",
    "pre_layrnorm.": f"{TOWER}pre_layrnorm.",
    "encoder.": f"{TOWER}encoder.",
    "post_layernorm.": f"{TOWER}post_layernorm.",
}
# Tables that the model computes by itself, and the line separator of pictures cut into tiles.
_COMPUTED = re.compile(r"\.inv_freq$|(^|\.)image_newline$|\bembeddings\.position_ids$")
# The half of CLIP that reads text.
_CLIP_TEXT = re.compile(
    r"^(text_model\.|text_projection\.|visual_projection\.|logit_scale$|position_ids$)"
)


def is_dropped(key: str, prefixes: Mapping[str, str] = PREFIXES) -> bool:
    """Say whether a tensor is known and not needed."""
    return bool(_COMPUTED.search(key)) or (
        prefixes is TOWER_PREFIXES and bool(_CLIP_TEXT.match(key))
    )


def name_in_between(key: str, prefixes: Mapping[str, str] = PREFIXES) -> str | None:
    """Return a tensor's one name, None where no layout has such a tensor."""
    fitting = [prefix for prefix in prefixes if key.startswith(prefix)]
    if not fitting:
        return None
    longest = max(fitting, key=len)
    return prefixes[longest] + key.removeprefix(longest)
