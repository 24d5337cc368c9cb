"""From a signed draft to an adapter of the site: every step by its command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner, Result
from harness import Site, film
from harness.tiny_checkpoint import save_tiny
from safetensors.torch import load_file

from cli.main import taqrir
from core.report import Language, from_json, to_json
from worker.signing import Reader, sign


def test_signed_reports_are_exported_and_make_an_adapter_that_the_model_loads_with(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    base, data, adapter = (tmp_path / name for name in ("base", "data", "adapter"))
    save_tiny(base)
    site = make_site(rules='[training]\nconsent = "all"')
    site.take_in(film(), film(AccessionNumber="ACC2", value=60))
    for study in (1, 2):
        draft = site.drafts(study)[0].report
        edited = from_json(draft.replace("A normal film.", "A normal chest film."))
        assert to_json(edited) != draft
        sign(
            site.parts,
            study,
            version=1,
            languages=(Language.EN, Language.AR),
            reader=Reader(name="Darwish^Mona", id="R7", account="mona"),
            edited=edited,
        )

    def run(*arguments: str | Path) -> Result:
        result = CliRunner().invoke(taqrir, [*map(str, arguments), "--config", str(site.config)])
        assert result.exit_code == 0, result.output + repr(result.exception)
        return result

    run("model", "export", "--out", data)
    trained = run(
        *("model", "train", "--adapter", "--base", base, "--data", data / "pairs.jsonl"),
        *("--out", adapter, "--batch", "4", "--device", "cpu", "--json"),
    )
    done = json.loads(trained.stdout[trained.stdout.index('{\n  "') :])
    assert (done["samples"], done["steps"]) == (8, 2)
    weights = load_file(adapter / "adapter_model.safetensors")
    assert any(weight.abs().max() > 0 for name, weight in weights.items() if "lora_B" in name)
    assert json.loads(run("model", "info", adapter, "--json").stdout)["adapter"]
