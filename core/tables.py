"""The rows behind `core.store` and `core.outbox`.

The database is the truth: files are its write-ahead log, Celery only a doorbell. Closed sets are
checked by the database itself; which state may follow which stands in `core.lifecycle`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from core.lifecycle import CommitmentState, DeliveryState, Origin, State


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, stored as UTC; SQLite itself would forget the offset."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive moments; hand the database UTC."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without an offset cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the moment with its offset."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Common ground of the tables: names of constraints are fixed, so that migrations can."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  SQLAlchemy's own idiom
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[list[str]]: JSON,
        list[float]: JSON,
    }


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """Return the check that a column holds one of a closed set."""
    names = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({names})", name=column)


class Study(Base):
    """One Study Instance UID: where it is, who works on it, what its newest image says of it."""

    __tablename__ = "study"
    __table_args__ = (
        one_of("state", State),
        Index("ix_study_state_last", "state", "last_instance_at"),
        # Purged studies stay for ever; whoever looks for what may go does not look at them.
        Index(
            "ix_study_kept",
            "state_changed_at",
            sqlite_where=text("purged_at IS NULL"),
            postgresql_where=text("purged_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    study_uid: Mapped[str] = mapped_column(String(64), unique=True)
    state: Mapped[str] = mapped_column(String(16))
    version: Mapped[int] = mapped_column(default=1)
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None]
    lease_owner: Mapped[str | None] = mapped_column(String(120))
    lease_until: Mapped[datetime | None]
    reason_code: Mapped[str] = mapped_column(String(64), default="")
    reason: Mapped[str] = mapped_column(Text, default="")
    needs_addendum: Mapped[bool] = mapped_column(default=False)
    sender: Mapped[str] = mapped_column(String(16), default="")
    # Of the first image that a rule admits: which rule, which lane, what it sets for the model.
    rule: Mapped[str] = mapped_column(String(32), default="")
    priority: Mapped[str] = mapped_column(String(8), default="routine")
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    # Why the study version was taken for whole.
    completed_by: Mapped[str] = mapped_column(String(32), default="")
    # An operator said that nothing more will be done about the state that it is in.
    dismissed_at: Mapped[datetime | None]
    # When files, texts and patient attributes were removed; the row and its timeline stay.
    purged_at: Mapped[datetime | None]
    # May train a model: a person's word, None where nobody gave one (`core.consent`).
    training_consent: Mapped[bool | None]
    created_at: Mapped[datetime]
    state_changed_at: Mapped[datetime]
    last_instance_at: Mapped[datetime]
    patient_id: Mapped[str] = mapped_column(Text, default="", index=True)
    patient_issuer: Mapped[str] = mapped_column(Text, default="")
    patient_name: Mapped[str] = mapped_column(Text, default="")
    # The name as its bytes came, for the day somebody finds out what they meant.
    patient_name_bytes: Mapped[bytes] = mapped_column(LargeBinary, default=b"")
    patient_birth_date: Mapped[str] = mapped_column(Text, default="")
    patient_sex: Mapped[str] = mapped_column(Text, default="")
    study_id: Mapped[str] = mapped_column(Text, default="")
    accession_number: Mapped[str] = mapped_column(Text, default="", index=True)
    accession_issuer: Mapped[str] = mapped_column(Text, default="")
    study_date: Mapped[str] = mapped_column(Text, default="")
    study_time: Mapped[str] = mapped_column(Text, default="")
    description: Mapped[str] = mapped_column(Text, default="")
    referring_physician: Mapped[str] = mapped_column(Text, default="")


class Series(Base):
    """One series of a study."""

    __tablename__ = "series"
    __table_args__ = (UniqueConstraint("study_id", "series_uid"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    series_uid: Mapped[str] = mapped_column(String(64))
    modality: Mapped[str] = mapped_column(Text, default="")
    description: Mapped[str] = mapped_column(Text, default="")
    body_part: Mapped[str] = mapped_column(Text, default="")


class Instance(Base):
    """One received object: an index entry to a file.

    The same SOP Instance UID may stand here several times with other content (digest); the newest
    is current, the others are kept.
    """

    __tablename__ = "instance"
    __table_args__ = (
        UniqueConstraint("sop_instance_uid", "digest"),
        # Numbers and bytes kept are asked for all the time, and are summed without the wide rows.
        Index("ix_instance_sender_size", "sender", "size_bytes"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"), index=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id"), index=True)
    sop_instance_uid: Mapped[str] = mapped_column(String(64))
    sop_class_uid: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(Text)
    # An object may be larger than 2 GiB.
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sender: Mapped[str] = mapped_column(String(16))
    received_at: Mapped[datetime]
    is_image: Mapped[bool]
    is_own: Mapped[bool]
    is_current: Mapped[bool] = mapped_column(default=True)
    # An image that a rule lets start a draft; why, says `admission`.
    is_admitted: Mapped[bool] = mapped_column(default=True)
    admission: Mapped[str] = mapped_column(String(64), default="")
    # The association that brought it: while that is open, the study is not complete.
    association: Mapped[str] = mapped_column(String(16), default="")
    # Storage was committed to the sender until then: not purged before.
    committed_until: Mapped[datetime | None]
    patient_id: Mapped[str] = mapped_column(Text, default="")
    patient_issuer: Mapped[str] = mapped_column(Text, default="")
    header: Mapped[dict[str, Any]]


class Draft(Base):
    """A report version: what the model wrote, or what a person or a correction made of it."""

    __tablename__ = "draft"
    __table_args__ = (
        UniqueConstraint("study_id", "report_version"),
        # The model drafts a study version once; withheld drafts may be several, one a retry.
        Index(
            "uq_draft_recorded",
            "study_id",
            "study_version",
            unique=True,
            sqlite_where=text("NOT is_withheld AND origin = 'model'"),
            postgresql_where=text("NOT is_withheld AND origin = 'model'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"), index=True)
    study_version: Mapped[int]
    report_version: Mapped[int]
    is_withheld: Mapped[bool]
    created_at: Mapped[datetime]
    seconds: Mapped[float]
    model_name: Mapped[str] = mapped_column(Text)
    model_revision: Mapped[str] = mapped_column(String(64))
    report: Mapped[str] = mapped_column(Text)
    selection: Mapped[dict[str, Any]]
    origin: Mapped[str] = mapped_column(String(16), default=Origin.MODEL)
    # Of a signed text: which version it was made of, and what was changed against it.
    changes: Mapped[dict[str, Any]] = mapped_column(default=dict)


class SignedText(Base):
    """How far one language of a signed report is from its draft; no word of either.

    It outlives the texts, which retention removes.
    """

    __tablename__ = "signed_text"
    __table_args__ = (UniqueConstraint("study_id", "language"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    language: Mapped[str] = mapped_column(String(8))
    modality: Mapped[str] = mapped_column(String(16))
    # The newest version that somebody signed this language in, and when.
    report_version: Mapped[int]
    signed_at: Mapped[datetime]
    # Signed letter for letter as it was drafted.
    is_accepted: Mapped[bool]
    # Edit distance over words, 0 (the same) to 1.
    distance: Mapped[float]


class Turn(Base):
    """One question about a study and the model's answer; both texts go when the study is purged."""

    __tablename__ = "turn"
    __table_args__ = (UniqueConstraint("study_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    study_version: Mapped[int]
    number: Mapped[int]
    created_at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(Text, default="")
    language: Mapped[str] = mapped_column(String(8))
    question: Mapped[str] = mapped_column(Text)
    answer: Mapped[str] = mapped_column(Text)
    is_withheld: Mapped[bool]
    # Frames, checks, model and how it was asked.
    detail: Mapped[dict[str, Any]]


class Artifact(Base):
    """One object made of a draft: identifier from the start, bytes before the first attempt."""

    __tablename__ = "artifact"

    id: Mapped[int] = mapped_column(primary_key=True)
    draft_id: Mapped[int] = mapped_column(ForeignKey("draft.id"), index=True)
    kind: Mapped[str] = mapped_column(String(8))
    language: Mapped[str] = mapped_column(String(8), default="")
    uid: Mapped[str] = mapped_column(String(64), unique=True)
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    sha256: Mapped[str] = mapped_column(String(64), default="")
    # Of the patient and study attributes that it was rendered with.
    header_digest: Mapped[str] = mapped_column(String(64), default="")
    # Patient and study attributes (`header`) and the order (`order`) that it was rendered with.
    sent_as: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Delivery(Base):
    """One artifact on its way to one destination: the outbox."""

    __tablename__ = "delivery"
    __table_args__ = (
        one_of("state", DeliveryState),
        UniqueConstraint("artifact_id", "destination"),
        Index("ix_delivery_due", "state", "next_attempt_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"), index=True)
    draft_id: Mapped[int] = mapped_column(ForeignKey("draft.id"), index=True)
    artifact_id: Mapped[int] = mapped_column(ForeignKey("artifact.id"))
    destination: Mapped[str] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    next_attempt_at: Mapped[datetime]
    first_attempt_at: Mapped[datetime | None]
    # When a person retried it, or an archive denied it: its hours began anew.
    renewed_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    # The peer has the object, or may have it; a lost answer leaves it so, only a refusal does not.
    is_out: Mapped[bool] = mapped_column(default=False)
    lease_owner: Mapped[str | None] = mapped_column(String(120))
    lease_until: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(Text, default="")
    # The peer's yes left open what it keeps: it is looked up.
    is_doubtful: Mapped[bool] = mapped_column(default=False)
    # PARKED, and an operator said that nothing more will be done about it.
    dismissed_at: Mapped[datetime | None]
    # Transaction UID of the storage commitment that was asked for, and until when it is awaited.
    commitment_uid: Mapped[str] = mapped_column(String(64), default="", index=True)
    commitment_until: Mapped[datetime | None]
    # How often it was asked for since the object was sent, and how often it was denied in all.
    commitment_asks: Mapped[int] = mapped_column(default=0)
    commitment_denials: Mapped[int] = mapped_column(default=0)


class Channel(Base):
    """How one destination does, for all who deliver (`core.channels`)."""

    __tablename__ = "channel"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    # How often in a row it could not be reached.
    failures: Mapped[int] = mapped_column(default=0)
    failing_since: Mapped[datetime | None]
    held_until: Mapped[datetime | None]
    paced_until: Mapped[datetime | None]


class Commitment(Base):
    """A sender's request that we commit to storage (PS3.4 J), until it has our report."""

    __tablename__ = "commitment"
    __table_args__ = (
        one_of("state", CommitmentState),
        UniqueConstraint("ae_title", "transaction_uid"),
        Index("ix_commitment_due", "state", "next_attempt_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    transaction_uid: Mapped[str] = mapped_column(String(64))
    ae_title: Mapped[str] = mapped_column(String(16))
    # The association that asked: a sender that does not listen itself has its report there.
    association: Mapped[str] = mapped_column(String(16), default="")
    state: Mapped[str] = mapped_column(String(16))
    requested_at: Mapped[datetime]
    next_attempt_at: Mapped[datetime]
    reported_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    # Pairs of SOP class and SOP instance UIDs; the failed ones with their Failure Reason.
    instances: Mapped[list[list[str]]]
    failed: Mapped[list[list[str]]] = mapped_column(default=list)
    reason: Mapped[str] = mapped_column(Text, default="")


class SenderPace(Base):
    """How long a sender was seen to pause within a study: what its quiet time is learned from."""

    __tablename__ = "sender_pace"

    ae_title: Mapped[str] = mapped_column(String(16), primary_key=True)
    # Newest last, in seconds: the longest pause within each of its last studies.
    pauses: Mapped[list[float]]
    updated_at: Mapped[datetime]


class AuditEvent(Base):
    """One line of a study's timeline, or of the installation's where no study is named.

    `detail` holds identifiers and words of ours, never patient data.
    """

    __tablename__ = "audit_event"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int | None] = mapped_column(ForeignKey("study.id"), index=True)
    at: Mapped[datetime]
    event: Mapped[str] = mapped_column(String(40))
    from_state: Mapped[str] = mapped_column(String(16), default="")
    to_state: Mapped[str] = mapped_column(String(16), default="")
    actor: Mapped[str] = mapped_column(String(120), default="")
    detail: Mapped[dict[str, Any]]


class Heartbeat(Base):
    """The last sign that a process consumes: a worker may live and yet take no work."""

    __tablename__ = "heartbeat"

    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    beat_at: Mapped[datetime]
