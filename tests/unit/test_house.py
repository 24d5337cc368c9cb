"""The house around the code: targets, pins, hooks, pages, container files."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from core import settings, settings_file
from core.lifecycle import TRANSITIONS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# The Makefile, the pins, the hooks


_OF_MAKE = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"}


def test_make_alone_lists_every_target() -> None:
    # As a person calls it: not as a part of the make that may run the tests.
    alone = {name: value for name, value in os.environ.items() if name not in _OF_MAKE}
    listed = subprocess.run(
        ["make"], cwd=ROOT, env=alone, capture_output=True, text=True, check=True
    ).stdout

    (phony,) = re.findall(r"^\.PHONY: (.+)$", _text("Makefile"), re.MULTILINE)
    assert [line.split()[0] for line in listed.splitlines()] == phony.split()
    assert all(len(line.split()) > 1 for line in listed.splitlines())


def _named() -> list[Requirement]:
    """Return every dependency that pyproject.toml names, our own extras left out."""
    project = tomllib.loads(_text("pyproject.toml"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    named = [Requirement(line) for group in groups for line in group]
    return [requirement for requirement in named if requirement.name != "taqrir"]


def _pins() -> list[Requirement]:
    lines = _text("constraints.txt").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def test_every_direct_dependency_is_pinned_to_one_version() -> None:
    pins = {canonicalize_name(pin.name): str(pin.specifier) for pin in _pins()}

    assert {canonicalize_name(requirement.name) for requirement in _named()} <= pins.keys()
    assert len(pins) == len(_pins())
    assert all(re.fullmatch(r"==[0-9][\w.]*", pin) for pin in pins.values())
    assert "://" not in _text("constraints.txt")


def test_what_the_project_asks_for_agrees_with_its_pins() -> None:
    pins = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in _pins()}

    for requirement in _named():
        assert pins[canonicalize_name(requirement.name)] in requirement.specifier


def _hooks() -> dict[str, dict[str, Any]]:
    (repository,) = yaml.safe_load(_text(".pre-commit-config.yaml"))["repos"]
    return {hook["id"]: hook for hook in repository["hooks"]}


def test_the_hooks_run_what_make_check_runs() -> None:
    (recipe,) = re.findall(r"^check: .*\n((?:\t.+\n)+)", _text("Makefile"), re.MULTILINE)
    programs = {line.split()[0].removeprefix("$(BIN)/") for line in recipe.splitlines()}

    entries = {hook["entry"].split()[0].removeprefix(".venv/bin/") for hook in _hooks().values()}
    assert entries == programs | {"bash"}


@pytest.mark.parametrize(("kibibytes", "is_refused"), [(25600, False), (25601, True)])
def test_the_hook_for_large_files_stops_at_25_mb(
    tmp_path: Path, kibibytes: int, is_refused: bool
) -> None:
    small, large = tmp_path / "small file", tmp_path / "large file"
    small.touch()
    with large.open("wb") as file:
        file.truncate(kibibytes * 1024)

    command = [*shlex.split(_hooks()["large-files"]["entry"]), str(small), str(large)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (answer.returncode != 0) is is_refused
    assert ("large file" in answer.stdout) is is_refused
    assert "small file" not in answer.stdout


# The pages


def test_the_page_draws_the_table_of_states_as_the_code_has_it() -> None:
    rows = re.findall(
        r"^\| ([A-Z_, ]+) \| ([a-z_]+) \| ([A-Z_]+) \|$",
        _text("docs/architecture.md"),
        re.MULTILINE,
    )
    drawn = [(f, e, to) for froms, e, to in rows for f in froms.split(", ")]

    assert len(drawn) == len(set(drawn))
    assert set(drawn) == {(str(f), str(e), str(to)) for (f, e), to in TRANSITIONS.items()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_the_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if not target.startswith("https://")]

    assert [target for target in local if not (page.parent / target).exists()] == []


def test_the_page_names_every_section_of_the_settings() -> None:
    page = _text("docs/architecture.md")
    for section in settings.Settings.model_fields:
        assert f"[{section}]" in page or f"`{section}`" in page


def test_the_readme_says_what_a_site_must_know() -> None:
    readme = _text("README.md")
    for words in (
        "Not a medical device",
        "CC-BY-NC-SA-4.0",
        "make demo",
        "make test",
        "means nothing",
    ):
        assert words in readme


def test_the_settings_of_the_readme_and_of_the_example_are_accepted(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.+?)```", _text("README.md"), re.DOTALL)
    written = tmp_path / "taqrir.toml"
    written.write_text(example, encoding="utf-8")

    for file in (written, ROOT / "deploy" / "taqrir.example.toml"):
        loaded = settings_file.load(file, {})
        assert (len(loaded.senders), len(loaded.pacs), len(loaded.ris)) == (1, 1, 1)


# The container files: no engine runs them here, so that at least their parts must fit


def test_the_compose_file_and_the_image_recipe_fit_together() -> None:
    compose = yaml.safe_load(_text("docker-compose.yml"))
    recipe = _text("deploy/Dockerfile")
    services, volumes = compose["services"], compose["volumes"]

    for name in ("node", "worker"):
        build = services[name]["build"]
        assert (ROOT / build["dockerfile"]).exists()
        stage = recipe.split(f" AS {build['target']}\n")[1].split("\nFROM ")[0]
        assert "HEALTHCHECK" in stage
        assert f'CMD ["{name}"' in stage
        for variable in services[name]["environment"]:
            section, key = variable.removeprefix("TAQRIR_").lower().split("__")
            assert hasattr(getattr(settings.Settings(), section), key)
    assert all("healthcheck" in services[name] for name in ("postgres", "redis"))
    named = [v.split(":")[0] for s in services.values() for v in s["volumes"] if v[0] not in "./$"]
    assert set(named) == set(volumes)


def test_the_node_image_installs_no_model_and_nobody_runs_as_root() -> None:
    recipe = _text("deploy/Dockerfile")
    (node, worker) = re.findall(r"'\.\[(.+)\]'", recipe)

    assert set(worker.split(",")) - set(node.split(",")) == {"model", "pages"}
    assert "USER taqrir" in recipe.split(" AS base\n")[1].split("\nFROM ")[0]
    for copied in re.findall(r"^COPY (?!--)(.+) \S+$", recipe, re.MULTILINE):
        assert all((ROOT / name).exists() for name in copied.split())
