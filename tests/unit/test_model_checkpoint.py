import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import CheckpointError
from model.checkpoint import inspect_checkpoint, load_checkpoint, read_version
from model.demo import CHECKPOINT

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CHECKPOINT, tmp_path / "checkpoint"))


def change_json(file: Path, change: Callable[[dict], None]) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(json.dumps(content), encoding="utf-8")


def change_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def refused(folder: Path) -> str:
    """Return the sentence with which a folder is refused, on inspection and on load alike."""
    with pytest.raises(CheckpointError) as inspected:
        inspect_checkpoint(folder)
    with pytest.raises(CheckpointError) as loaded:
        load_checkpoint(folder, "cpu")
    assert str(inspected.value) == str(loaded.value)
    return str(loaded.value)


def test_the_demo_checkpoint_loads_and_says_what_it_is(folder: Path) -> None:
    info = inspect_checkpoint(folder)
    loaded = load_checkpoint(folder, "cpu")

    assert (info.name, info.is_demonstration) == ("Taqrir-Demo", True)
    assert loaded.version == read_version(folder)
    assert loaded.version.is_demonstration
    assert loaded.model.dtype is torch.float32
    assert not loaded.model.training
    assert loaded.geometry == info.geometry
    assert loaded.model.generation_config.temperature is None


def test_the_demo_checkpoint_is_small_enough_for_the_repository() -> None:
    assert sum(file.stat().st_size for file in CHECKPOINT.iterdir()) < 12_000_000


def test_the_revision_follows_names_and_contents(folder: Path) -> None:
    before = read_version(folder).revision
    assert len(before) == 12
    assert read_version(CHECKPOINT).revision == before

    (folder / ".gitattributes").write_text("x", encoding="utf-8")
    assert read_version(folder).revision == before
    (folder / "README.md").write_text("other words", encoding="utf-8")
    assert read_version(folder).revision == before
    (folder / "extra.txt").write_text("", encoding="utf-8")
    with_extra = read_version(folder).revision
    (folder / "extra.txt").rename(folder / "extra2.txt")
    assert len({before, with_extra, read_version(folder).revision}) == 3


def test_without_a_card_the_folder_gives_the_name(folder: Path) -> None:
    (folder / "taqrir.json").unlink()
    version = read_version(folder)
    assert (version.name, version.is_demonstration) == ("checkpoint", False)


@pytest.mark.parametrize(
    "card", ["[]", "{", '{"name": ""}', '{"name": 3}', '{"name": "x", "is_demonstration": "no"}']
)
def test_a_damaged_card_is_refused(folder: Path, card: str) -> None:
    (folder / "taqrir.json").write_text(card, encoding="utf-8")
    assert "taqrir.json" in refused(folder)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "no model folder" in refused(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    assert "no model folder" in refused(tmp_path / "file")


def test_a_folder_without_a_configuration_is_refused(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert "config.json" in refused(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_damaged_configuration_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text, encoding="utf-8")
    assert "config.json" in refused(folder)


@pytest.mark.parametrize("name", ["LlamaForCausalLM", "LlavaLlamaForCausalLM", "Phi3VForCausalLM"])
def test_another_architecture_is_refused_by_name(folder: Path, name: str) -> None:
    change_json(folder / "config.json", lambda c: c.update(architectures=[name]))
    assert name in refused(folder)


def test_an_impossible_configuration_is_refused(folder: Path) -> None:
    change_json(folder / "config.json", lambda c: c["text_config"].update(hidden_size="wide"))
    assert "configuration" in refused(folder)


@pytest.mark.parametrize("kept", [0, 4, 100, 5000, -1])
def test_truncated_weights_are_refused(folder: Path, kept: int) -> None:
    file = folder / WEIGHTS
    file.write_bytes(file.read_bytes()[:kept])
    assert WEIGHTS in refused(folder)


def test_missing_weights_are_refused(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    assert "no weights" in refused(folder)
    (folder / "pytorch_model.bin").write_bytes(b"x")
    assert "pytorch_model.bin is truncated" in refused(folder)


def test_a_shard_that_the_index_names_must_be_there(folder: Path) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    assert "model-00001-of-00002.safetensors" in refused(folder)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"weight_map": {"a": "../up.safetensors"}}'])
def test_an_index_that_cannot_be_followed_is_refused(folder: Path, text: str) -> None:
    (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")
    assert "index" in refused(folder)


def test_a_missing_tensor_is_named_and_not_made_up(folder: Path) -> None:
    change_tensors(folder, lambda tensors: tensors.pop(sorted(tensors)[3]))
    (missing,) = load_file(CHECKPOINT / WEIGHTS).keys() - load_file(folder / WEIGHTS).keys()
    message = refused(folder)
    assert "1 are missing" in message
    assert missing.split(".")[-2] in message


def test_a_tensor_too_many_is_named(folder: Path) -> None:
    change_tensors(folder, lambda tensors: tensors.update(stranger=torch.zeros(2)))
    assert "stranger" in refused(folder)


def test_a_tensor_of_another_shape_is_named(folder: Path) -> None:
    name = next(k for k in load_file(CHECKPOINT / WEIGHTS) if k.endswith("lm_head.weight"))
    change_tensors(folder, lambda tensors: tensors.update({name: torch.zeros(3, 5)}))
    message = refused(folder)
    assert "another shape" in message
    assert "lm_head" in message


def test_a_missing_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    assert "tokenizer" in refused(folder)


def test_a_damaged_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    assert "tokenizer" in refused(folder)


@pytest.mark.parametrize("token", ["<image>", "<|eot_id|>"])
def test_a_tokenizer_without_a_special_token_is_refused(folder: Path, token: str) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        file = folder / name
        text = file.read_text(encoding="utf-8").replace(token, "<other>")
        file.write_text(text, encoding="utf-8")
    assert token in refused(folder)


def test_an_image_token_of_another_id_is_refused(folder: Path) -> None:
    change_json(folder / "config.json", lambda c: c.update(image_token_index=7))
    assert "<image>" in refused(folder)


def test_a_device_that_is_not_there_is_refused(folder: Path) -> None:
    for device in ("cuda:99", "abacus"):
        with pytest.raises(CheckpointError, match=device):
            load_checkpoint(folder, device)


def test_code_in_the_folder_is_never_run(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "was_run"
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w')\n", encoding="utf-8")
    auto_map = {"AutoConfig": "evil.C", "AutoTokenizer": ["evil.T", None]}
    change_json(folder / "config.json", lambda c: c.update(auto_map=auto_map))
    change_json(folder / "tokenizer_config.json", lambda c: c.update(auto_map=auto_map))
    load_checkpoint(folder, "cpu")
    assert not mark.exists()
