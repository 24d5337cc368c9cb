"""From the settings to a drafter: which engine, which models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.settings import Settings
from core.settings_model import JudgeSettings, RemoteSettings
from core.tls_context import peer_tls
from model.auto import AutoEngine
from model.auto_folder import inspect_auto, is_for_auto
from model.chat_client import ChatClient
from model.checkpoint import inspect_checkpoint
from model.drafter import ModelDrafter
from model.engine import Engine
from model.fingerprint import CACHE_NAME
from model.generation import TextEngine
from model.number_formats import check_weights
from model.prompts import Task
from model.remote import RemoteEngine, Server
from model.site_adapters import check_adapter

_TEXT_TASKS = {
    "translate": (Task.REPORT_AR,),
    "summarize": (Task.SUMMARY_EN, Task.SUMMARY_AR),
}


def open_drafter(settings: Settings) -> ModelDrafter:
    """Return the drafter that the settings describe; models are loaded at the first draft."""
    text = settings.model.text
    return ModelDrafter(
        open_engine(settings),
        text_engine=_text_engine(settings),
        text_tasks=[task for name in (text.tasks if text else ()) for task in _TEXT_TASKS[name]],
        attempts=settings.model.attempts,
    )


def check_models(settings: Settings) -> None:
    """Refuse a model that cannot be loaded, from the small files of its folder.

    Raises:
        CheckpointError: The sentence says why.
    """
    model = settings.model
    check_weights(model.weights)
    match model.engine:
        case "remote":
            pass
        case "auto":
            inspect_auto(settings.checkpoint_folder)
        case "transformers" if is_for_auto(settings.checkpoint_folder):
            inspect_auto(settings.checkpoint_folder)
        case "transformers":
            inspect_checkpoint(settings.checkpoint_folder)
            for name, path in model.adapters.items():
                check_adapter(name, settings.resolve(path))
    if model.text is not None and model.text.engine == "transformers":
        inspect_auto(settings.resolve(Path(model.text.path)), with_images=False)


def open_judge(settings: JudgeSettings, resolve: Callable[[Path], Path]) -> ChatClient:
    """Return a client of the judge; nothing is connected yet.

    Args:
        settings: `[judge]`.
        resolve: Says where a file is that a setting names.

    Raises:
        SettingsError: A file of `[judge.tls]` cannot be used.
    """
    return ChatClient(
        settings.url,
        key=settings.key.get_secret_value(),
        connect_seconds=settings.connect_seconds,
        time_limit_seconds=settings.time_limit_seconds,
        in_flight=settings.at_once,
        tls=peer_tls(settings.tls, resolve, "judge.tls"),
    )


def open_engine(settings: Settings) -> TextEngine:
    """Return the model that sees pictures, as the settings describe it."""
    model = settings.model
    folder = settings.checkpoint_folder
    if model.engine == "remote" and model.remote is not None:
        return _remote(settings, model.remote, needs_images=True)
    if model.engine == "auto" or is_for_auto(folder):
        return _auto(settings, folder, needs_images=True)
    return Engine(
        folder,
        device=model.device,
        max_new_tokens=model.max_new_tokens,
        batch_size=model.batch_size,
        time_limit_seconds=model.time_limit_seconds,
        weights=model.weights,
        adapters={name: settings.resolve(path) for name, path in model.adapters.items()},
        cache_file=settings.data_dir / CACHE_NAME,
    )


def _text_engine(settings: Settings) -> TextEngine | None:
    text = settings.model.text
    if text is None:
        return None
    if text.engine == "remote" and text.remote is not None:
        return _remote(settings, text.remote, needs_images=False)
    return _auto(settings, settings.resolve(Path(text.path)), needs_images=False)


def _auto(settings: Settings, folder: Path, *, needs_images: bool) -> TextEngine:
    model = settings.model
    return AutoEngine(
        folder,
        device=model.device,
        max_new_tokens=model.max_new_tokens,
        time_limit_seconds=model.time_limit_seconds,
        needs_images=needs_images,
        cache_file=settings.data_dir / CACHE_NAME,
    )


def _remote(settings: Settings, remote: RemoteSettings, *, needs_images: bool) -> TextEngine:
    model = settings.model
    return RemoteEngine(
        Server(
            url=remote.url,
            model=remote.model,
            key=remote.key.get_secret_value(),
            connect_seconds=remote.connect_seconds,
            longest_edge=remote.longest_edge,
            pad_to_square=remote.pad_to_square,
        ),
        max_new_tokens=model.max_new_tokens,
        in_flight=model.batch_size,
        time_limit_seconds=model.time_limit_seconds,
        needs_images=needs_images,
    )
