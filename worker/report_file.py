"""A report as people hand it in: the JSON that `taqrir show --json` prints, edited.

`docs/report.schema.json` describes it and is written from here.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from core.errors import SigningRefusedError
from core.report import Report, from_json

# A report is a few kilobytes; more than this is another file.
MOST_BYTES = 8 << 20


def report_schema() -> dict[str, Any]:
    """Return the JSON schema of a report (draft 2020-12)."""
    schema = TypeAdapter(Report).json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def read_report(data: bytes, *, version: int, study_uid: str) -> Report:
    """Return the report in a file: the report alone, or all that `show --json` prints of a study.

    A report alone does not say whose it is; who signs it compares its frames with the draft's.

    Raises:
        SigningRefusedError: It is neither, or it is of another study.
    """
    if len(data) > MOST_BYTES:
        raise SigningRefusedError("The file is too large to be a report.")
    try:
        found = json.loads(data.decode("utf-8-sig"))
        told_uid = study_uid
        if "drafts" in found:
            told_uid = found["study_uid"]
            [found] = [d["report"] for d in found["drafts"] if d["report_version"] == version]
        report = from_json(json.dumps(found))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise SigningRefusedError(
            f"The file holds no report of version {version}: it takes what `taqrir show --json` "
            "prints, and docs/report.schema.json says how it is built."
        ) from None
    if told_uid != study_uid:
        raise SigningRefusedError(f"The file is of another study, not of {study_uid}.")
    return report


if __name__ == "__main__":
    from pathlib import Path
    from sys import argv

    text = json.dumps(report_schema(), ensure_ascii=False, indent=2, sort_keys=True)
    Path(argv[1]).write_text(text + "\n", encoding="utf-8")
