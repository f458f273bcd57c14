"""Consoles for text that people read: ``log`` writes to stderr, ``out`` writes tables to stdout."""

from __future__ import annotations

import sys

from rich.console import Console

log = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
# Labels such as [b] or :o: are printed unchanged. In a file or a pipe, a table gets the width that it needs.
out = Console(markup=False, emoji=False, width=None if sys.stdout and sys.stdout.isatty() else 1000)
