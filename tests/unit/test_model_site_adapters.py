"""Several adapters on one model: each writes what its merged form writes, in any batch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from harness import Site, film
from harness.checkpoints import LINEAR, make_reference, wrap, write_hf

from core import migration
from core.drafting import Answer, AskRequest, DraftContext, ModelImage
from core.errors import CheckpointError, PermanentError, SettingsError
from core.report import FrameReference, Language
from core.settings_file import load
from model.conversation import answer
from model.engine import Engine
from model.generation import GenerationRequest
from model.opening import check_models, open_drafter
from worker.asking import ask

FRAME = FrameReference(series_uid="1.2", sop_class_uid="1.3", sop_instance_uid="1.4")
LIMIT = 12


def write_site_adapter(folder: Path, base: Path, seed: int, targets: tuple[str, ...]) -> Path:
    """Write an adapter as PEFT saves it, with a card that says where its base is."""
    settings = {"rank_pattern": {"q_proj": 2}, "use_rslora": seed % 2 == 0}
    wrapped = wrap(make_reference(), r=4, lora_alpha=6, target_modules=list(targets), **settings)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in wrapped.named_parameters():
            if "lora_" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.2)
    wrapped.save_pretrained(folder, save_embedding_layers=False)
    card = {"name": f"{folder.name}-merged", "base": str(base)}
    (folder / "taqrir.json").write_text(json.dumps(card))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("adapters")
    base = write_hf(root / "base", make_reference(), rename=None)
    return {
        "": base,
        "chest": write_site_adapter(root / "chest", base, 3, LINEAR),
        "bones": write_site_adapter(root / "bones", base, 4, ("q_proj", "v_proj", "down_proj")),
    }


@pytest.fixture(scope="module")
def engine(folders: dict[str, Path]) -> Engine:
    adapters = {name: folder for name, folder in folders.items() if name}
    return Engine(folders[""], device="cpu", max_new_tokens=LIMIT, adapters=adapters)


def pictures() -> list[ModelImage]:
    made = [np.random.default_rng(seed).integers(0, 255, (40, 50, 3)) for seed in range(2)]
    return [
        ModelImage(pixels=one.astype(np.uint8), frame=FRAME, is_orientation_known=True)
        for one in made
    ]


def test_in_one_batch_each_adapter_writes_what_it_writes_merged_and_alone(
    engine: Engine, folders: dict[str, Path]
) -> None:
    images = pictures()
    asked = [
        GenerationRequest(question=f"Question {number}?", images=(image,), adapter=name)
        for number, image in enumerate(images)
        for name in ("chest", "", "bones")
    ]
    futures = [engine.submit(one) for one in asked]

    together = [future.result(60) for future in futures]

    for name, folder in folders.items():
        merged = Engine(folder, device="cpu", max_new_tokens=LIMIT)
        for one, done in zip(asked, together, strict=True):
            if one.adapter == name:
                alone = merged.generate(one.question, one.images)
                assert alone.text == done.text
                assert alone.log_probabilities == pytest.approx(done.log_probabilities, abs=1e-4)
    answers = {done.log_probabilities for done in together}
    assert len(answers) == len(together)


def test_a_draft_names_the_adapter_that_wrote_it(engine: Engine) -> None:
    chest, bones = engine.version_of("chest"), engine.version_of("bones")
    assert chest.name == "base + chest"
    assert len({engine.version.revision, chest.revision, bones.revision}) == 3
    assert engine.version_of("") == engine.version
    with pytest.raises(PermanentError, match="bones, chest"):
        engine.version_of("spine")
    asked = GenerationRequest(question="?", images=tuple(pictures()), adapter="spine")
    with pytest.raises(PermanentError, match="no adapter called spine"):
        engine.submit(asked).result(10)


def test_a_question_is_answered_by_the_adapter_that_it_names(engine: Engine) -> None:
    def said(adapter: str) -> Answer:
        return answer(
            engine,
            AskRequest(
                images=tuple(pictures()),
                context=DraftContext(modality="CR"),
                question="Any nodule?",
                language=Language.EN,
                adapter=adapter,
            ),
        )

    bare, chest = said(""), said("chest")
    assert (bare.model, chest.model) == (engine.version, engine.version_of("chest"))
    assert bare.text != chest.text
    with pytest.raises(PermanentError, match="no adapter called spine"):
        said("spine")


def test_an_adapter_that_cannot_be_switched_is_refused_before_the_weights_are_read(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    whole = Path(shutil.copytree(folders["chest"], tmp_path / "whole"))
    torch.save({"model.mm_projector.0.bias": torch.zeros(24)}, whole / "non_lora_trainables.bin")
    config = tmp_path / "taqrir.toml"
    config.write_text(f'[model]\npath = "{folders[""]}"\n[model.adapters]\nwhole = "whole"\n')
    with pytest.raises(CheckpointError, match=r"set model\.path to its folder"):
        check_models(load(config, {}))
    with pytest.raises(CheckpointError, match="is no configuration of a LoRA adapter"):
        Engine(folders[""], device="cpu", adapters={"x": folders[""]}).load()


def test_an_adapter_of_another_models_size_is_named(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    other = Path(shutil.copytree(folders["bones"], tmp_path / "other"))
    content = json.loads((other / "adapter_config.json").read_text())
    (other / "adapter_config.json").write_text(json.dumps({**content, "r": 8}))
    with pytest.raises(CheckpointError, match=r"adapter other in .* does not fit"):
        Engine(folders[""], device="cpu", adapters={"other": other}).load()


def test_a_rule_chooses_the_adapter(folders: dict[str, Path], tmp_path: Path) -> None:
    site = Site(
        tmp_path / "site",
        rules=f'[model.adapters]\nchest = "{folders["chest"]}"\n'
        '[[rules]]\nname = "films"\nmodality = ["CR"]\nadapter = "chest"\npriority = "stat"\n',
    )
    migration.migrate(site.engine)
    site.take_in(film())
    (asked,) = site.drafter.requests
    assert (asked.adapter, asked.is_urgent) == ("chest", True)
    assert site.drafts()[0].selection["options"] == {"adapter": "chest"}
    ask(site.parts, 1, "Any nodule?", Language.EN, actor="test")
    assert site.drafter.questions[0].adapter == "chest"
    site.close()
    assert open_drafter(site.settings)._engine._adapters == {"chest": folders["chest"]}


def test_a_rule_that_names_no_adapter_of_the_model_stops_the_start(tmp_path: Path) -> None:
    config = tmp_path / "taqrir.toml"
    config.write_text('[[rules]]\nname = "films"\nadapter = "chest"\n')
    with pytest.raises(SettingsError, match=r"\[model.adapters\] does not: chest"):
        load(config, {})
    config.write_text('[[rules]]\nname = "no"\naction = "ignore"\nadapter = "chest"\n')
    with pytest.raises(SettingsError, match="without effect"):
        load(config, {})
