"""Synthetic chest radiographs whose every finding is known, and the reports that describe them."""
