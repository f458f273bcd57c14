"""docs/lessons.md: every experiment has its section, an accepted command, and a small figure."""

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from apps.gradients.__main__ import main
from apps.gradients.options import EXPERIMENTS

FOLDER = Path(__file__).parents[1] / "docs"
LESSONS = (FOLDER / "lessons.md").read_text(encoding="utf-8")
COMMANDS = [shlex.split(line) for line in re.findall(r"```sh\n(.*?)\n```", LESSONS, re.DOTALL)]
NAMES = [name for name in EXPERIMENTS if name != "all"]


def test_every_experiment_has_a_section_with_its_command():
    sections = re.findall(r"^## (\w+):.*?(?=^## |\Z)", LESSONS, re.DOTALL | re.MULTILINE)
    assert [name.lower() for name in sections] == NAMES
    shown = {command[3] for command in COMMANDS}
    assert shown == set(NAMES)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_commands_are_accepted(command):
    """The experiments themselves are run, in small, by the tests of the app."""
    assert command[:3] == ["python", "-m", "apps.gradients"]
    context = main.make_context("gradients", command[3:])
    name, experiment, rest = main.resolve_command(context, command[3:])
    assert experiment.make_context(name, rest).params


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_is_shown_and_small(name):
    assert re.search(rf"!\[[^\]]+\]\(lessons/{name}\.png\)", LESSONS)
    path = FOLDER / "lessons" / f"{name}.png"
    with Image.open(path) as image:
        assert image.format == "PNG"
    assert path.stat().st_size < 60_000
