"""The answers to BiMed-MBench that a judge is to rate, by the model of the settings.

Each question goes to the model as the bench has it, with its picture, and nothing else. Answers are
appended as they come; who was broken off goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

import numpy as np
from PIL import Image, UnidentifiedImageError

from core.drafting import ModelImage
from core.errors import PermanentError
from core.report import FrameReference
from model.evaluate.mbench import BenchQuestion
from model.evaluate.reports import read_lines
from model.evaluate.resumable import LineFile, work_off
from model.generation import TextEngine

# The bench's pictures are no DICOM objects.
_NO_FRAME = FrameReference(series_uid="", sop_class_uid="", sop_instance_uid="")


def answer_bench(
    engine: TextEngine,
    questions: Sequence[BenchQuestion],
    images: Path,
    answers: Path,
    *,
    at_once: int,
    on_answer: Callable[[int], None] = lambda _: None,
) -> None:
    """Write the answer to every question that a file does not answer yet.

    Args:
        engine: The model.
        questions: From `model.evaluate.mbench.read_bench`.
        images: Folder of the bench's pictures.
        answers: The file.
        at_once: Most questions at the same time.
        on_answer: Told after each answer how many there are.

    Raises:
        PermanentError: A picture is not there, or an answer is by another model.
        TransientError: The model does not answer; the same call later goes on.
    """
    for question in questions:
        if Path(question.image).name != question.image or not (images / question.image).is_file():
            raise PermanentError(f"{images} holds no {question.image} (question {question.id}).")
    file = LineFile(answers, "question_id")
    model = str(engine.version)
    held = _held(answers, model)
    left = {question.id: question for question in questions if question.id not in held}

    def answer(question: BenchQuestion, stopped: Event) -> None:
        del stopped
        text = engine.generate(question.question, [_picture(images / question.image)]).text
        file.add({"question_id": question.id, "text": text, "model_id": model})

    done_before = len(questions) - len(left)
    work_off(
        left,
        answer,
        at_once=at_once,
        kept=answers,
        on_done=lambda done: on_answer(done_before + done),
    )


def _held(answers: Path, model: str) -> set[str]:
    """Return which questions have their answer."""
    records = read_lines(answers) if answers.exists() else []
    for record in records:
        if record.get("model_id", model) != model:
            raise PermanentError(
                f"{answers}: the answer to question {record.get('question_id')} is by "
                f"{record['model_id']}, and {model} is asked now. Name another file."
            )
    return {str(record.get("question_id")) for record in records}


def _picture(file: Path) -> ModelImage:
    try:
        with Image.open(file) as picture:
            pixels = np.asarray(picture.convert("RGB"))  # (H, W, 3)
    except (OSError, UnidentifiedImageError) as error:
        raise PermanentError(f"{file} is no picture that can be read ({error}).") from None
    return ModelImage(pixels=pixels, frame=_NO_FRAME, is_orientation_known=True)
