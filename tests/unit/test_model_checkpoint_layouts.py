"""Every layout becomes the model that transformers builds from the same weights."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from harness import checkpoints as tiny
from transformers import LlavaForConditionalGeneration

from model.checkpoint import LoadedModel, inspect_checkpoint, load_checkpoint
from model.conversion import convert_checkpoint
from model.layouts import Layout
from model.prompts import encode
from model.vision import to_pixel_values

QUESTION = "Please caption this scan with findings and impressions. ما هي النتائج؟"
# LLaVA-pp's conversation `llama3`, written out; `{}` is the question.
OFFICIAL = (
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nA chat between a curious user "
    "and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite "
    "answers to the user's questions.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"
    "<image>\n{}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
)
TOKENS = 576


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def reference() -> Any:
    return tiny.make_reference()


def write_llava(kind: str, ending: str, shards: int) -> Callable[[Path, Any], Any]:
    def write(folder: Path, model: Any) -> Any:
        model = model if kind == "llama" else tiny.make_reference(kind)
        tiny.write_llava(folder, model, kind=kind, ending=ending, shards=shards)
        return model

    return write


def write_hf(
    rename: Callable[[str], str] | None, ending: str = "safetensors"
) -> Callable[[Path, Any], Any]:
    def write(folder: Path, model: Any) -> Any:
        tiny.write_hf(folder, model, rename, ending)
        return model

    return write


def write_adapter(ending: str) -> Callable[[Path, Any], Any]:
    return lambda folder, model: tiny.write_adapter(folder, model, ending=ending)


LAYOUTS: dict[str, tuple[Layout, Callable[[Path, Any], Any]]] = {
    "llava_llama, shards": (Layout.LLAVA_LLAMA, write_llava("llama", "safetensors", 3)),
    "llava_llama, one file": (Layout.LLAVA_LLAMA, write_llava("llama", "safetensors", 1)),
    "llava_llama, pickled shards": (Layout.LLAVA_LLAMA, write_llava("llama", "bin", 2)),
    "llava_llama, one pickle": (Layout.LLAVA_LLAMA, write_llava("llama", "bin", 1)),
    "llava_mistral": (Layout.LLAVA_MISTRAL, write_llava("mistral", "safetensors", 2)),
    "hf, as saved": (Layout.HF, write_hf(None)),
    "hf, older keys": (Layout.HF, write_hf(tiny.older_key)),
    "hf, newer keys": (Layout.HF, write_hf(tiny.newer_key)),
    "hf, keys in memory, pickled": (Layout.HF, write_hf(str, "bin")),
    "adapter": (Layout.ADAPTER, write_adapter("safetensors")),
    "adapter, pickled": (Layout.ADAPTER, write_adapter("bin")),
}


@pytest.fixture(scope="module", params=LAYOUTS)
def mounted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, reference: Any
) -> tuple[str, Path, LoadedModel, Any]:
    """Return a layout's name, a folder of it, what the loader makes of it, and what it should."""
    folder = tmp_path_factory.mktemp("site") / "checkpoint"
    expected = LAYOUTS[request.param][1](folder, reference)
    return request.param, folder, load_checkpoint(folder, "cpu"), expected


def picture() -> np.ndarray:
    rng = np.random.default_rng(5)
    return rng.integers(0, 255, (60, 90, 3), dtype=np.uint8)


def logits(model: Any, ids: list[int], pixels: np.ndarray) -> torch.Tensor:
    rows = torch.tensor([ids])
    values = torch.from_numpy(to_pixel_values(pixels, 336)).unsqueeze(0)
    with torch.inference_mode():
        output = model(
            input_ids=rows, attention_mask=torch.ones_like(rows), pixel_values=values
        ).logits
    return output[0]  # (T, V)


def prompt(loaded: LoadedModel) -> list[int]:
    return encode(
        loaded.tokenizer,
        QUESTION,
        image_count=1,
        tokens_per_image=loaded.geometry.token_count,
    )


def official_ids(tokenizer: Any) -> list[int]:
    """Return the ids as LLaVA makes them: the text between pictures encoded part by part.

    Each part gets a begin of its own, which all but the first lose again; the place of the picture
    is filled with as many image tokens as the tower gives.
    """
    parts = [tokenizer(part).input_ids for part in OFFICIAL.format(QUESTION).split("<image>")]
    image = tokenizer.convert_tokens_to_ids("<image>")
    return [*parts[0], *[image] * TOKENS, *parts[1][1:]]


