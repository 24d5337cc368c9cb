"""Tiny checkpoints of every layout, written from torch modules.

The names of the tensors are made here from the modules themselves, never with the loader's table.
"""

import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from torch import nn
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    MistralConfig,
    PreTrainedTokenizerFast,
)

SPECIALS = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
)
PAD = "<pad>"
BYTES = 256
# Bytes, special tokens, and the padding token last, as in BiMediX2.
ROWS = BYTES + len(SPECIALS) + 1
IMAGE_ID = ROWS
# The next multiple of 64.
GROWN_ROWS = 320

TOWER = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 336,
    "patch_size": 14,
    "projection_dim": 16,
}
TEXT = {
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "max_position_embeddings": 8192,
    "rope_theta": 500000.0,
    "bos_token_id": BYTES,
    "eos_token_id": BYTES + 4,
    "pad_token_id": ROWS - 1,
}
LLAMA_3_1_ROPE = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 512,
}
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def make_tokenizer(*, has_pad: bool = True, has_image: bool = False) -> PreTrainedTokenizerFast:
    """Return a tokenizer of bytes with Llama 3's special tokens; it writes a begin by itself."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({sign: index for index, sign in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    names = [*SPECIALS, *([PAD] if has_pad else []), *(["<image>"] if has_image else [])]
    tokenizer.add_special_tokens([AddedToken(n, special=True, normalized=False) for n in names])
    begin = tokenizer.token_to_id(SPECIALS[0])
    tokenizer.post_processor = TemplateProcessing(
        single=f"{SPECIALS[0]} $A", special_tokens=[(SPECIALS[0], begin)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=SPECIALS[0],
        eos_token=SPECIALS[4],
        pad_token=PAD if has_pad else None,
        model_max_length=131072,
    )


def make_reference(
    kind: str = "llama",
    seed: int = 7,
    dtype: torch.dtype = torch.float32,
    *,
    rows: int = GROWN_ROWS,
    rope: dict[str, Any] | None = LLAMA_3_1_ROPE,
) -> LlavaForConditionalGeneration:
    """Return the model that every layout is to become, built by transformers alone."""
    text: Any
    if kind == "llama":
        text = LlamaConfig(vocab_size=rows, rope_scaling=rope, **TEXT)
    else:
        text = MistralConfig(vocab_size=rows, sliding_window=None, **TEXT)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**TOWER),
        text_config=text,
        image_token_index=IMAGE_ID,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    config.pad_token_id = ROWS - 1
    model = LlavaForConditionalGeneration(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # Strong enough that every weight shows in the logits.
            noise = torch.randn(weight.shape, generator=generator) * 0.15
            norm = "norm" in name and name.endswith("weight")
            weight.copy_((1 + noise if norm else noise).to(dtype))
    return model.eval()


def _plain(module: nn.Module) -> dict[str, torch.Tensor]:
    return {k.removeprefix("vision_model."): v.clone() for k, v in module.state_dict().items()}


def language_tensors(model: Any, rows: int = ROWS) -> dict[str, torch.Tensor]:
    """Return a bare Llama's tensors, with the rows that the folder's vocabulary has."""
    tensors = {f"model.{k}": v for k, v in _plain(model.model.language_model).items()}
    tensors["lm_head.weight"] = model.lm_head.weight.detach().clone()
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        tensors[name] = tensors[name][:rows].clone()
    return tensors


def projector_tensors(model: Any, prefix: str = "model.") -> dict[str, torch.Tensor]:
    """Return the projector as LLaVA's `nn.Sequential(Linear, GELU, Linear)` has it."""
    projector = model.model.multi_modal_projector
    sequence = nn.Sequential(projector.linear_1, nn.GELU(), projector.linear_2)
    return {f"{prefix}mm_projector.{k}": v.clone() for k, v in sequence.state_dict().items()}


