"""Requests in flight together: nobody's answer depends on who else is in the batch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from harness.checkpoints import TEXT, TOWER
from harness.phantoms import effusion, picture
from transformers import (
    CLIPVisionConfig,
    GenerationConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    MistralConfig,
)

from core.drafting import DraftContext, ModelImage
from core.errors import DraftCancelledError, MemoryExhaustedError, PermanentError, TransientError
from core.report import FrameReference
from model import decoding
from model.batching import Batch, Generation
from model.decoding import Decoder
from model.demo import CHECKPOINT
from model.engine import Engine
from model.generation import Completion, GenerationRequest
from model.phantom.case import Side
from model.prompts import Task, encode, question
from model.vision import to_pixel_values

CONTEXT = DraftContext(modality="CR", body_part="CHEST", view="PA")
FRAME = FrameReference(series_uid="1.2", sop_class_uid="1.3", sop_instance_uid="1.4")
LIMIT = 60


@pytest.fixture(scope="module")
def pictures() -> list[ModelImage]:
    return [picture(effusion(Side.RIGHT)), picture(effusion(Side.LEFT)), picture()]


@pytest.fixture(scope="module")
def engine() -> Engine:
    """An engine whose model is loaded once; each test gets what it does to the batch back."""
    made = Engine(CHECKPOINT, device="cpu", max_new_tokens=LIMIT, batch_size=8)
    made.load()
    return made


@pytest.fixture(autouse=True)
def batch(engine: Engine) -> Iterator[Batch]:
    """The engine's batch, empty, with nothing kept in its rows."""
    assert engine._batch is not None
    fresh = Batch(
        Decoder(engine.load()),
        most_rows=8,
        end_ids=engine._end_ids,
        finish=engine._complete,
        prepare=engine._set_threads,
    )
    engine._batch, before = fresh, engine._batch
    yield fresh
    engine._batch = before


def plain(engine: Engine, asked: GenerationRequest) -> list[int]:
    """Return the tokens that transformers' own `generate` makes for a request, asked alone."""
    loaded = engine.load()
    prompt = encode(
        loaded.tokenizer,
        asked.question,
        image_count=len(asked.images),
        tokens_per_image=loaded.geometry.token_count,
    )
    pixels = [to_pixel_values(image.pixels, loaded.geometry.size) for image in asked.images]
    ids = torch.tensor([prompt])
    with torch.inference_mode():
        made = loaded.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=torch.from_numpy(np.stack(pixels)),
            generation_config=GenerationConfig(
                do_sample=False,
                max_new_tokens=asked.max_new_tokens or LIMIT,
                eos_token_id=list(engine._end_ids),
                pad_token_id=engine._end_ids[0],
            ),
        )
    return list(made[0, len(prompt) :].tolist())


def plain_text(engine: Engine, asked: GenerationRequest) -> str:
    text: str = engine.load().tokenizer.decode(plain(engine, asked), skip_special_tokens=True)
    return text.rstrip("\N{REPLACEMENT CHARACTER}")


def ragged(pictures: list[ModelImage]) -> list[GenerationRequest]:
    """Return requests that differ in pictures, in the length of the question and of the answer."""
    one, two, three = pictures
    long = "The lungs are clear. " * 12
    return [
        asking(question(Task.REPORT_EN, CONTEXT), one),
        asking(question(Task.REPORT_AR, CONTEXT, long), one),
        asking(question(Task.REPORT_EN, DraftContext()), two),
        asking("?", one, two, three),
        asking(question(Task.SUMMARY_AR, CONTEXT, "لا يوجد"), three, max_new_tokens=3),
        asking(question(Task.SUMMARY_EN, CONTEXT, long * 2), two),
        asking("x" * 200, two, one),
        asking(question(Task.REPORT_EN, CONTEXT), three),
    ]


def asking(text: str, *images: ModelImage, **options: Any) -> GenerationRequest:
    return GenerationRequest(question=text, images=images, **options)


def answers(futures: list[Future[Completion]]) -> list[Completion]:
    return [future.result(30) for future in futures]


