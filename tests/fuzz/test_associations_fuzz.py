"""A bounded number of damaged associations, and a proof that the fuzzer would see a fault."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from core.blobs import Incoming, InstanceFiles
from dicom_node.receive import Reception, Status
from dicom_node.upper_layer import UpperLayer
from fuzz.associations import one_round
from fuzz.streams import GOOD, Example
from fuzz.target import Target, target

EXAMPLES = 300
WHOLE = b"".join(GOOD)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with target(tmp_path_factory.mktemp("fuzz")) as running:
        yield running


@pytest.mark.parametrize("cuts", [(), (1,), (5, 7), (1000, 3)])
@pytest.mark.parametrize("stays", [True, False])
def test_an_undamaged_association_stores_everything(
    fuzzed: Target, cuts: tuple[int, ...], stays: bool
) -> None:
    assert fuzzed.run(Example(WHOLE, cuts, stays)) == [Status.SUCCESS] * 3


def test_damaged_associations_break_no_promise(fuzzed: Target) -> None:
    # The same ones each time: `make fuzz` finds new ones.
    assert one_round(fuzzed, number=20, count=EXAMPLES) > 0


def test_the_fuzzer_sees_an_object_that_was_cut(
    fuzzed: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = Reception.finish

    def cut(reception: Reception) -> Status:
        if (incoming := reception._incoming) is not None:
            os.ftruncate(incoming.descriptor, os.fstat(incoming.descriptor).st_size - 10)
        return finish(reception)

    monkeypatch.setattr(Reception, "finish", cut)

    with pytest.raises(AssertionError, match="not what was answered"):
        fuzzed.run(Example(WHOLE))
    _clear(fuzzed)


def test_the_fuzzer_sees_what_is_left_behind(
    fuzzed: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Incoming, "discard", lambda _: None)

    with pytest.raises(AssertionError, match="half received"):
        fuzzed.run(Example(b"".join(GOOD[:2])[:-100]))
    _clear(fuzzed)


def test_the_fuzzer_sees_an_error_of_ours(fuzzed: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(layer: UpperLayer, data: bytes) -> None:
        raise ZeroDivisionError(len(data), layer)

    monkeypatch.setattr(UpperLayer, "send", fail)

    with pytest.raises(ZeroDivisionError):
        fuzzed.run(Example(WHOLE))


def _clear(fuzzed: Target) -> None:
    files: InstanceFiles = fuzzed._node.files
    for path in [*files.inbox.iterdir(), *files.partial.iterdir()]:
        path.unlink()