def tower_tensors(model: Any, prefix: str) -> dict[str, torch.Tensor]:
    """Return the vision tower's tensors behind a prefix."""
    return {f"{prefix}{k}": v for k, v in _plain(model.model.vision_tower).items()}


def llava_tensors(model: Any) -> dict[str, torch.Tensor]:
    """Return everything as LLaVA's own training writes it, what is of no use included."""
    return {
        **language_tensors(model),
        **projector_tensors(model),
        **tower_tensors(model, "model.vision_tower.vision_tower.vision_model."),
        "model.image_newline": torch.zeros(TEXT["hidden_size"]),
        "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4),
        "model.vision_tower.vision_tower.vision_model.embeddings.position_ids": torch.arange(
            577
        ).unsqueeze(0),
    }


def llava_config(kind: str = "llama", tower: str = "tower", **changes: Any) -> dict[str, Any]:
    """Return config.json as LLaVA's training writes it."""
    text = {k: v for k, v in TEXT.items() if k != "head_dim"}
    return {
        "architectures": [f"Llava{kind.capitalize()}ForCausalLM"],
        "model_type": f"llava_{kind}",
        "vocab_size": ROWS,
        **text,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_scaling": LLAMA_3_1_ROPE if kind == "llama" else None,
        **({"sliding_window": None} if kind == "mistral" else {}),
        "torch_dtype": "float32",
        "image_aspect_ratio": "pad",
        "mm_hidden_size": TOWER["hidden_size"],
        "mm_patch_merge_type": "flat",
        "mm_projector_lr": None,
        "mm_projector_type": "mlp2x_gelu",
        "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False,
        "mm_vision_select_feature": "patch",
        "mm_vision_select_layer": -2,
        "mm_vision_tower": tower,
        "tokenizer_model_max_length": 4096,
        "tokenizer_padding_side": "right",
        "transformers_version": "4.43.1",
        "use_cache": True,
        "use_mm_proj": True,
        **changes,
    }


def write_json(file: Path, content: Any) -> None:
    """Write JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content), encoding="utf-8")


def write_tensors(
    folder: Path, tensors: dict[str, torch.Tensor], *, ending: str = "safetensors", shards: int = 1
) -> None:
    """Write tensors as one file or as shards with an index."""
    stem = "model" if ending == "safetensors" else "pytorch_model"
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(tensors)
    weight_map = {}
    for shard in range(shards):
        file = f"{stem}.{ending}"
        if shards > 1:
            file = f"{stem}-{shard + 1:05}-of-{shards:05}.{ending}"
        part = {name: tensors[name].contiguous() for name in names[shard::shards]}
        if ending == "safetensors":
            save_file(part, folder / file, metadata={"format": "pt"})
        else:
            torch.save(part, folder / file)
        weight_map |= dict.fromkeys(part, file)
    if shards > 1:
        write_json(folder / f"{stem}.{ending}.index.json", {"weight_map": weight_map})


def write_tower(folder: Path, model: Any = None, *, ending: str = "safetensors") -> None:
    """Write a whole CLIP's folder: of `model` its weights too, without one the configuration."""
    write_json(
        folder / "config.json",
        {"model_type": "clip", "vision_config": {"model_type": "clip_vision_model", **TOWER}},
    )
    if model is not None:
        tensors = tower_tensors(model, "vision_model.")
        tensors |= {
            "logit_scale": torch.tensor(2.0),
            "text_projection.weight": torch.zeros(2, 2),
            "visual_projection.weight": torch.zeros(2, 2),
            "text_model.embeddings.position_ids": torch.zeros(1, 3, dtype=torch.int64),
            "vision_model.embeddings.position_ids": torch.arange(577).unsqueeze(0),
        }
        write_tensors(folder, tensors, ending=ending)


def write_llava(
    folder: Path, model: Any, *, kind: str = "llama", ending: str = "safetensors", shards: int = 1
) -> Path:
    """Write LLaVA's own layout, its tower's weights inside."""
    write_tensors(folder, llava_tensors(model), ending=ending, shards=shards)
    write_json(folder / "config.json", llava_config(kind))
    write_tower(folder / "tower")
    make_tokenizer().save_pretrained(folder)
    return folder


