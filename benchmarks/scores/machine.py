"""Describes the machine, the software and the commit of a training, for its record."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from benchmarks.scores.digest import PACKAGES, ROOT

SOFTWARE = ("tensorflow", "keras", "numpy", "scikit-learn")


def machine() -> str:
    """Returns the processor, the number of cores and the memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parts = [_processor(), f"{cores} core{'s' * (cores > 1)}"]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        parts.append(f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB")
    return ", ".join(parts)


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    text = described.read_text(encoding="utf-8", errors="replace") if described.exists() else ""
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    name = found.group(1) if found else platform.processor() or platform.machine()
    return re.sub(r"\((R|TM)\)|@.*| CPU| Processor|\d+-Core", "", name).strip()


def busy_seconds() -> float | None:
    """Returns the processor time of all programs since the start of the machine, or None if it is unknown."""
    path = Path("/proc/stat")
    if not path.exists():
        return None
    user, nice, system, _, _, irq, softirq, *_ = map(int, path.read_text().splitlines()[0].split()[1:])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def software() -> dict[str, str]:
    """Returns the versions of Python and of the packages that decide the numbers."""
    return {"python": platform.python_version(), **{name: version(name) for name in SOFTWARE}}


def commit(root: Path = ROOT) -> str | None:
    """Returns the commit of the code, or None without git.

    The commit ends in ``+`` if the packages have changes that are not committed.
    """
    try:
        head = _git(root, "rev-parse", "--short=12", "HEAD")
        changed = _git(root, "status", "--porcelain", "--", *PACKAGES)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + "+" * bool(changed)


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
