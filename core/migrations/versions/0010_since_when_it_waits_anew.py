"""A delivery that is to be sent again says since when it waits for that.

Of the rows that are there: since they were made.

Revision: 0010, after 0009.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import core.tables

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column(
        "delivery",
        sa.Column("renewed_at", core.tables.UtcDateTime(timezone=True), nullable=True),
    )


def downgrade() -> None:
    op.drop_column("delivery", "renewed_at")
