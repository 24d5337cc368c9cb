"""Our node as `taqrir node` runs it, but without the index; a program: `receiving_alone.py CONFIG`.

The same receiving processes on the same socket, so that its cost is receiving's alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cli.node import node_programs
from cli.running import migrate, supervise
from core import log
from core.settings_file import load

if __name__ == "__main__":
    log.configure()
    config = Path(sys.argv[1])
    settings = load(config)
    migrate(settings)
    programs = [p for p in node_programs(settings, config) if p.name != "node index"]
    supervise(programs, lambda: None)
