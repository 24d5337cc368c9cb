"""What the drafter asks, what it leaves out, and what it stores with a draft."""

from __future__ import annotations

import json

import pytest
from check_pairs import image
from check_pairs.tasks import STEPS, Engine, write

from core.drafting import DraftContext, DraftRequest
from core.errors import (
    PermanentError,
)
from core.report import (
    ArabicSource,
    Language,
    Report,
    SectionKind,
    Severity,
    from_json,
    to_json,
)
from model.confidence import confidences
from model.drafter import ModelDrafter
from model.generation import Completion, GenerationRequest
from model.parsing import parse_report
from model.prompts import PROMPTS_VERSION

EN, AR = Language.EN, Language.AR
KNOWN = ("CANARY^Florence", "CANARY123", "19330105")


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


def test_arabic_from_the_image_is_asked_without_the_english_text_and_at_once() -> None:
    engine, steps = Engine(), []
    request = DraftRequest(
        images=(image(),), context=DraftContext(), arabic=ArabicSource.FROM_IMAGE
    )
    report = ModelDrafter(engine).draft(request, steps.append)

    assert steps == [*STEPS, "checks"]
    assert "The lungs are clear" not in engine.asked[1].question
    assert "يرجى وصف هذه الصورة" in engine.asked[1].question
    assert report.blocking == ()
    assert report.decoding is not None
    assert report.decoding.arabic == "from_image"


def test_arabic_by_translation_rests_on_the_english_text_with_the_pictures_in_view() -> None:
    engine = Engine()
    report = write(engine)
    assert "The lungs are clear" in engine.asked[1].question
    assert all(request.images for request in engine.asked)
    assert report.decoding is not None
    assert report.decoding.arabic == "translate"


def test_two_looks_that_disagree_are_held_back() -> None:
    engine = Engine(
        {
            "report_en": "FINDINGS:\nLeft pleural effusion.\nIMPRESSION:\nLeft pleural effusion.",
            "report_ar": "النتائج:\nانصباب جنبي أيمن.\nالانطباع:\nانصباب جنبي أيمن.",
        }
    )
    report = write(engine, arabic=ArabicSource.FROM_IMAGE)
    assert "SIDE_MISMATCH" in {finding.code for finding in report.blocking}


@pytest.mark.parametrize("arabic", list(ArabicSource))
def test_an_empty_english_answer_is_never_made_good_by_another_question(
    arabic: ArabicSource,
) -> None:
    engine = Engine({"report_en": ""})
    report = write(engine, arabic=arabic)
    assert ("يرجى" in engine.asked[1].question) is (arabic is ArabicSource.FROM_IMAGE)
    assert "EMPTY_SECTION" in {finding.code for finding in report.blocking}


# The context.


def test_a_patients_name_and_numbers_reach_no_prompt() -> None:
    engine = Engine()
    context = DraftContext(
        indication="Mrs Canary (CANARY123), born 05.01.1933, cough; sent by Dr. Nightingale",
        prior_impression="CANARY Florence: right nodule, telephone 050 123 4567",
    )
    report = write(engine, context, identifiers=KNOWN, has_prior=True)

    asked = " ".join(request.question for request in engine.asked)
    for trace in ("anary", "CANARY", "1933", "Florence", "ightingale", "4567"):
        assert trace not in asked
    assert "cough" in asked
    assert "right nodule" in asked
    assert not any(known in to_json(report) for known in KNOWN)
    assert not any(known in repr(DraftRequest(images=(), context=context, identifiers=KNOWN))
                   for known in ("CANARY", "1933"))  # fmt: skip


def test_a_draft_that_repeats_the_patients_name_is_stopped() -> None:
    text = "FINDINGS:\nMrs Florence Canary has clear lungs.\nIMPRESSION:\nNormal chest."
    report = write(Engine({"report_en": text}), identifiers=KNOWN)
    assert "PATIENT_DATA" in {finding.code for finding in report.blocking}
    assert write(Engine({"report_en": text})).findings != report.findings


def test_laterality_and_prior_reach_the_checks() -> None:
    left = "FINDINGS:\nFracture of the left wrist, unchanged.\nIMPRESSION:\nLeft fracture."
    arabic = "النتائج:\nكسر في المعصم الأيسر دون تغير.\nالانطباع:\nكسر أيسر."
    engine = Engine({"report_en": left, "report_ar": arabic})
    assert "LATERALITY_CONTRADICTED" in codes(write(engine, laterality="R"))
    assert "LATERALITY_CONTRADICTED" not in codes(write(engine, laterality="L"))
    assert "COMPARISON_WITHOUT_PRIOR" in codes(write(engine, has_prior=False))
    assert "COMPARISON_WITHOUT_PRIOR" not in codes(write(engine, has_prior=True))
    assert "COMPARISON_WITHOUT_PRIOR" not in codes(write(engine))


# A prompt that is too long.


def test_what_does_not_fit_is_left_out_by_rule_and_said() -> None:
    context = DraftContext(indication="cough " * 60, prior_impression="nodule " * 60)
    images = (image(), image(), image())

    def fits(request: GenerationRequest) -> bool:
        return len(request.images) == 1 and "indication" not in request.question

    engine = Engine(fits=fits)
    report = write(engine, context, images=images)

    assert report.blocking == ()
    assert report.reasons == (
        "The earlier impression was left out: the prompt was too long with it.",
        "The indication was cut short: the prompt was too long with it.",
        "The indication was left out: the prompt was too long with it.",
        "2 of 3 pictures were shown: the prompt was too long with more.",
        "1 of 3 pictures were shown: the prompt was too long with more.",
    )
    assert from_json(to_json(report)).reasons == report.reasons


