"""Consoles for human-readable output: ``log`` prints messages to stderr, ``out`` prints results to stdout."""

from __future__ import annotations

import sys

from rich.console import Console

log = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
# Markup and emoji are disabled, because rich would otherwise change texts such as [b] or :o:. If stdout is a
# file or a pipe, a width of 1000 characters prevents line breaks in table rows.
out = Console(markup=False, emoji=False, width=None if sys.stdout and sys.stdout.isatty() else 1000)
