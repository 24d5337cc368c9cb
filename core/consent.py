"""May a study train a model? A person's word about it, else the site's rule.

Nothing leaves without a yes: the rule's default is to wait for one. A no holds whatever the rule.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from core import store
from core.settings_training import ConsentRule
from core.tables import Study


def has_consent(study: Study, rule: ConsentRule) -> bool:
    """Tell whether a study may be exported for training."""
    if study.training_consent is None:
        return rule is ConsentRule.ALL
    return study.training_consent


def decide(session: Session, study: Study, *, is_given: bool, at: datetime, actor: str) -> bool:
    """Write down that consent was given or withdrawn; False where that was said already."""
    if study.training_consent is is_given:
        return False
    study.training_consent = is_given
    event = "training_consent_given" if is_given else "training_consent_withdrawn"
    store.note(session, study.id, event, at=at, actor=actor)
    session.flush()
    return True
