"""Tiny checkpoints of LLaVA-Med's kind: a Mistral with SentencePiece's tokenizer."""

from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
from tokenizers.processors import TemplateProcessing

from harness import checkpoints as tiny

_MERGES = (
    *(("▁", sign) for sign in "[▁INTQaf"),
    ("I", "N"),
    ("S", "T"),
    ("IN", "ST"),
    ("]", "▁"),
    ("t", "h"),
    ("▁a", "n"),
)
ROWS = 320
IMAGE_ID = ROWS
GROWN_ROWS = 384


def write_tokenizer(folder: Path) -> None:
    """Write the files that Mistral-7B-Instruct-v0.2 has: bytes for what no piece covers."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    signs = dict.fromkeys("".join("".join(pair) for pair in _MERGES))
    pieces += [sign for sign in signs if sign not in pieces]
    pieces += [left + right for left, right in _MERGES if left + right not in pieces]
    pieces += [f"w{number}" for number in range(ROWS - len(pieces))]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(
        models.BPE(vocabulary, list(_MERGES), unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.add_special_tokens(
        [AddedToken(name, special=True, normalized=False) for name in ("<unk>", "<s>", "</s>")]
    )
    tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    tiny.write_json(
        folder / "tokenizer_config.json",
        {
            "add_bos_token": True,
            "add_eos_token": False,
            "bos_token": "<s>",
            "eos_token": "</s>",
            "legacy": True,
            "model_max_length": 2048,
            "pad_token": "<unk>",
            "padding_side": "right",
            "tokenizer_class": "LlamaTokenizer",
            "unk_token": "<unk>",
        },
    )


def make_reference() -> Any:
    """Return the model that a folder is to become, built by transformers alone."""
    model: Any = tiny.make_reference("mistral", rows=GROWN_ROWS)
    model.config.image_token_id = IMAGE_ID
    return model


def write_llava_med(folder: Path, model: Any) -> Path:
    """Write LLaVA-Med's layout, its tower's weights inside."""
    tiny.write_tensors(folder, {**tiny.llava_tensors(model), **tiny.language_tensors(model, ROWS)})
    config = tiny.llava_config(
        "mistral",
        vocab_size=ROWS,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tokenizer_model_max_length=2048,
    )
    tiny.write_json(folder / "config.json", config)
    tiny.write_tower(folder / "tower")
    write_tokenizer(folder)
    return folder