def test_answers_of_a_batch_are_those_that_each_request_gets_alone(
    engine: Engine, batch: Batch, pictures: list[ModelImage]
) -> None:
    asked = ragged(pictures)
    # The second half joins while the first is at work.
    futures = [engine.submit(one) for one in asked[:4]]
    time.sleep(0.05)
    futures += [engine.submit(one) for one in asked[4:]]

    assert [done.text for done in answers(futures)] == [plain_text(engine, one) for one in asked]
    assert batch.counters.largest > 2


def test_more_requests_than_rows_wait_for_their_turn(
    engine: Engine, batch: Batch, pictures: list[ModelImage]
) -> None:
    batch._capacity = batch._most_rows = 3
    asked = ragged(pictures)

    done = answers([engine.submit(one) for one in asked])

    assert [one.text for one in done] == [plain_text(engine, one) for one in asked]
    assert batch.counters.largest == 3


def test_the_tasks_of_a_study_share_their_pictures(
    engine: Engine, batch: Batch, pictures: list[ModelImage]
) -> None:
    asked = [asking(f"{number}?", pictures[0], pictures[1]) for number in range(4)]
    asked += [asking(f"{number}?", pictures[2]) for number in range(2)]

    together = answers([engine.submit(one) for one in asked])
    after = engine.submit(asking("later?", pictures[2])).result(30)

    assert batch.counters.towers == 3
    assert batch.counters.shared == 5
    assert [done.text for done in together] == [plain_text(engine, one) for one in asked]
    assert after.text == plain_text(engine, asking("later?", pictures[2]))


def test_rows_are_given_again_without_a_trace_of_what_stood_in_them(
    engine: Engine, batch: Batch, pictures: list[ModelImage]
) -> None:
    batch._capacity = batch._most_rows = 2
    asked = [
        asking(f"{number}: {'x' * (7 * number % 50)}", *pictures[number % 3 :][: 1 + number % 2])
        for number in range(14)
    ]
    done = answers([engine.submit(one) for one in asked])
    assert [one.text for one in done] == [plain_text(engine, one) for one in asked]