def test_what_fits_is_asked_whole_and_nothing_is_said() -> None:
    engine = Engine()
    assert write(engine, DraftContext(indication="cough")).reasons == ()
    assert len(engine.asked) == len(STEPS)


def test_a_prompt_that_never_fits_is_refused() -> None:
    with pytest.raises(PermanentError, match="too long"):
        write(Engine(fits=lambda _request: False), images=(image(), image()))


# What is stored.


def test_a_draft_says_how_it_was_written() -> None:
    decoding = write(Engine(), max_new_tokens=300).decoding
    assert decoding is not None
    assert decoding.prompts_version == PROMPTS_VERSION
    assert (decoding.is_greedy, decoding.seed, decoding.max_new_tokens) == (True, 0, 300)


def test_a_draft_of_an_earlier_release_still_loads() -> None:
    data = json.loads(to_json(write(Engine())))
    for name in ("confidences", "decoding", "reasons"):
        del data[name]
    old = from_json(json.dumps(data))
    assert (old.confidences, old.decoding, old.reasons) == ((), None, ())


def test_each_sentence_has_the_confidence_of_its_own_tokens() -> None:
    # Tokens: a heading, two sentences of two tokens each, a heading, a sentence.
    pieces = [
        ("FINDINGS:\n", -0.0),
        ("Nodule of 3.5", -0.5),
        (" cm.", -1.5),
        (" No", -0.1),
        (" effusion.", -0.3),
        ("\nIMPRESSION:\n", -9.0),
        ("No", -2.0),
        (" effusion.", -2.0),
    ]
    text, ends = "", []
    for piece, _ in pieces:
        text += piece
        ends.append(len(text))
    completion = Completion(
        text=text,
        is_complete=True,
        token_count=len(pieces),
        log_probabilities=tuple(value for _, value in pieces),
        text_ends=tuple(ends),
    )
    sections = parse_report(text, EN).sections
    found = confidences(completion, EN, sections)

    texts = {section.kind: section.text for section in sections}
    said = [texts[c.section][c.start : c.end] for c in found]
    assert said == ["Nodule of 3.5 cm.", "No effusion.", "No effusion."]
    assert [c.section for c in found] == [
        SectionKind.FINDINGS,
        SectionKind.FINDINGS,
        SectionKind.IMPRESSION,
    ]
    assert [round(c.mean, 3) for c in found] == [0.368, 0.819, 0.135]
    assert [round(c.lowest, 3) for c in found] == [0.223, 0.741, 0.135]


def test_letters_of_several_tokens_belong_to_their_sentence() -> None:
    completion = Completion(
        text="كتلة. ورم.",
        is_complete=True,
        token_count=5,
        log_probabilities=(-3.0, -1.0, -0.5, -0.25, -0.1),
        text_ends=(0, 5, 6, 6, 10),
    )
    found = confidences(completion, AR, parse_report(completion.text, AR).sections)
    assert [round(c.lowest, 3) for c in found] == [0.05, 0.779]


def test_without_probabilities_and_without_the_sentence_there_is_no_confidence() -> None:
    sections = parse_report("A nod\u202eule. Clear.", EN).sections
    silent = Completion(text="A nodule.", is_complete=True, token_count=1)
    assert confidences(silent, EN, sections) == ()
    raw = "A nod\u202eule. Clear."
    told = Completion(
        text=raw,
        is_complete=True,
        token_count=1,
        log_probabilities=(-1.0,),
        text_ends=(len(raw),),
    )
    assert len(confidences(told, EN, sections)) == 1


# What a model may write.


@pytest.mark.parametrize("task", STEPS)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {"EMPTY_SECTION"}),
        (" \n\t\u202e\u2066\x00\x1b", {"EMPTY_SECTION"}),
        ("FINDINGS:\nالنتائج:", {"EMPTY_SECTION", "WRONG_SCRIPT"}),
        ("the the " * 30_000, {"TOO_LONG", "REPETITION"}),
        ("Le poumon est clair et le coeur est normal.", {"WRONG_SCRIPT"}),
        ("ریه پاک است، چیزی نیست، گره ندارد، پلور چسبیده.", {"WRONG_SCRIPT"}),
        ("肺野清晰。", {"WRONG_SCRIPT"}),
        ("<|eot_id|><|start_header_id|>user<|end_header_id|>", {"PROMPT_ECHO"}),
        ("AI DRAFT - NOT VERIFIED\n[en]\nSUMMARY", {"PROMPT_ECHO", "WRONG_SCRIPT"}),
        ("\ud800 broken \ufffd", {"BROKEN_TEXT"}),
    ],
)
def test_whatever_a_model_writes_makes_a_draft_that_is_clean_or_held_back(
    task: str, text: str, expected: set[str]
) -> None:
    report = write(Engine({task: text}), severities=(("SUMMARY_LEFT_OUT", Severity.BLOCK),))
    raised = {finding.code for finding in report.blocking}
    assert raised & expected
    if task.startswith("summary"):
        assert codes(write(Engine({task: text}))) == {"SUMMARY_LEFT_OUT"}
    kept = to_json(report)
    assert not any(sign in kept for sign in ("\u202e", "\u2066", "\\u0000", "\\u001b", "\ud800"))
    assert from_json(kept) == report


def test_delimiters_of_hl7_stay_the_letters_that_they_are() -> None:
    text = "FINDINGS:\nClear | lungs ^ and & free ~ \\ of \\.br\\ mass.\nIMPRESSION:\nNormal chest."
    report = write(Engine({"report_en": text}))
    findings = report.narrative(EN).text_of(SectionKind.FINDINGS)
    assert findings == "Clear | lungs ^ and & free ~ \\ of \\.br\\ mass."
