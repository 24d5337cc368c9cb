"""What is wrong with a folder is said before gigabytes are read, and by name."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from harness import checkpoints as tiny
from safetensors.torch import load_file, save_file

from core.errors import CheckpointError
from model.checkpoint import inspect_checkpoint, load_checkpoint
from model.verification import verify_checkpoint

SHARDS = 2


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one sound checkpoint of each kind."""
    folder = tmp_path_factory.mktemp("site")
    model = tiny.make_reference()
    tiny.write_llava(folder / "llava", model, shards=SHARDS)
    tiny.write_llava(folder / "pickled", model, ending="bin", shards=SHARDS)
    tiny.write_hf(folder / "hf", model, tiny.older_key)
    tiny.write_adapter(folder / "adapter", model)
    return folder


@pytest.fixture
def mounted(site: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(site, tmp_path / "site"))


def refused(folder: Path) -> str:
    """Return the sentence of a refusal that needs no weights to be read."""
    with pytest.raises(CheckpointError) as inspected:
        inspect_checkpoint(folder)
    with pytest.raises(CheckpointError) as loaded:
        load_checkpoint(folder, "cpu")
    assert str(inspected.value) == str(loaded.value)
    assert verify_checkpoint(folder).faults == (str(loaded.value),)
    return str(loaded.value)


def change_config(folder: Path, name: str = "config.json", **changes: Any) -> None:
    content = json.loads((folder / name).read_text(encoding="utf-8"))
    tiny.write_json(folder / name, {**content, **changes})


def change_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> Path:
    file = next(iter(sorted(folder.glob("*.safetensors"))))
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})
    return file


def test_the_checkpoints_of_this_module_are_sound(site: Path) -> None:
    for name in ("llava", "pickled", "hf", "adapter"):
        assert verify_checkpoint(site / name).faults == ()


@pytest.mark.parametrize("kind", ["llava", "pickled", "hf"])
@pytest.mark.parametrize("kept", [0, 5, 1000, -1])
def test_a_shard_that_is_cut_short_is_named(mounted: Path, kind: str, kept: int) -> None:
    folder = mounted / kind
    file = max([*folder.glob("*-of-*.safetensors"), *folder.glob("*.bin")])
    file.write_bytes(file.read_bytes()[:kept])
    assert file.name in refused(mounted / kind)


@pytest.mark.parametrize(
    "name", ["adapter/adapter_model.safetensors", "adapter/non_lora_trainables.bin"]
)
def test_a_file_of_an_adapter_that_is_cut_short_is_named(mounted: Path, name: str) -> None:
    file = mounted / name
    file.write_bytes(file.read_bytes()[:-40])
    assert file.name in refused(mounted / "adapter")


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (open, (str(self.mark), "w"))


@pytest.mark.parametrize("is_archive", [True, False])
@pytest.mark.parametrize("name", ["pickled/pytorch_model.bin", "adapter/non_lora_trainables.bin"])
def test_code_in_a_pickle_is_never_run(
    mounted: Path, tmp_path: Path, name: str, *, is_archive: bool
) -> None:
    mark = tmp_path / "was_run"
    folder = (mounted / name).parent
    (folder / "pytorch_model.bin.index.json").unlink(missing_ok=True)
    if is_archive:
        torch.save({"model.norm.weight": Bomb(mark)}, mounted / name)
    else:
        (mounted / name).write_bytes(pickle.dumps({"model.norm.weight": Bomb(mark)}))
    assert Path(name).name in refused(folder)
    assert not mark.exists()


@pytest.mark.parametrize("content", [[1, 2], {"a": 3}, {3: torch.zeros(2)}])
def test_a_pickle_that_is_no_table_of_tensors_is_refused(mounted: Path, content: Any) -> None:
    (mounted / "pickled" / "pytorch_model.bin.index.json").unlink()
    torch.save(content, mounted / "pickled" / "pytorch_model.bin")
    assert "table of tensors" in refused(mounted / "pickled")


@pytest.mark.parametrize("kind", ["llava", "hf"])
def test_the_first_few_missing_tensors_are_named_and_all_are_counted(
    mounted: Path, kind: str
) -> None:
    removed: list[str] = []

    def change(tensors: dict[str, torch.Tensor]) -> None:
        names = [n for n in sorted(tensors) if "layers" in n and "inv_freq" not in n]
        removed.extend(names[:9])
        for name in removed:
            del tensors[name]

    change_tensors(mounted / kind, change)
    message = refused(mounted / kind)
    assert "9 are missing" in message
    assert "and 4 more" in message