def test_a_row_that_holds_a_beginning_goes_to_whoever_needs_it() -> None:
    decoder: Any = SimpleNamespace(cache=SimpleNamespace(rows=7))
    batch = Batch(decoder, most_rows=7, end_ids=[], finish=lambda done: done)

    def one(key: str) -> Generation:
        return Generation(prompt=[1], prefix_key=key, limit=1, time_limit_seconds=1)

    batch._active = {row: one("L") for row in (0, 1, 3, 4)}
    batch._kept = {5: "K", 2: "K", 0: "L", 6: "M"}
    first, other, second = one("K"), one("L"), one("K")

    sharing = batch._give_rows([first, other, second])

    assert [first.row, other.row, second.row] == [2, 6, 5]
    assert sharing == {first: 2, other: 0, second: 5}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_a_thread_that_died(
    engine: Engine, batch: Batch, pictures: list[ModelImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("an illegal memory access was encountered")

    with monkeypatch.context() as patched:
        patched.setattr(batch._decoder, "join", fail)
        patched.setattr("model.batching.free_memory", fail)
        with pytest.raises((TransientError, RuntimeError)):
            engine.generate("x", [pictures[0]])
    assert engine.generate("x", [pictures[0]]).token_count > 0


def test_an_urgent_request_joins_before_those_that_waited_longer(
    engine: Engine, batch: Batch, pictures: list[ModelImage]
) -> None:
    batch._capacity = batch._most_rows = 1
    order: list[str] = []
    futures = []
    for name, urgent in (("first", False), ("second", False), ("third", False), ("stat", True)):
        future = engine.submit(asking("Report?", pictures[0], is_urgent=urgent))
        future.add_done_callback(lambda _, name=name: order.append(name))
        futures.append(future)
    answers(futures)

    # One at most was under way when the urgent one came.
    assert order.index("stat") <= 1


def test_a_cancelled_request_leaves_its_row_and_those_beside_it_go_on(
    engine: Engine, batch: Batch, pictures: list[ModelImage]
) -> None:
    given_up = threading.Event()
    loser = engine.submit(asking("x", pictures[0], cancelled=given_up, max_new_tokens=1000))
    dropped = engine.submit(asking("y", pictures[0], max_new_tokens=1000))
    stays = asking(question(Task.REPORT_EN, CONTEXT), pictures[1])
    future = engine.submit(stays)
    given_up.set()
    dropped.cancel()

    with pytest.raises(DraftCancelledError):
        loser.result(30)
    assert future.result(30).text == plain_text(engine, stays)
    assert not batch._active


def test_what_is_cancelled_while_it_waits_is_never_worked_on(
    engine: Engine, batch: Batch, pictures: list[ModelImage]
) -> None:
    gone = threading.Event()
    gone.set()
    with pytest.raises(DraftCancelledError):
        engine.submit(asking("x", pictures[0], cancelled=gone)).result(30)
    assert batch.counters.towers == 0


def test_a_request_over_its_time_fails_and_may_be_tried_again(
    engine: Engine, batch: Batch, pictures: list[ModelImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_time_limit_seconds", 0.0)
    with pytest.raises(TransientError, match="longer than 0 s"):
        engine.generate("x", [pictures[0]])
    assert not batch._active


def out_of_memory_above(rows: int, run: Callable[..., Any]) -> Callable[..., Any]:
    """Return a step that finds no memory for more rows than that."""

    def step(tokens: list[int], positions: list[int | None], *options: Any) -> Any:
        if sum(position is not None for position in positions) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return run(tokens, positions, *options)

    return step


def test_where_memory_runs_out_a_smaller_batch_gives_the_same_answers_and_grows_again(
    engine: Engine,
    batch: Batch,
    pictures: list[ModelImage],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = ragged(pictures)
    with monkeypatch.context() as patched:
        patched.setattr(batch._decoder, "step", out_of_memory_above(2, batch._decoder.step))
        done = answers([engine.submit(one) for one in asked])

    assert [one.text for one in done] == [plain_text(engine, one) for one in asked]
    assert batch.counters.reductions >= 1
    assert batch._capacity <= 2
    monkeypatch.setattr("model.batching._RECOVERY_ANSWERS", 1)
    answers([engine.submit(one) for one in asked])
    assert batch._capacity == 8


def test_a_request_that_does_not_fit_alone_is_told_so_and_the_next_one_is_served(
    engine: Engine, batch: Batch, pictures: list[ModelImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(batch._decoder, "step", out_of_memory_above(0, batch._decoder.step))
        with pytest.raises(MemoryExhaustedError):
            engine.generate("x", [pictures[0]])
    assert engine.generate("x", [pictures[0]]).token_count > 0


def test_a_fault_fails_those_in_flight_and_nobody_after_them(
    engine: Engine, batch: Batch, pictures: list[ModelImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(batch._decoder, "join", fail)
        with pytest.raises(ValueError, match="a bug"):
            engine.generate("x", [pictures[0]])
    assert engine.generate("x", [pictures[0]]).token_count > 0


def test_a_model_that_computes_no_number_is_told(
    engine: Engine, pictures: list[ModelImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    vocabulary = len(engine.load().tokenizer)
    monkeypatch.setattr(
        engine.load().model.lm_head,
        "forward",
        lambda hidden: torch.full((len(hidden), vocabulary), torch.nan),
    )
    with pytest.raises(PermanentError, match="no number"):
        engine.generate("x", [pictures[0]])


def test_each_token_keeps_its_probability_and_its_place_in_the_text(
    engine: Engine, pictures: list[ModelImage]
) -> None:
    source = "لا يوجد استرواح صدري."
    asked = asking(question(Task.SUMMARY_AR, CONTEXT, source), pictures[0])
    done = engine.submit(asked).result(30)

    loaded = engine.load()
    made = plain(engine, asked)
    prompt = encode(loaded.tokenizer, asked.question, image_count=1, tokens_per_image=64)
    pixels = to_pixel_values(pictures[0].pixels, loaded.geometry.size)
    with torch.inference_mode():
        logits = loaded.model(
            input_ids=torch.tensor([[*prompt, *made]]), pixel_values=torch.from_numpy(pixels)[None]
        ).logits[0, len(prompt) - 1 : -1]
    expected = logits.log_softmax(-1)[torch.arange(len(made)), torch.tensor(made)]
    assert done.log_probabilities == pytest.approx(expected.tolist(), abs=1e-4)
    assert len(done.text_ends) == done.token_count == len(made)
    assert list(done.text_ends) == sorted(done.text_ends)
    assert done.text_ends[-1] == len(done.text)
    # Halfway the text stands as far as its whole letters go.
    half = len(made) // 2
    begun = loaded.tokenizer.decode(made[:half], skip_special_tokens=True)
    assert begun.rstrip("\N{REPLACEMENT CHARACTER}") == done.text[: done.text_ends[half - 1]]


def test_graphs_of_fixed_sizes_give_the_same_answers(
    engine: Engine, batch: Batch, pictures: list[ModelImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without CUDA the capture is left out; sizes, padding and fixed memory are the same."""
    sizes: list[int] = []

    def capture(run: Callable[[], Any], pool: Any) -> Callable[[], Any]:
        del pool
        sizes.append(len(run()[0]))
        return run

    monkeypatch.setattr(decoding, "capture", capture)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 0), raising=False)
    batch._decoder = Decoder(engine.load(), use_graphs=True)
    asked = ragged(pictures)

    done = answers([engine.submit(one) for one in asked])

    assert [one.text for one in done] == [plain_text(engine, one) for one in asked]
    assert set(sizes) <= {1, 2, 4, 8}
    assert batch._decoder.cache.rows == 8


def test_texts_that_are_drawn_leave_those_beside_them_alone_and_come_again_by_their_seed(
    engine: Engine, pictures: list[ModelImage]
) -> None:
    draws = [0, 1, 2, 1, 3, 4, 5]
    asked = [asking("Report?", pictures[0], max_new_tokens=12) for _ in draws]
    done = answers(
        [engine.submit(replace(one, draw=draw)) for one, draw in zip(asked, draws, strict=True)]
    )
    assert done[0].text == plain_text(engine, asked[0])
    assert done[1] == done[3]
    # Two may be alike by chance.
    assert len({one.text for one in done}) > 2
    # The model's own probability stands beside a token, not the one that it was drawn with.
    drawn = done[1].log_probabilities
    assert len(drawn) == done[1].token_count
    assert all(value <= 0 for value in drawn)
    assert min(sum(one.log_probabilities) for one in done) < sum(done[0].log_probabilities)


def test_a_sliding_window_hides_what_stands_before_it() -> None:
    torch.manual_seed(3)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**TOWER),
        text_config=MistralConfig(vocab_size=320, sliding_window=8, **TEXT),
        image_token_index=319,
    )
    model = LlavaForConditionalGeneration(config).eval()
    for weight in model.parameters():
        weight.data += 0.1 * torch.randn_like(weight)
    loaded: Any = SimpleNamespace(model=model, device=torch.device("cpu"))
    batch = Batch(
        Decoder(loaded),
        most_rows=4,
        end_ids=[TEXT["eos_token_id"]],
        finish=lambda done: list(done.made),
    )
    prompts = [[*range(3, 3 + length)] for length in (5, 12, 30)]
    generations = [Generation(prompt=p, limit=12, time_limit_seconds=60) for p in prompts]
    for generation in generations:
        batch.submit(generation)

    made = [generation.future.result(30) for generation in generations]

    with torch.inference_mode():
        expected = [
            model.generate(
                input_ids=torch.tensor([p]),
                attention_mask=torch.ones(1, len(p), dtype=torch.int64),
                generation_config=GenerationConfig(
                    do_sample=False, max_new_tokens=12, pad_token_id=0
                ),
            )[0, len(p) :].tolist()
            for p in prompts
        ]
    assert made == expected