def test_a_layout_is_recognised(mounted: Any) -> None:
    name, folder, loaded, _ = mounted
    info = inspect_checkpoint(folder)
    assert info.layout is LAYOUTS[name][0]
    assert info.geometry == loaded.geometry
    assert info.number_formats.keys() == {"float32"}
    assert info.geometry.token_count == TOKENS
    assert bool(info.adapter) is name.startswith("adapter")


def test_logits_equal_those_of_the_same_weights_in_transformers(mounted: Any) -> None:
    _, _, loaded, expected = mounted
    ids = prompt(loaded)

    ours, theirs = logits(loaded.model, ids, picture()), logits(expected, ids, picture())

    known = slice(0, tiny.ROWS)
    assert theirs[:, known].std() > 0.1
    torch.testing.assert_close(ours[:, known], theirs[:, known], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "mounted", [name for name in LAYOUTS if not name.startswith("hf")], indirect=True
)
def test_a_token_that_no_checkpoint_has_is_never_the_most_likely(mounted: Any) -> None:
    _, _, loaded, _ = mounted
    rows = logits(loaded.model, prompt(loaded), picture())
    assert rows.shape[1] == tiny.GROWN_ROWS
    most, added = rows[:, : tiny.ROWS].max(dim=1).values, rows[:, tiny.ROWS :].max(dim=1).values
    assert (most > added).all()


def test_a_prompt_has_the_official_templates_ids(mounted: Any) -> None:
    _, _, loaded, _ = mounted
    ids = prompt(loaded)
    assert ids == official_ids(loaded.tokenizer)
    assert ids[:2] == [tiny.BYTES] * 2
    assert ids.count(tiny.IMAGE_ID) == TOKENS
    assert loaded.model.config.image_token_id == tiny.IMAGE_ID


@pytest.mark.parametrize("shape", [(80, 120), (120, 80)])
@pytest.mark.parametrize("corner", [(0, 0), (0, -1), (-1, 0), (-1, -1)])
def test_a_mark_in_a_corner_changes_most_the_tokens_of_that_corner(
    mounted: Any, shape: tuple[int, int], corner: tuple[int, int]
) -> None:
    _, _, loaded, _ = mounted
    height, width = shape
    plain = np.full((height, width, 3), 90, dtype=np.uint8)
    marked = plain.copy()
    rows = slice(0, 4) if corner[0] == 0 else slice(-4, None)
    columns = slice(0, 4) if corner[1] == 0 else slice(-4, None)
    marked[rows, columns] = 255

    change = (image_tokens(loaded, marked) - image_tokens(loaded, plain)).norm(dim=1)

    assert change.shape == (TOKENS,)
    row, column = divmod(int(change.argmax()), 24)
    side, pad = max(shape), (max(shape) - min(shape)) / 2
    top, left = (pad, 0) if width > height else (0, pad)
    at = (
        (top + (0 if corner[0] == 0 else height - 1)) * 24 / side,
        (left + (0 if corner[1] == 0 else width - 1)) * 24 / side,
    )
    assert abs(row - at[0]) <= 1.5
    assert abs(column - at[1]) <= 1.5


def image_tokens(loaded: LoadedModel, pixels: np.ndarray) -> torch.Tensor:
    values = torch.from_numpy(to_pixel_values(pixels, 336)).unsqueeze(0)
    with torch.inference_mode():
        found = loaded.model.get_image_features(pixel_values=values)
    found = getattr(found, "pooler_output", found)
    return found[0]  # (P, D)