def test_a_tensor_of_a_layout_that_nobody_knows_is_named_as_it_stands_in_the_file(
    mounted: Path,
) -> None:
    strange = {"model.mm_projector.4.weight": torch.zeros(2), "model.layers.9.x": torch.zeros(1)}
    change_tensors(mounted / "llava", lambda tensors: tensors.update(strange))
    message = refused(mounted / "llava")
    assert "2 do not belong to the model: model.layers.9.x, model.mm_projector.4.weight" in message


def test_a_misshapen_tensor_is_named_with_both_shapes(mounted: Path) -> None:
    change_tensors(
        mounted / "llava", lambda tensors: tensors.update({"lm_head.weight": torch.zeros(261, 24)})
    )
    message = refused(mounted / "llava")
    assert "1 have another shape: language_model.lm_head.weight (261 x 24, not 262 x 24)" in message


def test_weights_that_are_no_floating_point_numbers_are_named(mounted: Path) -> None:
    changed: list[str] = []

    def change(tensors: dict[str, torch.Tensor]) -> None:
        changed.append(next(n for n in sorted(tensors) if "q_proj" in n))
        tensors[changed[0]] = tensors[changed[0]].to(torch.int8)

    change_tensors(mounted / "hf", change)
    assert "1 are no floating-point numbers" in refused(mounted / "hf")


def test_one_weight_under_two_names_is_refused(mounted: Path) -> None:
    projector = torch.zeros(24, 16)
    change_tensors(
        mounted / "llava",
        lambda tensors: tensors.update({"multi_modal_projector.linear_1.weight": projector}),
    )
    assert "twice" in refused(mounted / "llava")


@pytest.mark.parametrize("kind", ["llava", "hf"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_weight_that_is_no_number_is_found_on_load_and_by_verify(
    mounted: Path, kind: str, value: float
) -> None:
    changed: list[str] = []

    def change(tensors: dict[str, torch.Tensor]) -> None:
        changed.append(next(n for n in sorted(tensors) if n.endswith("proj.weight")))
        tensors[changed[0]].view(-1)[3] = value

    file = change_tensors(mounted / kind, change)
    inspect_checkpoint(mounted / kind)
    with pytest.raises(CheckpointError, match="NaN or infinite") as loaded:
        load_checkpoint(mounted / kind, "cpu")
    assert changed[0] in str(loaded.value)
    assert file.name in str(loaded.value)
    (fault,) = verify_checkpoint(mounted / kind).faults
    assert changed[0] in fault
    assert "1 NaN or infinite numbers" in fault


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mm_projector_type": "linear"}, "projector linear"),
        ({"mm_projector_type": "mlp3x_gelu"}, "projector mlp3x_gelu"),
        ({"mm_vision_select_feature": "cls"}, "features cls"),
        ({"mm_use_im_start_end": True}, "start and end"),
        ({"image_aspect_ratio": "anyres_max_9"}, "tiles"),
        ({"mm_vision_tower": "google/siglip-so400m-patch14-384"}, "siglip"),
        ({"mm_vision_tower": None}, "(none)"),
        ({"mm_vision_tower": 3}, "must be text"),
        ({"quantization_config": {"load_in_4bit": True}}, "quantised"),
        ({"architectures": ["Phi3VForCausalLM"]}, "Phi3VForCausalLM"),
        ({"architectures": None}, "llava_llama"),
        ({"hidden_size": 48}, "another shape"),
        ({"num_hidden_layers": 3}, "are missing"),
        ({"num_hidden_layers": 1}, "do not belong"),
        ({"vocab_size": 300}, "another shape"),
        ({"vocab_size": 200}, "model room for 200"),
        ({"num_attention_heads": "many"}, "configuration"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(
    mounted: Path, changes: dict[str, Any], words: str
) -> None:
    change_config(mounted / "llava", **changes)
    assert words in refused(mounted / "llava")


def test_a_tower_of_another_kind_is_refused(mounted: Path) -> None:
    tiny.write_json(mounted / "llava/tower/config.json", {"model_type": "siglip_vision_model"})
    assert "siglip_vision_model" in refused(mounted / "llava")
    (mounted / "llava/tower/config.json").write_text("[", encoding="utf-8")
    assert "no JSON object" in refused(mounted / "llava")


def test_a_checkpoint_without_a_tower_says_that_its_folder_is_wanted(mounted: Path) -> None:
    shutil.rmtree(mounted / "clip-tiny")
    change_config(mounted / "adapter", mm_vision_tower="openai/clip-vit-large-patch14-336")
    message = refused(mounted / "adapter")
    assert "no weights of the vision tower" in message
    assert "openai/clip-vit-large-patch14-336" in message


@pytest.mark.parametrize("token", ["<|eot_id|>", "<|start_header_id|>"])
def test_a_tokenizer_without_a_token_of_the_conversation_is_refused(
    mounted: Path, token: str
) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        file = mounted / "llava" / name
        file.write_text(
            file.read_text(encoding="utf-8").replace(token, "<other>"), encoding="utf-8"
        )
    assert token in refused(mounted / "llava")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"peft_type": "IA3"}, "IA3"),
        ({"use_dora": True}, "use_dora"),
        ({"bias": "all"}, "bias = all"),
        ({"r": 0}, "r must be"),
        ({"r": 8}, "cannot be changed by the adapter"),
        ({"rank_pattern": {}}, "cannot be changed by the adapter"),
        ({"lora_alpha": "much"}, "lora_alpha"),
        ({"base_model_name_or_path": "meta-llama/Elsewhere"}, "meta-llama/Elsewhere"),
        ({"base_model_name_or_path": None}, "no such folder"),
        ({"base_model_name_or_path": 3}, "must be text"),
    ],
)
def test_an_adapter_that_cannot_be_merged_is_refused(
    mounted: Path, changes: dict[str, Any], words: str
) -> None:
    change_config(mounted / "adapter", "adapter_config.json", **changes)
    assert words in refused(mounted / "adapter")


