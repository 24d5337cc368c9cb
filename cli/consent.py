"""`consent`: whether a study may train a model."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

import click

from cli.options import as_json, open_database, print_json, with_settings
from core import consent as consents
from core import store
from core.audit import AuditTrail
from core.audit_events import StudyInstances
from core.clock import utcnow
from core.database import reading, writing
from core.errors import SettingsError
from core.pseudonyms import Pseudonyms
from core.settings import Settings
from core.tables import Study


@click.command()
@click.argument("study")
@click.option("--yes/--no", "is_given", default=None, help="Given; not given, or withdrawn.")
@as_json
@with_settings
def consent(
    settings: Settings, config: Path | None, *, study: str, is_given: bool | None, as_json: bool
) -> None:
    """Show or set whether a study may train a model: `taqrir model export` asks.

    STUDY is a Study Instance UID or an accession number that only one study bears. Without `--yes`
    or `--no` it is only shown, with the name that the study bears in exports: by that it is found
    there once its consent is withdrawn.
    """
    del config
    engine = open_database(settings)
    account = getpass.getuser()
    with (reading if is_given is None else writing)(engine) as session:
        found = store.find(session, study)
        if len(found) != 1:
            raise SettingsError(
                f"{len(found)} studies bear {study}: name one by its Study Instance UID"
            )
        row = store.get(session, found[0].id, lock=is_given is not None)
        is_news = is_given is not None and consents.decide(
            session, row, is_given=is_given, at=utcnow(), actor=f"operator {account}"
        )
    engine.dispose()
    if is_news:
        _audit(settings, row, account)
    said = _described(settings, row)
    print_json(said) if as_json else click.echo("{study_uid}: {words}".format(**said))


def _described(settings: Settings, study: Study) -> dict[str, Any]:
    may = consents.has_consent(study, settings.training.consent)
    words = "may train a model" if may else "may not train a model"
    if study.training_consent is None:
        words += f", by [training] consent = {settings.training.consent.value}: nobody was asked"
    record = Pseudonyms(settings.data_dir).known(study.study_uid)
    if record:
        words += f"; in exports it is {record}"
    return {
        "study_uid": study.study_uid,
        "consent": study.training_consent,
        "may_train": may,
        "record": record,
        "words": words,
    }


def _audit(settings: Settings, study: Study, account: str) -> None:
    what = "given" if study.training_consent else "withdrawn"
    AuditTrail(settings).consent_decided(
        StudyInstances(
            study_uid=study.study_uid,
            patient_id=study.patient_id,
            patient_issuer=study.patient_issuer,
            accession_numbers=(study.accession_number,),
            sop_classes={},
        ),
        account=account,
        description=f"consent to the training of models {what}",
    )


COMMANDS = (consent,)
