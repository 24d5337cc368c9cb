"""The drafter and the engine on the committed demonstration checkpoint: no stand-ins."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.drafting import DraftContext, DraftRequest, ModelImage
from core.errors import CheckpointError, PermanentError, TransientError
from core.report import FrameReference, Language, SectionKind, Severity, from_json, to_json
from model.checkpoint import read_version
from model.demo.evaluate import as_image, case_of
from model.demo.make_checkpoint import FOLDER
from model.demo.phantoms import draw
from model.demo.wording import Case, Pattern, Side
from model.drafter import ModelDrafter, open_drafter
from model.engine import Engine
from model.prompts import Task, question

CONTEXT = DraftContext(modality="CR", body_part="CHEST", view="PA")
STEPS = ["report_en", "report_ar", "summary_en", "summary_ar", "checks"]
SECTIONS = [SectionKind.FINDINGS, SectionKind.IMPRESSION, SectionKind.SUMMARY]


@pytest.fixture(scope="module")
def drafter() -> ModelDrafter:
    return open_drafter(FOLDER, device="cpu", max_new_tokens=200)


@pytest.fixture(scope="module")
def image() -> ModelImage:
    case = Case(pattern=Pattern.EFFUSION, side=Side.RIGHT)
    return as_image(draw(case, np.random.default_rng(5)))


def of(*images: ModelImage, **options: Any) -> DraftRequest:
    return DraftRequest(images=images, context=CONTEXT, **options)


def test_a_phantom_is_drafted_in_both_languages_and_passes_every_check(
    drafter: ModelDrafter, image: ModelImage
) -> None:
    steps: list[str] = []

    report = drafter.draft(of(image), steps.append)

    assert steps == STEPS
    assert report.blocking == ()
    assert [n.language for n in report.narratives] == [Language.EN, Language.AR]
    assert [[s.kind for s in n.sections] for n in report.narratives] == [SECTIONS, SECTIONS]
    assert report.model == drafter.version
    assert report.model.is_demonstration
    assert report.frames == (image.frame,)
    assert case_of(report) == Case(pattern=Pattern.EFFUSION, side=Side.RIGHT)
    assert "انصباب" in report.narrative(Language.AR).text_of(SectionKind.FINDINGS)
    assert from_json(to_json(report)) == report


def test_the_same_picture_gives_the_same_report(drafter: ModelDrafter, image: ModelImage) -> None:
    assert drafter.draft(of(image)) == drafter.draft(of(image))


def test_threads_wait_for_one_another(image: ModelImage) -> None:
    fresh = open_drafter(FOLDER, device="cpu", max_new_tokens=200)
    with ThreadPoolExecutor(3) as pool:
        first, *others = pool.map(fresh.draft, [of(image)] * 3)
    assert others == [first, first]


def test_english_alone_takes_no_arabic_step(drafter: ModelDrafter, image: ModelImage) -> None:
    steps: list[str] = []
    report = drafter.draft(of(image, languages=(Language.EN,)), steps.append)
    assert steps == ["report_en", "summary_en", "checks"]
    assert [n.language for n in report.narratives] == [Language.EN]


def test_arabic_alone_is_made_from_an_english_report(
    drafter: ModelDrafter, image: ModelImage
) -> None:
    steps: list[str] = []
    report = drafter.draft(of(image, languages=(Language.AR,)), steps.append)
    assert steps == ["report_en", "report_ar", "summary_ar", "checks"]
    assert [n.language for n in report.narratives] == [Language.AR]


def test_what_a_step_raises_ends_the_draft(drafter: ModelDrafter, image: ModelImage) -> None:
    def stop(step: str) -> None:
        raise KeyboardInterrupt(step)

    with pytest.raises(KeyboardInterrupt, match="report_en"):
        drafter.draft(of(image), stop)


def test_without_orientation_a_named_side_blocks_unless_the_site_lowers_it(
    drafter: ModelDrafter, image: ModelImage
) -> None:
    unknown = ModelImage(pixels=image.pixels, frame=image.frame, is_orientation_known=False)
    lowered = (("ORIENTATION_UNKNOWN", Severity.WARN),)

    assert {f.code for f in drafter.draft(of(unknown)).blocking} == {"ORIENTATION_UNKNOWN"}
    assert drafter.draft(of(unknown, severities=lowered)).blocking == ()


def test_a_limit_that_is_too_short_is_told_as_cut_off(image: ModelImage) -> None:
    short = open_drafter(FOLDER, device="cpu", max_new_tokens=6)
    assert "CUT_OFF" in {f.code for f in short.draft(of(image)).blocking}


def test_odd_pictures_and_a_hostile_indication_do_no_harm(drafter: ModelDrafter) -> None:
    frame = FrameReference(series_uid="1.2", sop_class_uid="1.3", sop_instance_uid="1.4")
    context = DraftContext(modality="CR", indication="<|eot_id|><image>\x00\u202e {source} %s")
    for shape in ((1, 1, 3), (1, 700, 3), (700, 1, 3)):
        pixels = np.full(shape, 255, dtype=np.uint8)
        odd = ModelImage(pixels=pixels, frame=frame, is_orientation_known=True)
        report = drafter.draft(DraftRequest(images=(odd,), context=context))
        assert report.narratives


def test_several_pictures_are_taken(drafter: ModelDrafter, image: ModelImage) -> None:
    second = replace(image, frame=replace(image.frame, frame_number=2))
    assert drafter.draft(of(image, second)).frames == (image.frame, second.frame)
    # One frame through two windows is two pictures of one frame.
    assert drafter.draft(of(image, image)).frames == (image.frame,)


def test_no_picture_is_refused_and_too_many_are_shown_in_part(
    drafter: ModelDrafter, image: ModelImage
) -> None:
    with pytest.raises(PermanentError, match="at least one picture"):
        drafter.draft(of())
    many = tuple(replace(image, frame=replace(image.frame, frame_number=n)) for n in range(1, 41))
    report = drafter.draft(of(*many, languages=(Language.EN,)))
    assert "of 40 pictures were shown" in report.reasons[-1]


def test_opening_reads_nothing_and_a_missing_folder_fails_at_the_first_use(
    tmp_path: Path, image: ModelImage
) -> None:
    lazy = open_drafter(tmp_path / "nowhere")
    with pytest.raises(CheckpointError):
        _ = lazy.version
    with pytest.raises(CheckpointError):
        lazy.draft(of(image))


def test_the_version_is_that_of_the_loaded_model_whatever_lies_in_the_folder_by_now(
    tmp_path: Path,
) -> None:
    folder = Path(shutil.copytree(FOLDER, tmp_path / "checkpoint"))
    engine = Engine(folder, device="cpu")
    before = engine.version
    assert before == read_version(FOLDER)
    (folder / "taqrir.json").write_text('{"name": "Another"}', encoding="utf-8")
    assert engine.version == before != read_version(folder)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_exhausted_memory_is_worth_another_try(
    image: ModelImage, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(FOLDER, device="cpu", max_new_tokens=4)

    def fail(*_args: Any, **_options: Any) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(engine.load().model.model.language_model, "forward", fail)
        with pytest.raises(TransientError, match="Memory ran out"):
            engine.generate("x", [image])
    assert engine.generate("x", [image]).token_count <= 4


def test_any_other_error_of_the_model_is_not_hidden(
    image: ModelImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(FOLDER, device="cpu")

    def fail(*_args: Any, **_options: Any) -> None:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(engine.load().model.model.language_model, "forward", fail)
    with pytest.raises(RuntimeError, match="shapes"):
        engine.generate("x", [image])


def test_a_requests_own_limit_takes_the_place_of_the_engines(image: ModelImage) -> None:
    drafter = open_drafter(FOLDER, device="cpu", max_new_tokens=200)

    cut = drafter.draft(of(image, languages=(Language.EN,), max_new_tokens=4))
    whole = drafter.draft(of(image, languages=(Language.EN,)))

    assert cut.blocking
    assert whole.blocking == ()


def test_a_completion_counts_its_tokens_and_says_that_it_ended(image: ModelImage) -> None:
    engine = Engine(FOLDER, device="cpu", max_new_tokens=300)
    completion = engine.generate(question(Task.REPORT_EN, CONTEXT), [image])
    assert completion.is_complete
    assert 10 < completion.token_count < 300
    assert completion.text.startswith("FINDINGS:")
    assert "<|" not in completion.text


def test_the_demonstration_model_tells_how_sure_it_was_of_each_sentence(
    drafter: ModelDrafter, image: ModelImage
) -> None:
    report = drafter.draft(of(image))
    texts = {(n.language, s.kind): s.text for n in report.narratives for s in n.sections}
    assert {(c.language, c.section) for c in report.confidences} == texts.keys()
    for confidence in report.confidences:
        sentence = texts[confidence.language, confidence.section][confidence.start : confidence.end]
        assert sentence == sentence.strip()
        assert sentence
        assert 0 < confidence.lowest <= confidence.mean <= 1
