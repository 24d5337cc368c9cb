"""A site's own training data: consent of each study, and what signed texts changed in their drafts.

Revision: 0007, after 0005.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import core.tables

revision = "0007"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("study", sa.Column("training_consent", sa.Boolean(), nullable=True))
    op.create_table(
        "signed_text",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("modality", sa.String(16), nullable=False),
        sa.Column("report_version", sa.Integer(), nullable=False),
        sa.Column("signed_at", core.tables.UtcDateTime(timezone=True), nullable=False),
        sa.Column("is_accepted", sa.Boolean(), nullable=False),
        sa.Column("distance", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name="fk_signed_text_study_id"),
        sa.PrimaryKeyConstraint("id", name="pk_signed_text"),
        sa.UniqueConstraint("study_id", "language", name="uq_signed_text_study_id"),
    )


def downgrade() -> None:
    op.drop_table("signed_text")
    op.drop_column("study", "training_consent")