def test_a_converted_layout_is_read_by_transformers_alone_and_says_the_same(
    mounted: Any, tmp_path: Path
) -> None:
    _, folder, loaded, _ = mounted
    converted = tmp_path / "converted"
    convert_checkpoint(folder, converted, shard_bytes=40_000)

    theirs, keys = LlavaForConditionalGeneration.from_pretrained(
        converted, local_files_only=True, output_loading_info=True, dtype=torch.float32
    )
    assert not any(keys[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    again = load_checkpoint(converted, "cpu")
    ids = prompt(again)
    assert ids == prompt(loaded)
    assert again.context_tokens == loaded.context_tokens
    before = logits(loaded.model, ids, picture())
    torch.testing.assert_close(logits(theirs.eval(), ids, picture()), before, atol=1e-4, rtol=0)
    torch.testing.assert_close(logits(again.model, ids, picture()), before, atol=0, rtol=0)
    assert inspect_checkpoint(converted).layout is Layout.HF
    assert len(list(converted.glob("model-*.safetensors"))) > 1


def test_a_converted_folders_chat_template_is_the_official_one(
    mounted: Any, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    _, folder, loaded, _ = mounted
    convert_checkpoint(folder, tmp_path / "converted")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "converted", local_files_only=True)
    content = [{"type": "image"}, {"type": "text", "text": QUESTION}]

    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, return_dict=False
    )

    official = official_ids(loaded.tokenizer)
    first = official.index(tiny.IMAGE_ID)
    assert ids == official[:first] + official[first + TOKENS - 1 :]


def test_half_precision_weights_are_read_as_the_numbers_they_are(
    tmp_path: Path,
) -> None:
    rounded = tiny.make_reference(dtype=torch.bfloat16)
    folder = tmp_path / "half"
    tiny.write_llava(folder, rounded)
    half = {
        k: v.bfloat16() if v.is_floating_point() else v
        for k, v in tiny.llava_tensors(rounded).items()
    }
    tiny.write_tensors(folder, half)

    loaded = load_checkpoint(folder, "cpu")

    ids = prompt(loaded)
    assert inspect_checkpoint(folder).number_formats.keys() == {"bfloat16"}
    ours, theirs = logits(loaded.model, ids, picture()), logits(rounded, ids, picture())
    torch.testing.assert_close(ours[:, : tiny.ROWS], theirs[:, : tiny.ROWS], atol=1e-4, rtol=0)


def test_a_tower_outside_the_checkpoint_is_taken_from_the_folder_that_is_named(
    tmp_path: Path, reference: Any
) -> None:
    folder = tmp_path / "checkpoint"
    tiny.write_llava(folder, reference)
    inside = load_checkpoint(folder, "cpu")
    own = {k: v for k, v in tiny.llava_tensors(reference).items() if ".vision_tower." not in k}
    tiny.write_tensors(folder, own)
    tiny.write_tower(folder / "tower", reference)

    outside = load_checkpoint(folder, "cpu")

    ids = prompt(outside)
    assert torch.equal(logits(outside.model, ids, picture()), logits(inside.model, ids, picture()))
    assert outside.version.revision != inside.version.revision
    weights = outside.version.revision
    tiny.write_tower(folder / "tower", tiny.make_reference(seed=8))
    assert load_checkpoint(folder, "cpu").version.revision != weights


def test_a_head_that_is_tied_to_the_embedding_needs_no_weight_of_its_own(
    tmp_path: Path, reference: Any
) -> None:
    folder = tmp_path / "tied"
    tiny.write_llava(folder, reference)
    tensors = tiny.llava_tensors(reference)
    del tensors["lm_head.weight"]
    tiny.write_tensors(folder, tensors)
    tiny.write_json(folder / "config.json", tiny.llava_config(tie_word_embeddings=True))

    loaded = load_checkpoint(folder, "cpu")

    model = loaded.model
    assert model.lm_head.weight is model.model.language_model.embed_tokens.weight
    expected = reference.model.language_model.embed_tokens.weight[: tiny.ROWS]
    assert torch.equal(model.lm_head.weight[: tiny.ROWS], expected)


def test_an_adapter_of_the_sites_own_changes_a_converted_model(
    tmp_path: Path, reference: Any
) -> None:
    """A site's adapter stands on a whole model and has no configuration of a model."""
    base = tmp_path / "BiMediX2-Tiny"
    tiny.write_hf(base, reference, None)
    own = tiny.make_reference()
    wrapped = tiny.wrap(own, r=2, target_modules=r".*language_model.*q_proj")
    with torch.no_grad():
        for name, weight in wrapped.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.2)
    wrapped.peft_config["default"].base_model_name_or_path = str(base)
    folder = tmp_path / "site-adapter"
    wrapped.save_pretrained(folder)

    loaded = load_checkpoint(folder, "cpu")

    ids = prompt(loaded)
    merged = wrapped.merge_and_unload().eval()
    ours = logits(loaded.model, ids, picture())
    torch.testing.assert_close(ours, logits(merged, ids, picture()), atol=1e-4, rtol=0)
    assert (ours - logits(reference, ids, picture())).abs().max() > 0.01
    assert loaded.version.name == "site-adapter"
    assert loaded.version.revision != load_checkpoint(base, "cpu").version.revision
