"""python-hl7's endpoint that keeps what it gets; a program: `python_hl7_peer.py PORT FILE`.

It runs in an environment of its own: there `hl7` is the package of that name, here it is ours.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import hl7.mllp

_LIMIT_BYTES = 64 << 20


async def serve(port: int, path: str) -> None:
    """Take connections until killed."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)

    async def converse(reader: Any, writer: Any) -> None:
        try:
            while True:
                message = await reader.readmessage()
                # The same promise as ours: acknowledged is what survives a power cut.
                os.write(file, str(message).encode())
                os.fsync(file)
                writer.writemessage(message.create_ack())
                await writer.drain()
        except asyncio.IncompleteReadError:
            writer.close()

    server = await hl7.mllp.start_hl7_server(  # type: ignore[attr-defined]
        converse, "127.0.0.1", port, limit=_LIMIT_BYTES, encoding="utf-8"
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2]))
