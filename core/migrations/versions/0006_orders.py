"""What an information system tells us: messages, orders, reports, identities.

Revision: 0006, after 0004.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import core.tables

revision = "0006"
down_revision = "0004"


def _moment() -> core.tables.UtcDateTime:
    return core.tables.UtcDateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "hl7_message",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sending_application", sa.String(64), nullable=False),
        sa.Column("sending_facility", sa.String(64), nullable=False),
        sa.Column("control_id", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("is_merge", sa.Boolean(), nullable=False),
        sa.Column("is_key_repeated", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("peer", sa.String(64), nullable=False),
        sa.Column("received_at", _moment(), nullable=False),
        sa.Column("processed_at", _moment(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "state IN ('RECEIVED', 'APPLIED', 'IGNORED', 'FAILED')",
            name=op.f("ck_hl7_message_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hl7_message")),
        sa.UniqueConstraint("digest", name=op.f("uq_hl7_message_digest")),
    )
    op.create_index(
        "ix_hl7_message_key",
        "hl7_message",
        ["control_id", "sending_application", "sending_facility"],
    )
    op.create_index("ix_hl7_message_state_id", "hl7_message", ["state", "id"])
    op.create_table(
        "patient_identity",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("birth_date", sa.Text(), nullable=False),
        sa.Column("sex", sa.Text(), nullable=False),
        sa.Column("merged_into_id", sa.Integer(), nullable=True),
        sa.Column("updated_at", _moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["merged_into_id"],
            ["patient_identity.id"],
            name=op.f("fk_patient_identity_merged_into_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient_identity")),
        sa.UniqueConstraint("patient_id", "issuer", name=op.f("uq_patient_identity_patient_id")),
    )
    op.create_index(
        "ix_patient_identity_merged",
        "patient_identity",
        ["merged_into_id"],
        sqlite_where=sa.text("merged_into_id IS NOT NULL"),
        postgresql_where=sa.text("merged_into_id IS NOT NULL"),
    )
    op.create_table(
        "imaging_order",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("updated_at", _moment(), nullable=False),
        sa.Column("study_uid", sa.Text(), nullable=False),
        sa.Column("accession_number", sa.Text(), nullable=False),
        sa.Column("accession_issuer", sa.Text(), nullable=False),
        sa.Column("scheduled_step_id", sa.Text(), nullable=False),
        sa.Column("patient_ids", sa.JSON(), nullable=False),
        sa.Column("placer_number", sa.Text(), nullable=False),
        sa.Column("placer_issuer", sa.Text(), nullable=False),
        sa.Column("filler_number", sa.Text(), nullable=False),
        sa.Column("filler_issuer", sa.Text(), nullable=False),
        sa.Column("requested_procedure_id", sa.Text(), nullable=False),
        sa.Column("priority", sa.String(8), nullable=False),
        sa.Column("priority_code", sa.Text(), nullable=False),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("indication", sa.Text(), nullable=False),
        sa.Column("procedure_code", sa.Text(), nullable=False),
        sa.Column("procedure_meaning", sa.Text(), nullable=False),
        sa.Column("procedure_scheme", sa.Text(), nullable=False),
        sa.Column("ordering_provider_id", sa.Text(), nullable=False),
        sa.Column("ordering_provider", sa.Text(), nullable=False),
        sa.Column("patient_class", sa.Text(), nullable=False),
        sa.Column("visit_number", sa.Text(), nullable=False),
        sa.Column("visit_issuer", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "state IN ('WAITING', 'ATTACHED', 'CONFLICT', 'CANCELLED')",
            name=op.f("ck_imaging_order_state"),
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["hl7_message.id"], name=op.f("fk_imaging_order_message_id")
        ),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_imaging_order_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imaging_order")),
    )
    op.create_index(
        op.f("ix_imaging_order_accession_number"), "imaging_order", ["accession_number"]
    )
    op.create_index("ix_imaging_order_keys", "imaging_order", ["placer_number", "filler_number"])
    op.create_index(op.f("ix_imaging_order_message_id"), "imaging_order", ["message_id"])
    op.create_index(
        op.f("ix_imaging_order_scheduled_step_id"), "imaging_order", ["scheduled_step_id"]
    )
    op.create_index(op.f("ix_imaging_order_study_id"), "imaging_order", ["study_id"])
    op.create_index(op.f("ix_imaging_order_study_uid"), "imaging_order", ["study_uid"])
    op.create_table(
        "outside_report",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.Integer(), nullable=False),
        sa.Column("study_uid", sa.Text(), nullable=False),
        sa.Column("accession_number", sa.Text(), nullable=False),
        sa.Column("accession_issuer", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("patient_issuer", sa.Text(), nullable=False),
        sa.Column("status", sa.String(8), nullable=False),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("observed_at", sa.String(32), nullable=False),
        sa.Column("impression", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["hl7_message.id"], name=op.f("fk_outside_report_message_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outside_report")),
    )
    op.create_index(
        op.f("ix_outside_report_accession_number"), "outside_report", ["accession_number"]
    )
    op.create_index(op.f("ix_outside_report_message_id"), "outside_report", ["message_id"])
    op.create_index("ix_outside_report_patient", "outside_report", ["patient_id", "observed_at"])
    op.create_index(op.f("ix_outside_report_study_uid"), "outside_report", ["study_uid"])


def downgrade() -> None:
    op.drop_table("outside_report")
    op.drop_table("imaging_order")
    op.drop_table("patient_identity")
    op.drop_table("hl7_message")