def write_hf(
    folder: Path, model: Any, rename: Callable[[str], str] | None, ending: str = "safetensors"
) -> Path:
    """Write transformers' layout: as the library saves it, or with keys of our own making."""
    model.save_pretrained(folder)
    if rename is not None:
        (folder / "model.safetensors").unlink()
        tensors = {rename(k): v.clone() for k, v in model.state_dict().items()}
        write_tensors(folder, tensors, ending=ending, shards=2)
    make_tokenizer(has_image=True).save_pretrained(folder)
    return folder


def older_key(key: str) -> str:
    """Return a key as releases before 4.52 wrote it."""
    if key.startswith("lm_head."):
        return f"language_model.{key}"
    key = key.removeprefix("model.")
    part, rest = key.split(".", 1)
    inside = {"language_model": "model.", "vision_tower": "vision_model."}.get(part, "")
    return f"{part}.{inside}{rest}"


def newer_key(key: str) -> str:
    """Return a key as releases since 4.52 have it in memory, the tower one level deeper."""
    return key.replace("model.vision_tower.", "model.vision_tower.vision_model.")


def wrap(model: Any, **settings: Any) -> Any:
    """Return a model with a LoRA adapter of PEFT's."""
    with warnings.catch_warnings():
        # PEFT asks transformers for a property that has a new name there.
        warnings.filterwarnings(
            "ignore", message=".*is_gradient_checkpointing", category=FutureWarning
        )
        return get_peft_model(model, LoraConfig(**settings))


def write_adapter(folder: Path, model: Any, *, ending: str = "safetensors", seed: int = 3) -> Any:
    """Write a LoRA folder of LLaVA's with its base and tower beside it; PEFT itself writes it.

    The base has one row less than the adapter's vocabulary: the padding token came with training.

    Returns:
        The model that the folder is to become, merged by PEFT.
    """
    beside = folder.parent
    rows = ROWS - 1
    config = model.config.text_config.to_dict() | {"vocab_size": rows, "pad_token_id": None}
    base = LlamaForCausalLM(LlamaConfig.from_dict(config))
    base.load_state_dict(language_tensors(model, rows))
    base.save_pretrained(beside / "Tiny-Llama")
    make_tokenizer(has_pad=False).save_pretrained(beside / "Tiny-Llama")
    write_tower(beside / "clip-tiny", model, ending="bin" if ending == "bin" else "safetensors")
    wrapped = wrap(base, r=4, lora_alpha=8, target_modules=list(LINEAR), rank_pattern={"q_proj": 2})
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in wrapped.named_parameters():
            if "lora_" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.3)
    # Without it PEFT would ask the hub for the base's vocabulary.
    wrapped.save_pretrained(folder, save_embedding_layers=False)
    settings = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    settings["base_model_name_or_path"] = "meta-llama/Tiny-Llama"
    write_json(folder / "adapter_config.json", settings)
    if ending == "bin":
        from safetensors.torch import load_file

        file = folder / "adapter_model.safetensors"
        torch.save(load_file(file), folder / "adapter_model.bin")
        file.unlink()
    extra = projector_tensors(model, "base_model.model.model.")
    torch.save(extra, folder / "non_lora_trainables.bin")
    write_json(folder / "config.json", llava_config(tower="openai/clip-tiny"))
    return _merged(model, wrapped.merge_and_unload())


def _merged(model: Any, language: Any) -> Any:
    """Return a model whose language half is PEFT's, with the new row as LLaVA starts one."""
    merged = make_reference()
    merged.load_state_dict(model.state_dict())
    tensors = language.state_dict()
    for half, key in (
        (merged.model.language_model.embed_tokens, "model.embed_tokens.weight"),
        (merged.lm_head, "lm_head.weight"),
    ):
        rows = tensors.pop(key)
        with torch.no_grad():
            half.weight[: ROWS - 1] = rows
            half.weight[ROWS - 1] = rows.mean(dim=0)
    inner = {k.removeprefix("model."): v for k, v in tensors.items()}
    merged.model.language_model.load_state_dict(inner, strict=False)
    return merged


