"""Where an app writes for a person: notes to stderr, tables to stdout."""

from __future__ import annotations

import sys

from rich.console import Console

log = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
# A label [b] or :o: is printed as it is, and a table in a file or a pipe is as wide as it needs to be.
out = Console(markup=False, emoji=False, width=None if sys.stdout and sys.stdout.isatty() else 1000)
