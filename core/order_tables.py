"""The rows of what an information system tells us: messages, orders, reports, identities.

Beside `core.tables`, whose base they share: importing this module makes them known.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from core.lifecycle import MessageState, OrderState
from core.tables import Base, one_of


class Hl7Message(Base):
    """One message as its bytes came; a row is committed before anybody is told AA.

    The same key with other content is another message (`is_key_repeated`); the same key and content
    is the same one, and has one row.
    """

    __tablename__ = "hl7_message"
    __table_args__ = (
        one_of("state", MessageState),
        Index("ix_hl7_message_key", "control_id", "sending_application", "sending_facility"),
        # Few rows wait at a time, among many that are done.
        Index("ix_hl7_message_state_id", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    # The key, MSH-3, MSH-4 and MSH-10, cut to what an index may hold.
    sending_application: Mapped[str] = mapped_column(String(64))
    sending_facility: Mapped[str] = mapped_column(String(64))
    control_id: Mapped[str] = mapped_column(String(64))
    # SHA-256 of the content, of which the key is a part.
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    # Type and trigger, such as ``ORM^O01``.
    kind: Mapped[str] = mapped_column(String(32), default="")
    # It says that patients are one, or its kind leaves that open.
    is_merge: Mapped[bool] = mapped_column(default=False)
    is_key_repeated: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str] = mapped_column(String(16))
    # What became of it, in words for a person, without patient data.
    reason: Mapped[str] = mapped_column(Text, default="")
    peer: Mapped[str] = mapped_column(String(64), default="")
    received_at: Mapped[datetime]
    processed_at: Mapped[datetime | None]
    # How often it was processed: more than once where somebody played it again.
    attempts: Mapped[int] = mapped_column(default=0)
    size_bytes: Mapped[int]
    content: Mapped[bytes] = mapped_column(LargeBinary)


class Order(Base):
    """One requested procedure step as its newest message says it, and the study that it is for."""

    __tablename__ = "imaging_order"
    __table_args__ = (
        one_of("state", OrderState),
        Index("ix_imaging_order_keys", "placer_number", "filler_number"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("hl7_message.id"), index=True)
    # The study that it was attached to.
    study_id: Mapped[int | None] = mapped_column(ForeignKey("study.id"), index=True)
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text, default="")
    updated_at: Mapped[datetime]
    # By what it finds its study.
    study_uid: Mapped[str] = mapped_column(Text, default="", index=True)
    accession_number: Mapped[str] = mapped_column(Text, default="", index=True)
    accession_issuer: Mapped[str] = mapped_column(Text, default="")
    scheduled_step_id: Mapped[str] = mapped_column(Text, default="", index=True)
    # For whom: pairs of number and assigning authority, the first one leading.
    patient_ids: Mapped[list[list[str]]]
    # What it says; `core.orders.OrderReference` tells the fields.
    placer_number: Mapped[str] = mapped_column(Text, default="")
    placer_issuer: Mapped[str] = mapped_column(Text, default="")
    filler_number: Mapped[str] = mapped_column(Text, default="")
    filler_issuer: Mapped[str] = mapped_column(Text, default="")
    requested_procedure_id: Mapped[str] = mapped_column(Text, default="")
    # Lane: stat or routine; the order's own word stands beside it.
    priority: Mapped[str] = mapped_column(String(8), default="routine")
    priority_code: Mapped[str] = mapped_column(Text, default="")
    modality: Mapped[str] = mapped_column(Text, default="")
    indication: Mapped[str] = mapped_column(Text, default="")
    procedure_code: Mapped[str] = mapped_column(Text, default="")
    procedure_meaning: Mapped[str] = mapped_column(Text, default="")
    procedure_scheme: Mapped[str] = mapped_column(Text, default="")
    ordering_provider_id: Mapped[str] = mapped_column(Text, default="")
    ordering_provider: Mapped[str] = mapped_column(Text, default="")
    patient_class: Mapped[str] = mapped_column(Text, default="")
    visit_number: Mapped[str] = mapped_column(Text, default="")
    visit_issuer: Mapped[str] = mapped_column(Text, default="")


class OutsideReport(Base):
    """A report that somebody else wrote and signed, as the feed told us of it."""

    __tablename__ = "outside_report"
    __table_args__ = (Index("ix_outside_report_patient", "patient_id", "observed_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("hl7_message.id"), index=True)
    study_uid: Mapped[str] = mapped_column(Text, default="", index=True)
    accession_number: Mapped[str] = mapped_column(Text, default="", index=True)
    accession_issuer: Mapped[str] = mapped_column(Text, default="")
    patient_id: Mapped[str] = mapped_column(Text)
    patient_issuer: Mapped[str] = mapped_column(Text, default="")
    # OBR-25 as it came: F, C and so on.
    status: Mapped[str] = mapped_column(String(8))
    modality: Mapped[str] = mapped_column(Text, default="")
    # Digits of a DICOM date and time, as far as they are known.
    observed_at: Mapped[str] = mapped_column(String(32), default="")
    impression: Mapped[str] = mapped_column(Text, default="")


class PatientIdentity(Base):
    """What the information system says of a patient number, and whom it was merged into."""

    __tablename__ = "patient_identity"
    __table_args__ = (
        UniqueConstraint("patient_id", "issuer"),
        Index(
            "ix_patient_identity_merged",
            "merged_into_id",
            sqlite_where=text("merged_into_id IS NOT NULL"),
            postgresql_where=text("merged_into_id IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    patient_id: Mapped[str] = mapped_column(Text)
    issuer: Mapped[str] = mapped_column(Text, default="")
    name: Mapped[str] = mapped_column(Text, default="")
    birth_date: Mapped[str] = mapped_column(Text, default="")
    sex: Mapped[str] = mapped_column(Text, default="")
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("patient_identity.id"))
    updated_at: Mapped[datetime]