def test_half_a_pair_of_matrices_is_named(mounted: Path) -> None:
    removed: list[str] = []

    def change(tensors: dict[str, torch.Tensor]) -> None:
        removed.append(next(n for n in sorted(tensors) if "lora_B" in n))
        del tensors[removed[0]]

    change_tensors(mounted / "adapter", change)
    assert "has only lora_A" in refused(mounted / "adapter")


def test_an_adapter_for_more_layers_than_the_base_has_is_refused(mounted: Path) -> None:
    pair = {
        f"base_model.model.model.layers.7.mlp.up_proj.lora_{m}.weight": torch.zeros(4, 4)
        for m in "AB"
    }
    change_tensors(mounted / "adapter", lambda tensors: tensors.update(pair))
    message = refused(mounted / "adapter")
    assert "layers.7.mlp.up_proj.weight, which the model does not have" in message


def test_an_adapter_without_its_projector_is_refused(mounted: Path) -> None:
    (mounted / "adapter/non_lora_trainables.bin").unlink()
    assert "multi_modal_projector" in refused(mounted / "adapter")


def test_the_card_names_a_base_that_lies_elsewhere(mounted: Path) -> None:
    (mounted / "Tiny-Llama").rename(mounted / "renamed")
    assert "there is no such folder" in refused(mounted / "adapter")
    tiny.write_json(mounted / "adapter/taqrir.json", {"name": "Ours", "base": "../renamed"})
    assert inspect_checkpoint(mounted / "adapter").name == "Ours"


def test_an_adapter_on_itself_is_refused(mounted: Path) -> None:
    change_config(mounted / "adapter", "adapter_config.json", base_model_name_or_path=".")
    assert "no such folder" in refused(mounted / "adapter")


def test_bimedix2_in_its_real_shape_is_accepted_from_its_headers_alone(tmp_path: Path) -> None:
    """8 billion weights as files without contents: they take no room and would take minutes."""
    folder = tmp_path / "BiMediX2-8B-Bi"
    folder.mkdir()
    config = tiny.llava_config(
        tower="openai/clip-vit-large-patch14-336",
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        vocab_size=128257,
        max_position_embeddings=131072,
        bos_token_id=128000,
        eos_token_id=128009,
        pad_token_id=128256,
    )
    tiny.write_json(folder / "config.json", config)
    tiny.write_wide_tokenizer(folder, 128256)
    tiny.write_sparse(folder, tiny.bimedix2_shapes(), shards=4)

    info = inspect_checkpoint(folder)

    assert info.layout.value == "llava_llama"
    assert info.number_formats == {"bfloat16": info.parameter_count}
    assert 8.3e9 < info.parameter_count < 8.4e9
    assert info.weight_bytes == pytest.approx(16.7e9, rel=0.01)
    assert info.geometry.token_count == 576
    assert (info.context_tokens, info.vocabulary) == (4096, 128320)
