"""The pages that describe the code say what the code says."""

from pathlib import Path

from cli.settings_page import describe_settings
from core.audit_metrics import AUDIT_METRICS
from core.metrics import METRICS
from core.retention_metrics import RETENTION_METRICS

_DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_settings_page_is_what_the_settings_say() -> None:
    page = (_DOCS / "settings.md").read_text(encoding="utf-8")
    assert page == describe_settings(), "run: taqrir settings --describe > docs/settings.md"


def test_every_setting_has_a_meaning() -> None:
    rows = [line for line in describe_settings().splitlines() if line.startswith("| `")]
    assert rows
    assert not [row for row in rows if row.endswith("|  |")]


def test_the_metrics_page_lists_every_metric_and_no_other() -> None:
    page = (_DOCS / "metrics.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    expected = [
        f"| `{m.name}{'_total' if m.kind == 'counter' else ''}` | {m.kind} "
        f"| {', '.join(f'`{label}`' for label in m.labels) or 'none'} | {m.help} |"
        for m in METRICS
    ]
    expected += [f"| `{name}` | gauge | none | {text} |" for name, text in AUDIT_METRICS.items()]
    expected += [
        f"| `{name}` | gauge | {f'`{label}`' if label else 'none'} | {text} |"
        for name, label, text in RETENTION_METRICS
    ]
    assert rows == expected
