"""Arabic names on their way from archives, truthful and lying ones, into SR and ORU."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from harness import ScriptedPacs, ScriptedRis, Site, film, one_database, save
from pydicom import dcmread
from pydicom.dataset import Dataset

from cli.show import describe_study, study_text
from core.database import reading
from core.lifecycle import DeliveryState

pytestmark = one_database
NAME = "نزار^أحمد"
DESCRIPTION = "أشعة الصدر"
# Of one sender everything is in Windows' Arabic code page, whatever it says.
_SENDERS = """
[[senders]]
ae_title = "OLD"
character_set = "cp1256"
"""


def _film(site: Site, label: str | None, codec: str) -> Path:
    """Write a film that names a character set and holds its text in a codec."""
    dataset = film()
    name, description = NAME.encode(codec), DESCRIPTION.encode(codec)
    dataset.PatientName, dataset.StudyDescription = "7" * len(name), "8" * len(description)
    dataset.SpecificCharacterSet = "ISO_IR 100" if label is None else label
    path = save(dataset, site.folder)
    data = path.read_bytes()
    if label is None:
        data = data.replace(b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100", b"")
    data = data.replace(b"7" * len(name), name).replace(b"8" * len(description), description)
    path.write_bytes(data)
    return path


def _deliver(site: Site, path: Path, calling: str) -> None:
    site.send(path, calling=calling)
    site.go_quiet()
    site.draft()
    site.deliver_due()


@pytest.mark.parametrize(
    ("label", "codec", "calling"),
    [
        ("ISO_IR 127", "cp1256", "OLD"),
        ("ISO_IR 100", "cp1256", "OLD"),
        (None, "cp1256", "OLD"),
        ("ISO_IR 127", "iso8859-6", "MODALITY"),
        ("ISO_IR 192", "utf-8", "MODALITY"),
    ],
)
def test_sr_and_oru_carry_the_arabic_letters(
    make_site: Callable[..., Site], label: str | None, codec: str, calling: str
) -> None:
    with ScriptedPacs() as pacs, ScriptedRis() as ris:
        site = make_site(pacs={"main": pacs.port}, ris={"main": ris.port}, rules=_SENDERS)
        _deliver(site, _film(site, label, codec), calling)

        assert site.are_all(DeliveryState.SENT)
        documents = [artifact.content for _, artifact in site.deliveries() if artifact.kind == "sr"]
        [message] = [row.decode() for row in ris.received]

    assert len(pacs.received) == len(documents) == 2
    for content in documents:
        document = dcmread(BytesIO(content or b""))
        assert (document.SpecificCharacterSet, document.PatientName) == ("ISO_IR 192", NAME)
        assert document.StudyDescription == DESCRIPTION
    pid = next(line for line in message.split("\r") if line.startswith("PID"))
    assert pid.split("|")[5].split("^")[:2] == NAME.split("^")
    study = site.study()
    assert study.patient_name == NAME
    assert study.patient_name_bytes.rstrip() == NAME.encode(codec)
    assert "text_problem" not in site.events()


@pytest.mark.parametrize(
    ("label", "codec", "problem"),
    [
        (None, "cp1256", "text beyond ASCII without a character set"),
        ("ISO_IR 192", "cp1256", "text is not in ISO_IR 192, which the object names"),
        (
            "ISO_IR 100",
            "utf-8",
            "text is not in ISO_IR 100, which the object names; it looks like UTF-8",
        ),
    ],
)
def test_a_lie_stands_in_what_is_shown_of_the_study_and_the_bytes_are_kept(
    make_site: Callable[..., Site], label: str | None, codec: str, problem: str
) -> None:
    site = make_site(rules=_SENDERS)
    path = _film(site, label, codec)
    site.send(path)

    with reading(site.engine) as session:
        text = study_text(describe_study(session, site.study()))

    assert f"reason={problem}" in text
    assert NAME not in site.study().patient_name
    assert site.study().patient_name_bytes.rstrip() == NAME.encode(codec)


def test_the_override_is_one_senders_and_nobody_elses(make_site: Callable[..., Site]) -> None:
    site = make_site(rules=_SENDERS)
    site.send(_film(site, "ISO_IR 192", "utf-8"), calling="MODALITY")
    site.send(_film(site, "ISO_IR 192", "utf-8"), calling="OLD")

    assert site.study(1).patient_name == NAME
    # In UTF-8, read as Windows' code page: a setting that is wrong for this object.
    assert site.study(2).patient_name == NAME.encode().decode("cp1256")


def test_a_name_never_makes_two_patients_of_one(make_site: Callable[..., Site]) -> None:
    site = make_site(rules=_SENDERS)
    truth = film(PatientName=NAME)
    lie = _relabelled(site, truth)
    site.send(truth)
    site.send(lie, calling="MODALITY")
    site.go_quiet()

    assert site.path() == ["RECEIVING", "QUEUED"]


def _relabelled(site: Site, dataset: Dataset) -> Path:
    """Return another film of the same study whose name reads otherwise."""
    other = film(str(dataset.StudyInstanceUID), PatientName="7" * len(NAME.encode()))
    path = save(other, site.folder)
    path.write_bytes(path.read_bytes().replace(b"7" * len(NAME.encode()), NAME.encode()[::-1]))
    return path
