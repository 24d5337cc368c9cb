"""Identifiers of what we write: the same for the same, another for another, and valid."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from core.identifiers import (
    DEVICE_UID,
    document_series_uid,
    document_uid,
    message_control_id,
    report_uid,
)
from core.report import Language

# PS3.5 9.1.
UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")
texts = st.text(min_size=1, max_size=80)


def test_identifiers_never_change() -> None:
    """Whoever changes the recipe renames every document that a PACS ever got from us."""
    assert DEVICE_UID == "2.25.339276669808704282919413538495515006831"
    assert (
        document_uid("1.2.3", 1, "sr", Language.EN)
        == "2.25.278874008271543377935014583236302019851"
    )
    assert document_series_uid("1.2.3", 1, "sr", Language.EN) == (
        "2.25.85728543921741579593981173261705729607"
    )
    assert message_control_id("1.2.3", 1, "ris:main", "oru") == "5AICQH7E4NKNOR76TJ7W"


def test_another_process_derives_the_same() -> None:
    code = (
        "from core.identifiers import *; from core.report import Language;"
        "print(document_uid('1.2.3', 1, 'sr', Language.AR),"
        " message_control_id('1.2.3', 1, 'ris:main', 'oru'))"
    )
    # Hashes of text differ from process to process.
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }

    uid = document_uid("1.2.3", 1, "sr", Language.AR)
    assert found == {f"{uid} {message_control_id('1.2.3', 1, 'ris:main', 'oru')}"}


def test_study_version_kind_and_language_each_make_another_document() -> None:
    names = list(product(["1.2.3", "1.2.31"], [1, 2, 11], ["sr", "pdf"], Language))
    instances = {document_uid(*name) for name in names}
    series = {document_series_uid(*name) for name in names}

    assert len(instances) == len(series) == len(names)
    assert not instances & series
    assert DEVICE_UID not in instances | series


def test_objects_of_several_languages_and_several_of_a_kind_have_uids_of_their_own() -> None:
    uids = [document_uid("1.2.3", 1, "sc", None, number=number) for number in (0, 1, 2)]
    uids += [document_uid("1.2.3", 1, "sc", language) for language in Language]

    assert len(set(uids)) == len(uids)
    assert document_uid("1.2.3", 1, "sr", Language.EN, number=0) == document_uid(
        "1.2.3", 1, "sr", Language.EN
    )


def test_study_version_destination_and_kind_each_make_another_message() -> None:
    names = list(product(["1.2.3", "1.2.31"], [1, 2, 11], ["ris:a", "ris:b"], ["oru", "mdm"]))

    assert len({message_control_id(*name) for name in names}) == len(names)


def test_parts_that_run_together_are_told_apart() -> None:
    assert message_control_id("1.2", 3, "a", "b") != message_control_id("1.23", 3, "a", "b")
    assert message_control_id("1", 1, "ab", "c") != message_control_id("1", 1, "a", "bc")


@given(texts, st.integers(1, 10**9), texts, st.sampled_from(Language))
def test_every_uid_is_valid(study: str, version: int, kind: str, language: Language) -> None:
    for uid in (
        document_uid(study, version, kind, language),
        document_series_uid(study, version, kind, language),
        report_uid(study),
    ):
        assert UID.fullmatch(uid)
        assert len(uid) <= 44


@given(texts, st.integers(1, 10**9), texts, texts)
def test_every_msh_10_fits_and_needs_no_escape(
    study: str, version: int, destination: str, kind: str
) -> None:
    assert re.fullmatch(r"[A-Z2-7]{20}", message_control_id(study, version, destination, kind))


def test_the_device_is_a_valid_uid() -> None:
    assert UID.fullmatch(DEVICE_UID)
    assert len(DEVICE_UID) <= 64
