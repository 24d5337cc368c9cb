"""Receiving: rules, completion, storage commitment, retention.

Revision: 0002, after 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import core.tables

revision = "0002"
down_revision = "0001"


def _moment() -> core.tables.UtcDateTime:
    return core.tables.UtcDateTime(timezone=True)


def upgrade() -> None:
    with op.batch_alter_table("study") as study:
        study.add_column(sa.Column("rule", sa.String(32), nullable=False, server_default=""))
        study.add_column(
            sa.Column("priority", sa.String(8), nullable=False, server_default="routine")
        )
        study.add_column(sa.Column("options", sa.JSON(), nullable=False, server_default="{}"))
        study.add_column(
            sa.Column("completed_by", sa.String(32), nullable=False, server_default="")
        )
        study.add_column(sa.Column("dismissed_at", _moment(), nullable=True))
        study.add_column(sa.Column("purged_at", _moment(), nullable=True))
        study.add_column(
            sa.Column("patient_name_bytes", sa.LargeBinary(), nullable=False, server_default="")
        )
    op.create_index(
        "ix_study_kept",
        "study",
        ["state_changed_at"],
        sqlite_where=sa.text("purged_at IS NULL"),
        postgresql_where=sa.text("purged_at IS NULL"),
    )
    with op.batch_alter_table("instance") as instance:
        instance.add_column(
            sa.Column("is_admitted", sa.Boolean(), nullable=False, server_default=sa.true())
        )
        instance.add_column(
            sa.Column("admission", sa.String(64), nullable=False, server_default="")
        )
        instance.add_column(
            sa.Column("association", sa.String(16), nullable=False, server_default="")
        )
        instance.add_column(sa.Column("committed_until", _moment(), nullable=True))
        instance.create_index("ix_instance_sender_size", ["sender", "size_bytes"])
    with op.batch_alter_table("delivery") as delivery:
        delivery.add_column(sa.Column("dismissed_at", _moment(), nullable=True))
        delivery.add_column(
            sa.Column("commitment_uid", sa.String(64), nullable=False, server_default="")
        )
        delivery.add_column(sa.Column("commitment_until", _moment(), nullable=True))
        for name in ("commitment_asks", "commitment_denials"):
            delivery.add_column(sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
        delivery.create_index("ix_delivery_commitment_uid", ["commitment_uid"])
    op.create_table(
        "commitment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("transaction_uid", sa.String(64), nullable=False),
        sa.Column("ae_title", sa.String(16), nullable=False),
        sa.Column("association", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("requested_at", _moment(), nullable=False),
        sa.Column("next_attempt_at", _moment(), nullable=False),
        sa.Column("reported_at", _moment(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("instances", sa.JSON(), nullable=False),
        sa.Column("failed", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "state IN ('EVALUATING', 'REPORTING', 'REPORTED', 'UNREPORTED')",
            name=op.f("ck_commitment_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commitment")),
        sa.UniqueConstraint("ae_title", "transaction_uid", name=op.f("uq_commitment_ae_title")),
    )
    op.create_index("ix_commitment_due", "commitment", ["state", "next_attempt_at"])
    op.create_table(
        "sender_pace",
        sa.Column("ae_title", sa.String(16), nullable=False),
        sa.Column("pauses", sa.JSON(), nullable=False),
        sa.Column("updated_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("ae_title", name=op.f("pk_sender_pace")),
    )


def downgrade() -> None:
    op.drop_table("sender_pace")
    op.drop_table("commitment")
    with op.batch_alter_table("delivery") as delivery:
        delivery.drop_index("ix_delivery_commitment_uid")
        for name in (
            "commitment_denials",
            "commitment_asks",
            "commitment_until",
            "commitment_uid",
            "dismissed_at",
        ):
            delivery.drop_column(name)
    with op.batch_alter_table("instance") as instance:
        instance.drop_index("ix_instance_sender_size")
        for name in ("committed_until", "association", "admission", "is_admitted"):
            instance.drop_column(name)
    op.drop_index("ix_study_kept", "study")
    with op.batch_alter_table("study") as study:
        for name in (
            "patient_name_bytes",
            "purged_at",
            "dismissed_at",
            "completed_by",
            "options",
            "priority",
            "rule",
        ):
            study.drop_column(name)
