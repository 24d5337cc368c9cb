"""An object that was sent keeps the patient, the study attributes and the order that it went out with.

Of the rows that are there nothing is known but what their documents say.

Revision: 0009, after 0008.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("artifact", sa.Column("sent_as", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    # Not as a batch: SQLite would make the table anew, to which deliveries refer.
    op.drop_column("artifact", "sent_as")
