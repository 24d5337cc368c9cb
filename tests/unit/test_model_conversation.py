"""Questions about a study, turn by turn."""

from __future__ import annotations

from typing import Any

import pytest
from check_pairs import image
from test_model_writing import Engine

from core.drafting import Answer, AskRequest, DraftContext
from core.errors import PermanentError
from core.report import Language, Severity
from model.conversation import answer, asked, language_of
from model.demo.architecture import build_tokenizer
from model.generation import GenerationRequest
from model.prompts import IMAGE, encode

EN, AR = Language.EN, Language.AR
KNOWN = ("CANARY^Florence", "CANARY123", "19330105")


class Talker(Engine):
    """Answers every question with the same text."""

    def __init__(self, text: str = "No pneumothorax.", **options: Any) -> None:
        super().__init__(**options)
        self.texts = dict.fromkeys(("report_en", "report_ar", "summary_en", "summary_ar"), text)


def say(engine: Any, question: str, language: Language = EN, **options: Any) -> Answer:
    given = {"images": (image(),), "context": DraftContext(modality="CR")} | options
    return answer(engine, AskRequest(question=question, language=language, **given))


def blocking(given: Answer) -> set[str]:
    return {f.code for f in given.findings if f.severity is Severity.BLOCK}


def test_the_pictures_and_the_context_stand_before_the_first_question_only() -> None:
    engine = Talker()
    history = (("Is it PA?", "Yes."), ("Any lines?", "None."))
    say(engine, "Any pneumothorax?", history=history)

    [request] = engine.asked
    assert request.history == (("Context: modality CR.\nIs it PA?", "Yes."), history[1])
    assert request.question == "Any pneumothorax?"
    assert request.is_urgent
    say(engine, "Any pneumothorax?")
    assert engine.asked[-1].question == "Context: modality CR.\nAny pneumothorax?"


def test_a_conversation_has_the_ids_of_the_official_template() -> None:
    """Written out by hand, and tokenised as LLaVA's `tokenizer_image_token` does."""
    tokenizer: Any = build_tokenizer()
    text = (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nA chat between a curious "
        "user and an artificial intelligence assistant. The assistant gives helpful, detailed, and "
        "polite answers to the user's questions.<|eot_id|><|start_header_id|>user<|end_header_id|>"
        "\n\n<image> <image>\nIs there a nodule?<|eot_id|><|start_header_id|>assistant"
        "<|end_header_id|>\n\nYes, on the right.<|eot_id|><|start_header_id|>user<|end_header_id|>"
        "\n\nأين العقيدة؟<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        "في الجهة اليمنى.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHow large?"
        "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    first, *others = [tokenizer(chunk).input_ids for chunk in text.split(IMAGE)]
    pictures = [tokenizer.convert_tokens_to_ids(IMAGE)] * 576
    expected = [*first, *(i for chunk in others for i in (*pictures, *chunk[1:]))]

    ids = encode(
        tokenizer,
        "How large?",
        image_count=2,
        tokens_per_image=576,
        history=[
            ("Is there a nodule?", "Yes, on the right."),
            ("أين العقيدة؟", "في الجهة اليمنى."),
        ],
    )

    assert ids == expected
    assert ids[0] == ids[1] == tokenizer.convert_tokens_to_ids("<|begin_of_text|>")


@pytest.mark.parametrize(
    ("question", "language"),
    [("Any nodule?", EN), ("هل توجد عقيدة؟", AR), ("CT هل", AR), ("?", EN)],
)
def test_an_answer_is_in_the_language_of_the_question_unless_told_otherwise(
    question: str, language: Language
) -> None:
    assert language_of(question) is language
    assert asked(question, language, ()) == question
    other = EN if language is AR else AR
    assert asked(question, other, ()) != question


def test_an_answer_in_the_wrong_language_is_withheld() -> None:
    assert blocking(say(Talker("There is a nodule."), "هل توجد عقيدة؟", AR)) == {"WRONG_SCRIPT"}
    assert blocking(say(Talker("توجد عقيدة."), "هل توجد عقيدة؟", AR)) == set()


def test_a_question_names_no_patient_and_an_answer_neither() -> None:
    engine = Talker("Mrs Florence Canary is well.")
    given = say(engine, "Has Mrs Canary (CANARY123) a nodule?", identifiers=KNOWN)
    assert "anary" not in engine.asked[0].question
    assert "nodule" in engine.asked[0].question
    assert given.question == "Has [...] ([...]) a nodule?" or "anary" not in given.question
    assert given.is_withheld
    assert "PATIENT_DATA" in blocking(given)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "EMPTY_SECTION"),
        ("I am sorry, I cannot help.", "REFUSAL"),
        ("Signed by Dr. Smith.", "CLAIMS_SIGNED"),
        ("No mass. No mass. No mass. No mass seen. No mass seen. No mass seen.", "REPETITION"),
        ("<|eot_id|> user", "PROMPT_ECHO"),
    ],
)
def test_what_blocks_a_draft_blocks_an_answer(text: str, code: str) -> None:
    assert code in blocking(say(Talker(text), "Any mass?"))


def test_a_side_without_an_orientation_is_withheld() -> None:
    unknown = (image(is_orientation_known=False),)
    given = say(Talker("A left nodule."), "Where?", images=unknown)
    assert blocking(given) == {"ORIENTATION_UNKNOWN"}


def test_the_oldest_turns_are_forgotten_first_and_it_is_said() -> None:
    def fits(request: GenerationRequest) -> bool:
        return len(request.history) <= 1

    engine = Talker(fits=fits)
    history = tuple((f"Q{n}?", f"A{n}.") for n in range(4))
    given = say(engine, "And now?", history=history)

    assert [question for question, _ in engine.asked[-1].history] == ["Context: modality CR.\nQ3?"]
    assert given.reasons == ("1 of 4 earlier turns were told: the prompt was too long with more.",)
    with pytest.raises(PermanentError):
        say(Talker(fits=lambda _request: False), "And now?", history=history)


def test_control_and_direction_signs_of_an_answer_are_taken_out() -> None:
    given = say(Talker("A \u202enodule\x00."), "Any?")
    assert given.text == "A nodule."
    assert {f.code for f in given.findings} == {"CONTROL_CHARACTERS"}
