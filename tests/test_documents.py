"""The apps accept every command that a page shows.

The commands are run by the tests of the apps and by `make demo`.
"""

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md")]
COMMAND = re.compile(r"python -m apps\.(\w+) ([^`\n]+)")


def shown():
    """Yields the app and the arguments of every command in code blocks and in running text."""
    for page in PAGES:
        for app, line in COMMAND.findall(page.read_text(encoding="utf-8")):
            arguments = shlex.split(line.split("  #")[0].split(" < ")[0], comments=True)
            if not any(set(word) & set("<>[]|") for word in arguments):
                yield pytest.param(app, arguments, id=f"{page.name}: {app} {' '.join(arguments)}")


@pytest.mark.parametrize(("app", "arguments"), list(shown()))
def test_the_commands_are_accepted(app, arguments):
    main = import_module(f"apps.{app}.__main__").main
    context = main.make_context(app, list(arguments))
    name, command, rest = main.resolve_command(context, list(arguments))
    assert command.make_context(name, rest, parent=context).params


def test_every_app_is_shown():
    apps = {path.parent.name for path in (ROOT / "apps").glob("*/__main__.py")}
    assert {parameters.values[0] for parameters in shown()} == apps
