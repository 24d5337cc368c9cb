"""What every part of Taqrir agrees on: lifecycle, report, settings, tables, store, queue, log."""
