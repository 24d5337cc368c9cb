"""`engine = "remote"` against transformers' own server, on the demonstration checkpoint."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.bench import write_bench
from harness.phantoms import effusion
from harness.phantoms import picture as drawn
from servers import free_port, program, running
from servers.process import is_listening

from core.drafting import DraftContext, ModelImage
from core.errors import PermanentError
from core.settings_file import load
from model.chat_client import ChatClient
from model.conversion import convert_checkpoint
from model.demo import CHECKPOINT
from model.engine import Engine
from model.evaluate.judge import ask_judge
from model.evaluate.mbench import rate, read_bench, read_replies, requests_for
from model.generation import GenerationRequest
from model.opening import open_drafter
from model.phantom.case import Side
from model.prompts import Task, question
from model.remote import RemoteEngine, Server

pytestmark = [pytest.mark.peer, pytest.mark.slow]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address of a server, and the folder of the model that it has: ours, converted."""
    folder = tmp_path_factory.mktemp("served")
    model = folder / "demo"
    convert_checkpoint(CHECKPOINT, model)
    # It lists the models of a hub's cache, which must be there.
    (folder / "home" / "hub").mkdir(parents=True)
    port = free_port()
    # The program reads no file of a user and asks nobody on the network.
    where = {"HF_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1"}
    command = ["/usr/bin/env", *(f"{name}={value}" for name, value in where.items())]
    command += [program(Path(sys.executable).parent / "transformers", "transformers"), "serve"]
    command += [str(model), "--device", "cpu", "--dtype", "float32"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with running(command, log=folder / "serve.log", is_ready=lambda: is_listening(port)):
        yield f"http://127.0.0.1:{port}/v1", model


@pytest.fixture(scope="module")
def picture() -> ModelImage:
    return drawn(effusion(Side.RIGHT))


def test_a_server_writes_what_the_same_model_writes_here(
    served: tuple[str, Path], picture: ModelImage
) -> None:
    url, model = served
    remote = RemoteEngine(Server(url=url, model=str(model)))
    local = Engine(CHECKPOINT, device="cpu")
    asked = question(Task.REPORT_EN, DraftContext(modality="CR", body_part="CHEST", view="PA"))

    there, here = remote.generate(asked, [picture], 200), local.generate(asked, [picture], 200)

    assert there.text == here.text
    assert there.text.startswith("FINDINGS:")
    assert there.is_complete
    cut = remote.submit(GenerationRequest(question=asked, images=(picture,), max_new_tokens=5))
    assert not cut.result(60).is_complete
    remote.close()


def test_a_model_that_it_does_not_have_is_refused_in_its_own_words(
    served: tuple[str, Path], picture: ModelImage
) -> None:
    remote = RemoteEngine(Server(url=served[0], model="no/such-model"))
    with pytest.raises(PermanentError, match="The model server refused with 4"):
        remote.generate("?", [picture])
    remote.close()


def test_the_settings_open_it_as_the_model_that_sees_or_as_the_one_that_translates(
    served: tuple[str, Path], tmp_path: Path
) -> None:
    url, model = served
    config = tmp_path / "taqrir.toml"
    config.write_text(
        f'[model]\nengine = "remote"\n[model.remote]\nurl = "{url}"\nmodel = "{model}"\n'
    )
    seeing = open_drafter(load(config, {}))
    assert seeing.version.name == "demo"
    config.write_text(
        '[model.text]\nengine = "remote"\ntasks = ["translate"]\n'
        f'[model.text.remote]\nurl = "{url}"\nmodel = "{model}"\n'
    )
    translating = open_drafter(load(config, {}))
    assert translating.version.name.endswith(" + demo")
    for engine in (seeing._engine, translating._text_engine):
        assert isinstance(engine, RemoteEngine)
        engine.close()


def test_a_judge_is_asked_there_and_what_it_cannot_rate_is_not_guessed(
    served: tuple[str, Path], tmp_path: Path
) -> None:
    url, model = served
    bench, answers = write_bench(tmp_path)
    questions, replies = read_bench(bench), tmp_path / "replies.jsonl"
    client = ChatClient(url)
    asked = requests_for(questions, answers, str(model), {"temperature": 0, "max_tokens": 8})
    ask_judge(client, asked, replies, at_once=2)
    client.close()
    kept = [json.loads(line) for line in replies.read_text(encoding="utf-8").splitlines()]
    assert {record["custom_id"] for record in kept} == {"7", "8"}
    # A model that writes reports rates nothing.
    with pytest.raises(PermanentError, match="no rating that can be read"):
        rate(questions, read_replies(replies, asked))
