"""Drafting: tokens a second in shared batches, beside one by one and beside transformers' generate.

On the CPU a tiny random model in BiMediX2's form tells whether batches still pay. On CUDA the model
has BiMediX2-8B's real shape and random weights, which takes as long as the real ones; its figures
stand beside what the memory's bandwidth allows. `--tiny` runs the command for CUDA on the CPU with
a small shape, to see that it works.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import (
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
)

from core.drafting import ModelImage
from core.report import FrameReference, ModelVersion
from model.batching import Batch, Generation
from model.checkpoint import LoadedModel
from model.conversation_formats import LLAMA3
from model.decoding import Decoder
from model.vision import ImageGeometry, to_pixel_values

_FRAME = FrameReference(series_uid="1.2", sop_class_uid="1.3", sop_instance_uid="1.4")
# One film is 576 tokens; words before and after it, and a report of 180 tokens.
_WORDS, _ANSWER = 60, 180
_TASKS = 4
_GIGA = 1e9
# Bytes a second that a card reads from its memory, by a part of its name (NVIDIA's data sheets).
_BANDWIDTH = {"H200": 4.8e12, "H100": 3.35e12, "A100": 2.0e12, "L40": 0.864e12, "L4": 0.3e12}
_TOWER_8B = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 336,
    "patch_size": 14,
    "projection_dim": 768,
}
_TEXT_8B = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 8192,
    "vocab_size": 128320,
    "rope_theta": 500000.0,
}
# The tower's picture stays whole: 576 tokens are part of the load.
_TOWER_TINY = {**_TOWER_8B, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
_TOWER_TINY |= {"num_attention_heads": 2, "projection_dim": 32, "image_size": 112}
_TEXT_TINY = {**_TEXT_8B, "hidden_size": 160, "intermediate_size": 384, "num_hidden_layers": 3}
_TEXT_TINY |= {"num_attention_heads": 5, "num_key_value_heads": 1, "vocab_size": 1408}


def build(*, is_tiny: bool, device: torch.device) -> LoadedModel:
    """Return a model with random weights; an end of turn is never the most likely token."""
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**(_TOWER_TINY if is_tiny else _TOWER_8B)),
        text_config=LlamaConfig(**(_TEXT_TINY if is_tiny else _TEXT_8B)),
        image_token_index=5,
        vision_feature_layer=-2,
    )
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    torch.manual_seed(7)
    torch.set_default_dtype(dtype)
    with device:
        model = LlavaForConditionalGeneration(config).eval().requires_grad_(requires_grad=False)
    torch.set_default_dtype(torch.float32)
    model.generation_config = GenerationConfig()
    vision = config.vision_config
    return LoadedModel(
        model=model,
        tokenizer=None,
        conversation=LLAMA3,
        geometry=ImageGeometry(size=vision.image_size, patch_size=vision.patch_size),
        version=ModelVersion(name="random", revision="000000000000"),
        device=device,
        context_tokens=8192,
    )


class Load:
    """Requests: each with a picture of its own unless told otherwise."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self._made = 0

    def requests(self, count: int, *, answer: int) -> list[Generation]:
        return [self.request(answer=answer) for _ in range(count)]

    def request(self, *, answer: int, study: int | None = None, images: int = 1) -> Generation:
        self._made += 1
        rng = np.random.default_rng(self._made if study is None else study)
        geometry = self._loaded.geometry
        picture = ModelImage(
            pixels=rng.integers(0, 255, (64, 48, 3)).astype(np.uint8),
            frame=_FRAME,
            is_orientation_known=True,
        )
        values = torch.from_numpy(to_pixel_values(picture.pixels, geometry.size))[None]
        prefix = [*range(10, 10 + _WORDS // 2), *[5] * (geometry.token_count * images)]
        prompt = [*prefix, *(11 + (self._made * 7 + n) % 900 for n in range(_WORDS // 2))]
        return Generation(
            prompt=prompt,
            prefix=len(prefix),
            prefix_key=("", self._made if study is None else -study),
            pixel_values=lambda: values.repeat(images, 1, 1, 1),
            limit=answer,
            time_limit_seconds=3600,
        )


def make_batch(loaded: LoadedModel, rows: int) -> Batch:
    threads = 1 if loaded.device.type == "cpu" else torch.get_num_threads()
    return Batch(
        Decoder(loaded),
        most_rows=rows,
        end_ids=[],
        finish=lambda done: (len(done.made), time.perf_counter()),
        prepare=lambda: torch.set_num_threads(threads),
    )


def synchronize(loaded: LoadedModel) -> None:
    if loaded.device.type == "cuda":
        torch.cuda.synchronize()


def measure_batch(batch: Batch, load: Load, in_flight: int, *, rounds: int, answer: int) -> float:
    """Return tokens a second with so many requests in flight all the time."""
    waiting = load.requests(in_flight * rounds, answer=answer)
    began = time.perf_counter()
    flying = waiting[:in_flight]
    for one in flying:
        batch.submit(one)
    made = 0
    for index, one in enumerate(waiting):
        made += one.future.result()[0]
        if index + in_flight < len(waiting):
            batch.submit(waiting[index + in_flight])
    return made / (time.perf_counter() - began)


def measure_generate(loaded: LoadedModel, load: Load, count: int, *, answer: int) -> float:
    """Return tokens a second of transformers' `generate`, one request after the other."""
    config = GenerationConfig(
        do_sample=False, max_new_tokens=answer, min_new_tokens=answer, pad_token_id=0
    )
    made = 0
    waiting = load.requests(count, answer=answer)
    began = time.perf_counter()
    for one in waiting:
        assert one.pixel_values is not None
        ids = torch.tensor([list(one.prompt)], device=loaded.device)
        with torch.inference_mode():
            output = loaded.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                pixel_values=one.pixel_values().to(loaded.device, loaded.model.dtype),
                generation_config=config,
            )
        made += output.shape[1] - ids.shape[1]
    synchronize(loaded)
    return made / (time.perf_counter() - began)


def measure_draft(batch: Batch, load: Load, *, images: int, answer: int) -> float:
    """Return seconds from pictures to a bilingual draft: four tasks in their order."""
    began = time.perf_counter()

    def ask(count: int) -> None:
        asked = [
            load.request(answer=answer, study=999 + images, images=images) for _ in range(count)
        ]
        for one in asked:
            batch.submit(one)
        for one in asked:
            one.future.result()

    ask(1)
    ask(2)
    ask(1)
    return time.perf_counter() - began


def roofline(loaded: LoadedModel, in_flight: int, answer: int) -> float | None:
    """Return tokens a second if a step took no longer than reading weights and caches once."""
    if loaded.device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(loaded.device)
    bandwidth = next((rate for part, rate in _BANDWIDTH.items() if part in name), None)
    if bandwidth is None:
        return None
    text = loaded.model.config.text_config
    # The tower and the embedding (a row a token) are not read at each step.
    read = [*loaded.model.model.language_model.layers.parameters(), loaded.model.lm_head.weight]
    weights = sum(one.numel() * one.element_size() for one in read)
    a_token = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim * 2
    length = loaded.geometry.token_count + _WORDS + answer / 2
    return in_flight * bandwidth / (weights + in_flight * a_token * length)


def run(loaded: LoadedModel, sizes: Sequence[int], *, rounds: int, answer: int) -> dict[str, Any]:
    load = Load(loaded)
    batch = make_batch(loaded, max(sizes))
    # Graphs are captured, and libraries set up, before anything is timed.
    for size in sizes:
        measure_batch(batch, load, size, rounds=1, answer=min(answer, 16))
    plain = measure_generate(loaded, load, 1, answer=16)
    rows: list[dict[str, Any]] = []
    for size in sizes:
        runs = [measure_batch(batch, load, size, rounds=rounds, answer=answer) for _ in range(3)]
        rows.append({"in_flight": size, "tokens_a_second": statistics.median(runs)})
    plain = measure_generate(loaded, load, 2, answer=answer)
    for row in rows:
        row["beside_one"] = row["tokens_a_second"] / rows[0]["tokens_a_second"]
        row["beside_generate"] = row["tokens_a_second"] / plain
        limit = roofline(loaded, row["in_flight"], answer)
        row["of_roofline"] = row["tokens_a_second"] / limit if limit else None
    draft = measure_draft(batch, load, images=2, answer=answer)
    memory = torch.cuda.max_memory_allocated() / _GIGA if loaded.device.type == "cuda" else None
    where = torch.cuda.get_device_name() if loaded.device.type == "cuda" else "CPU, one thread"
    return {
        "device": where,
        "generate": plain,
        "rows": rows,
        "draft_seconds": draft,
        "memory_gb": memory,
        "pictures": batch.counters.towers,
        "reductions": batch.counters.reductions,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuda", action="store_true", help="BiMediX2-8B's shape on the GPU")
    parser.add_argument(
        "--tiny", action="store_true", help="with --cuda: a small shape, any device"
    )
    parser.add_argument(
        "--rounds", type=int, default=2, help="requests for each place in the batch"
    )
    parser.add_argument("--answer", type=int, default=0, help="tokens of one answer")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    has_cuda = torch.cuda.is_available()
    if given.cuda and not given.tiny and not has_cuda:
        parser.error("no CUDA device here; --tiny shows that the command works")
    device = torch.device("cuda" if given.cuda and has_cuda else "cpu")
    if device.type == "cpu":
        torch.set_num_threads(1)
    sizes = (1, 8, 32, 64) if given.cuda else (1, 8, 16)
    loaded = build(is_tiny=not given.cuda or given.tiny, device=device)
    found = run(loaded, sizes, rounds=given.rounds, answer=given.answer or _ANSWER)
    if given.json:
        print(json.dumps(found))
    else:
        show(found)


def show(found: dict[str, Any]) -> None:
    print(
        f"{found['device']}; transformers' generate, one by one: {found['generate']:.0f} tokens/s"
    )
    rows = [
        (
            str(row["in_flight"]),
            f"{row['tokens_a_second']:.0f}",
            f"{row['beside_one']:.1f}",
            f"{row['beside_generate']:.1f}",
            f"{row['of_roofline']:.0%}" if row["of_roofline"] else "-",
        )
        for row in found["rows"]
    ]
    head = ("in flight", "tokens/s", "x one by one", "x generate", "of roofline")
    for line in (head, *rows):
        print("".join(f"{cell:>14}" for cell in line))
    print(f"two pictures to a bilingual draft, {_TASKS} texts: {found['draft_seconds']:.2f} s")
    if found["memory_gb"]:
        print(f"memory at its highest: {found['memory_gb']:.1f} GB")


if __name__ == "__main__":
    main()