def bimedix2_shapes() -> dict[str, tuple[int, ...]]:
    """Return BiMediX2-8B's tensors: Llama 3.1 8B, CLIP ViT-L/14 at 336 pixels, the projector."""
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (128257, 4096),
        "lm_head.weight": (128257, 4096),
        "model.norm.weight": (4096,),
        "model.mm_projector.0.weight": (4096, 1024),
        "model.mm_projector.0.bias": (4096,),
        "model.mm_projector.2.weight": (4096, 4096),
        "model.mm_projector.2.bias": (4096,),
    }
    for layer in range(32):
        at = f"model.layers.{layer}"
        shapes |= {f"{at}.{name}_layernorm.weight": (4096,) for name in ("input", "post_attention")}
        shapes |= {f"{at}.self_attn.{name}_proj.weight": (4096, 4096) for name in "qo"}
        shapes |= {f"{at}.self_attn.{name}_proj.weight": (1024, 4096) for name in "kv"}
        shapes |= {f"{at}.mlp.{name}_proj.weight": (14336, 4096) for name in ("gate", "up")}
        shapes[f"{at}.mlp.down_proj.weight"] = (4096, 14336)
    tower = "model.vision_tower.vision_tower.vision_model"
    shapes |= {
        f"{tower}.embeddings.class_embedding": (1024,),
        f"{tower}.embeddings.patch_embedding.weight": (1024, 3, 14, 14),
        f"{tower}.embeddings.position_embedding.weight": (577, 1024),
    }
    norms = ["pre_layrnorm", "post_layernorm"]
    for layer in range(24):
        at = f"encoder.layers.{layer}"
        norms += [f"{at}.layer_norm1", f"{at}.layer_norm2"]
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes[f"{tower}.{at}.self_attn.{name}.weight"] = (1024, 1024)
            shapes[f"{tower}.{at}.self_attn.{name}.bias"] = (1024,)
        shapes[f"{tower}.{at}.mlp.fc1.weight"] = (4096, 1024)
        shapes[f"{tower}.{at}.mlp.fc1.bias"] = (4096,)
        shapes[f"{tower}.{at}.mlp.fc2.weight"] = (1024, 4096)
        shapes[f"{tower}.{at}.mlp.fc2.bias"] = (1024,)
    shapes |= {f"{tower}.{name}.{part}": (1024,) for name in norms for part in ("weight", "bias")}
    return shapes


def write_sparse(folder: Path, shapes: dict[str, tuple[int, ...]], *, shards: int) -> None:
    """Write bfloat16 safetensors files with headers and no contents; they take no room."""
    names = sorted(shapes)
    weight_map = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        table, end = {}, 0
        for name in names[shard::shards]:
            start, end = end, end + 2 * math.prod(shapes[name])
            table[name] = {"dtype": "BF16", "shape": shapes[name], "data_offsets": [start, end]}
            weight_map[name] = file
        header = json.dumps(table).encode()
        with (folder / file).open("wb") as stream:
            stream.write(len(header).to_bytes(8, "little") + header)
            stream.truncate(8 + len(header) + end)
    write_json(folder / "model.safetensors.index.json", {"weight_map": weight_map})


def write_wide_tokenizer(folder: Path, tokens: int) -> None:
    """Write a tokenizer with as many tokens as asked for and the padding token after them."""
    words = {f"w{number}": number for number in range(tokens - len(SPECIALS))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w0"))
    added = [AddedToken(name, special=True, normalized=False) for name in (*SPECIALS, PAD)]
    tokenizer.add_special_tokens(added)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=SPECIALS[0], pad_token=PAD
    ).save_pretrained(folder)
