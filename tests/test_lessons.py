"""Every experiment has a section, a command and a small figure in docs/lessons.md."""

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from apps.gradients.options import EXPERIMENTS

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs"
LESSONS = (FOLDER / "lessons.md").read_text(encoding="utf-8")
PREFIX = ["python", "-m", "apps.gradients"]
NAMES = [name for name in EXPERIMENTS if name != "all"]


def commands(page):
    """Returns the arguments of every ``apps.gradients`` command in the shell blocks of a page."""
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    words = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [each[3:] for each in words if each[:3] == PREFIX]


def test_every_experiment_has_a_section_with_its_command():
    sections = re.findall(r"^## (\w+):.*?(?=^## |\Z)", LESSONS, re.DOTALL | re.MULTILINE)
    assert [name.lower() for name in sections] == NAMES
    assert {arguments[0] for arguments in commands(LESSONS)} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_is_shown_and_small(name):
    assert re.search(rf"!\[[^\]]+\]\(lessons/{name}\.png\)", LESSONS)
    path = FOLDER / "lessons" / f"{name}.png"
    with Image.open(path) as image:
        assert image.format == "PNG"
    assert path.stat().st_size < 60_000
