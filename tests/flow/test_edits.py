"""What people change in drafts, counted: by `taqrir edits` and for Prometheus."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from click.testing import CliRunner
from harness import Site, film, one_database
from prometheus_client import CollectorRegistry, generate_latest

from cli.main import taqrir
from core.database import reading
from core.edits import Edits, count_edits
from core.metrics import DatabaseCollector
from core.report import Language, Report, Section, from_json
from worker.signing import Reader, addend, correct, sign

EN, AR = Language.EN, Language.AR
READER = Reader(name="Darwish^Mona", id="R7", account="mona")


def rewritten(site: Site, study: int, before: str, after: str) -> Report:
    """Return a study's newest report with words replaced."""
    report = from_json(site.drafts(study)[-1].report)
    return replace(
        report,
        narratives=tuple(
            replace(
                narrative,
                sections=tuple(
                    Section(kind=s.kind, text=s.text.replace(before, after))
                    for s in narrative.sections
                ),
            )
            for narrative in report.narratives
        ),
    )


def counted(site: Site) -> list[Edits]:
    with reading(site.engine) as session:
        return list(count_edits(session))


def test_accepted_and_changed_texts_are_counted_by_language_and_modality(site: Site) -> None:
    site.take_in(film())
    site.take_in(film(Modality="DX", AccessionNumber="ACC2"))
    sign(site.parts, 1, version=1, languages=(EN, AR), reader=READER)
    # 11 words, of which one is replaced.
    edited = rewritten(site, 2, "A normal film.", "A normal study.")
    sign(site.parts, 2, version=1, languages=(EN,), reader=READER, edited=edited)

    assert counted(site) == [
        Edits(language="en", modality="CR", texts=1, accepted=1, distance=0.0),
        Edits(language="en", modality="DX", texts=1, accepted=0, distance=pytest.approx(1 / 11)),
        Edits(language="ar", modality="CR", texts=1, accepted=1, distance=0.0),
    ]


@one_database
def test_a_correction_takes_the_place_of_the_signature_and_an_addendum_changes_nothing(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    site.take_in(film())
    sign(site.parts, 1, version=1, languages=(EN,), reader=READER)
    edited = rewritten(site, 1, "A normal film.", "An abnormal film.")
    correct(site.parts, 1, version=2, languages=(EN,), reader=READER, edited=edited)
    addend(site.parts, 1, version=3, texts={EN: "Seen again."}, reader=READER)

    [row] = counted(site)
    assert (row.texts, row.accepted) == (1, 0)
    assert row.distance == pytest.approx(2 / 11)


@one_database
def test_what_a_sender_calls_a_modality_never_becomes_a_label(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    site.take_in(film())
    with site.writing() as session:
        session.connection().exec_driver_sql("UPDATE series SET modality = 'Doe^Jane'")
    sign(site.parts, 1, version=1, languages=(EN,), reader=READER)

    assert [row.modality for row in counted(site)] == ["OTHER"]


@one_database
def test_the_command_and_the_metrics_tell_the_same(make_site: Callable[..., Site]) -> None:
    site = make_site()
    command = ["edits", "--config", str(site.config)]
    site.take_in(film())
    assert "Nothing was signed." in CliRunner().invoke(taqrir, command).stdout
    sign(site.parts, 1, version=1, languages=(EN, AR), reader=READER)

    [english, arabic] = json.loads(CliRunner().invoke(taqrir, [*command, "--json"]).stdout)
    assert english == {
        "language": "en",
        "modality": "CR",
        "texts": 1,
        "accepted": 1,
        "accepted_share": 1.0,
        "distance": 0.0,
    }
    assert arabic["language"] == "ar"
    assert "en        CR            1      100%     0.000" in (
        CliRunner().invoke(taqrir, command).stdout
    )
    later = CliRunner().invoke(taqrir, [*command, "--json", "--since", "2199-01-01"])
    assert json.loads(later.stdout) == []

    registry = CollectorRegistry()
    registry.register(DatabaseCollector(site.engine))
    figures = generate_latest(registry).decode()
    assert 'taqrir_signed_texts{accepted="true",language="en",modality="CR"} 1.0' in figures
    assert 'taqrir_signed_texts{accepted="false",language="en",modality="CR"} 0.0' in figures
    assert 'taqrir_edit_distance{language="ar",modality="CR"} 0.0' in figures
