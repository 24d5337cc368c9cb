"""`taqrir model info`, `verify` and `convert`, and digests that are taken once."""

import hashlib
import json
import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from harness import checkpoints as tiny
from safetensors.torch import load_file, save_file

from cli.main import taqrir
from core.clock import utcnow
from core.errors import CheckpointError, TaqrirError
from model import fingerprint
from model.checkpoint import load_checkpoint
from model.conversion import convert_checkpoint
from model.demo import CHECKPOINT
from model.drafter import open_drafter
from model.fingerprint import CACHE_NAME, known_version, read_version


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    model = tiny.make_reference()
    tiny.write_llava(folder / "llava", model, shards=2)
    tiny.write_adapter(folder / "adapter", model)
    return folder


@pytest.fixture
def mounted(site: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(site, tmp_path / "site"))


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a minute pass since the folders were written."""

    def later() -> datetime:
        return utcnow() + timedelta(minutes=1)

    monkeypatch.setattr(fingerprint, "utcnow", later)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "taqrir.toml"
    (tmp_path / "data").mkdir()
    file.write_text(f'data_dir = "{tmp_path / "data"}"\n', encoding="utf-8")
    return file


def run(*words: object) -> Result:
    return CliRunner().invoke(taqrir, ["model", *map(str, words)], standalone_mode=False)


def json_of(result: Result) -> Any:
    assert not isinstance(result.exception, TaqrirError), result.exception
    return json.loads(result.stdout)


@pytest.mark.usefixtures("settled")
def test_info_shows_what_a_folder_holds_and_its_revision_once_that_is_known(
    mounted: Path, config: Path
) -> None:
    facts = json_of(run("info", mounted / "adapter", "--config", config, "--json"))

    assert facts["layout"] == "adapter"
    assert facts["architecture"] == "LlavaLlamaForCausalLM"
    assert facts["adapter"] == "LoRA, rank 4, alpha 8"
    assert facts["base"] == str(mounted / "Tiny-Llama")
    assert facts["vision_tower"] == "openai/clip-tiny"
    assert facts["number_formats"] == {"float32": facts["parameter_count"]}
    assert facts["context_tokens"] == 4096
    assert facts["image_tokens"] == 576
    assert facts["revision"] is None
    assert facts["weight_bytes"] == sum(file["bytes"] for file in facts["files"])

    assert run("verify", mounted / "adapter", "--config", config).exit_code == 0
    text = run("info", mounted / "adapter", "--config", config).stdout
    revision = read_version(mounted / "adapter").revision
    assert f"revision        {revision}" in text
    assert "LoRA, rank 4, alpha 8" in text


def test_info_without_a_folder_shows_the_model_of_the_settings(config: Path) -> None:
    text = run("info", "--config", config).stdout
    assert "Taqrir-Demo (a demonstration without clinical meaning)" in text
    assert "llava-hf" in text


def test_info_refuses_what_is_no_checkpoint(tmp_path: Path, config: Path) -> None:
    result = run("info", tmp_path, "--config", config)
    assert isinstance(result.exception, CheckpointError)
    assert "no checkpoint folder" in str(result.exception)


def test_verify_compares_digests_with_what_is_noted_of_the_files(
    mounted: Path, config: Path
) -> None:
    folder = mounted / "llava"
    file = folder / "model-00001-of-00002.safetensors"
    other = folder / "model-00002-of-00002.safetensors"
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"{sha256}  {file.name}\n", encoding="utf-8")
    notes = folder / ".cache/huggingface/download"
    notes.mkdir(parents=True)
    noted = hashlib.sha256(other.read_bytes()).hexdigest()
    (notes / f"{other.name}.metadata").write_text(f"abc\n{noted}\n1.0\n", encoding="utf-8")
    # Small files are noted by git's own digest.
    (notes / "config.json.metadata").write_text(f"abc\n{'a' * 40}\n1.0\n", encoding="utf-8")

    found = json_of(run("verify", folder, "--config", config, "--json"))

    assert found["is_sound"]
    compared = {Path(one["file"]).name: one["compared_with"] for one in found["files"]}
    assert compared[file.name] == "SHA256SUMS"
    assert compared[other.name] == "the download's note"
    assert compared["config.json"] == ""


@pytest.mark.parametrize("by", ["sums", "note"])
def test_verify_finds_a_file_with_other_contents_than_noted(
    mounted: Path, config: Path, by: str
) -> None:
    folder = mounted / "llava"
    file = folder / "model-00001-of-00002.safetensors"
    wrong = "0" * 64
    if by == "sums":
        (folder / "SHA256SUMS").write_text(f"{wrong} *./{file.name}\n", encoding="utf-8")
    else:
        notes = folder / ".cache/huggingface/download"
        notes.mkdir(parents=True)
        (notes / f"{file.name}.metadata").write_text(f"abc\n{wrong}\n1.0\n", encoding="utf-8")

    result = run("verify", folder, "--config", config)

    assert result.exit_code == 1
    assert f"FAULT: {file} has the SHA-256" in result.stdout


@pytest.mark.parametrize(
    ("text", "words"), [("a b c", "sha256sum"), (f"{'0' * 64}  x", "not there")]
)
def test_verify_finds_a_list_of_digests_that_does_not_fit(
    mounted: Path, config: Path, text: str, words: str
) -> None:
    (mounted / "llava/SHA256SUMS").write_text(text, encoding="utf-8")
    result = run("verify", mounted / "llava", "--config", config)
    assert result.exit_code == 1
    assert words in result.stdout


@pytest.mark.usefixtures("settled")
def test_verify_finds_contents_that_changed_without_a_trace(mounted: Path, tmp_path: Path) -> None:
    from model.verification import verify_checkpoint

    cache = tmp_path / CACHE_NAME
    read_version(mounted / "llava", cache)
    kept = json.loads(cache.read_text(encoding="utf-8"))
    kept[str(mounted / "llava")]["digest"] = "f" * 64
    cache.write_text(json.dumps(kept), encoding="utf-8")

    (fault,) = verify_checkpoint(mounted / "llava", cache_file=cache).faults
    assert "the disk may be failing" in fault


def test_convert_writes_a_whole_folder_or_nothing(mounted: Path, tmp_path: Path) -> None:
    target = tmp_path / "converted"
    done = json_of(run("convert", mounted / "adapter", target, "--json"))

    card = json.loads((target / "taqrir.json").read_text(encoding="utf-8"))
    revision = read_version(mounted / "adapter").revision
    assert card["converted_from"] == {"layout": "adapter", "revision": revision}
    assert card["name"] == "adapter"
    assert done["revision"] == read_version(target).revision == done["revision"]
    assert {file.stat().st_mode & 0o444 for file in target.iterdir()} == {0o444}
    assert not list(tmp_path.glob(".converted*"))


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_convert_overwrites_nothing(mounted: Path, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "there"
    if kind == "folder":
        target.mkdir()
    elif kind == "file":
        target.write_text("x", encoding="utf-8")
    else:
        target.symlink_to(tmp_path / "nowhere")
    result = run("convert", mounted / "llava", target)
    assert isinstance(result.exception, CheckpointError)
    assert "is there already" in str(result.exception)


def test_convert_asks_for_room_first(tmp_path: Path) -> None:
    """A checkpoint of more bytes than any disk here has, all of them holes."""
    folder = tmp_path / "vast"
    folder.mkdir()
    wide = 4_000_000_000
    shapes = {name: tuple(t.shape) for name, t in tiny.llava_tensors(tiny.make_reference()).items()}
    shapes = {k: v for k, v in shapes.items() if not k.endswith(("position_ids", "inv_freq"))}
    for layer in range(2):
        at = f"model.layers.{layer}.mlp"
        shapes |= {f"{at}.{name}_proj.weight": (wide, 24) for name in ("gate", "up")}
        shapes[f"{at}.down_proj.weight"] = (24, wide)
    tiny.write_sparse(folder, shapes, shards=4)
    tiny.write_json(folder / "config.json", tiny.llava_config(intermediate_size=wide))
    tiny.write_tower(folder / "tower")
    tiny.make_tokenizer().save_pretrained(folder)

    with pytest.raises(CheckpointError, match="MB free"):
        convert_checkpoint(folder, tmp_path / "converted")
    assert not list(tmp_path.glob("*converted*"))


def test_convert_leaves_nothing_behind_where_a_weight_is_no_number(
    mounted: Path, tmp_path: Path
) -> None:
    file = mounted / "llava/model-00002-of-00002.safetensors"
    tensors = load_file(file)
    tensors[max(name for name in tensors if "mlp" in name)].view(-1)[0] = float("nan")
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="nothing was written"):
        convert_checkpoint(mounted / "llava", tmp_path / "converted")
    assert not list(tmp_path.glob("*converted*"))


def test_convert_needs_a_folder_to_write_in(mounted: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no folder"):
        convert_checkpoint(mounted / "llava", tmp_path / "nowhere" / "converted")


@pytest.mark.usefixtures("settled")
def test_a_digest_is_taken_once(mounted: Path, tmp_path: Path) -> None:
    cache = tmp_path / CACHE_NAME
    folder = mounted / "llava"
    assert known_version(folder, cache) is None
    version = read_version(folder, cache)
    assert version == read_version(folder) == known_version(folder, cache)

    kept = json.loads(cache.read_text(encoding="utf-8"))
    kept[str(folder)]["digest"] = "f" * 64
    cache.write_text(json.dumps(kept), encoding="utf-8")
    believed = read_version(folder, cache)
    assert believed != version
    assert load_checkpoint(folder, "cpu", cache_file=cache).version == believed


@pytest.mark.usefixtures("settled")
def test_a_digest_is_taken_again_after_a_change_that_kept_size_and_time(
    mounted: Path, tmp_path: Path
) -> None:
    cache = tmp_path / CACHE_NAME
    folder = mounted / "llava"
    before = read_version(folder, cache)
    file = folder / "model-00001-of-00002.safetensors"
    stat = file.stat()
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    assert known_version(folder, cache) is None
    assert read_version(folder, cache) == read_version(folder) != before


def test_a_digest_of_files_just_written_is_not_believed_later(
    mounted: Path, tmp_path: Path
) -> None:
    cache = tmp_path / CACHE_NAME
    read_version(mounted / "llava", cache)
    assert known_version(mounted / "llava", cache) is None


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("text", ["", "[]", '{"x": 1}', "\x00"])
def test_a_damaged_cache_is_as_good_as_none(mounted: Path, tmp_path: Path, text: str) -> None:
    cache = tmp_path / CACHE_NAME
    cache.write_text(text, encoding="utf-8")
    folder = mounted / "llava"
    assert read_version(folder, cache) == read_version(folder) == known_version(folder, cache)


def test_a_cache_that_cannot_be_written_costs_only_time(mounted: Path, tmp_path: Path) -> None:
    cache = tmp_path / "nowhere" / CACHE_NAME
    assert read_version(mounted / "llava", cache) == read_version(mounted / "llava")


@pytest.mark.usefixtures("settled")
def test_an_adapters_revision_follows_its_base(mounted: Path, tmp_path: Path) -> None:
    cache = tmp_path / CACHE_NAME
    before = read_version(mounted / "adapter", cache)
    file = mounted / "Tiny-Llama/model.safetensors"
    tensors = load_file(file)
    tensors["model.norm.weight"] += torch.ones(())
    save_file(tensors, file, metadata={"format": "pt"})
    assert read_version(mounted / "adapter", cache) != before


@pytest.mark.usefixtures("settled")
def test_a_drafter_keeps_its_models_digest_among_the_data(tmp_path: Path) -> None:
    drafter = open_drafter(CHECKPOINT, device="cpu", data_dir=tmp_path)
    assert drafter.version == known_version(CHECKPOINT, tmp_path / CACHE_NAME)
