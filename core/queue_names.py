"""What the queues are called: needed by many who never ring."""

from __future__ import annotations

DRAFT_QUEUE = "draft"
DELIVER_QUEUE = "deliver"
QUEUES = (DRAFT_QUEUE, DELIVER_QUEUE)
