"""The package: its dependencies, its metadata, and the command ``seqmodels``."""

import ast
import re
import shlex
import sys
import tomllib
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import seqmodels
from apps.__main__ import TASKS, main

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
TEST_TOOLS = {"pytest", "pytest-xdist", "hypothesis", "optuna"}


def ranges(lines: list[str]) -> dict[str, Requirement]:
    """Returns the requirements by package name; a name may occur only once."""
    found = [Requirement(line) for line in lines]
    by_name = {canonicalize_name(requirement.name): requirement for requirement in found}
    assert len(by_name) == len(found)
    return by_name


def required_by(path: str) -> dict[str, Requirement]:
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    return ranges([line for line in (line.partition("#")[0].strip() for line in lines) if line])


RUN_TIME, DEV = ranges(PROJECT["dependencies"]), ranges(EXTRAS["dev"])


def test_the_requirements_are_the_dependencies_and_the_test_tools():
    assert required_by("requirements.txt") == RUN_TIME | {name: DEV[name] for name in TEST_TOOLS}
    assert not TEST_TOOLS & set(RUN_TIME)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("requirements-check.txt", {name: DEV[name] for name in ("ruff", "mypy")}),
        ("requirements-yahoo.txt", ranges(EXTRAS["yahoo"])),
        ("benchmarks/requirements.txt", ranges(EXTRAS["benchmarks"])),
    ],
)
def test_the_other_requirement_files_equal_the_extras(path, expected):
    assert required_by(path) == expected


def test_every_dependency_has_a_lower_and_an_upper_bound():
    for name, requirement in (RUN_TIME | DEV | ranges(EXTRAS["docs"])).items():
        operators = {specifier.operator for specifier in requirement.specifier}
        assert operators in ({">=", "<"}, {"=="}), name


def imported_names() -> set[str]:
    """Returns the top-level name of every import statement in the packages, including functions."""
    names: set[str] = set()
    for path in (*ROOT.glob("apps/**/*.py"), *ROOT.glob("seqmodels/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"apps", "seqmodels"}


def test_every_imported_package_is_a_dependency():
    declared = set(RUN_TIME) | set(
        ranges(EXTRAS["yahoo"] + EXTRAS["excel"] + EXTRAS["holidays"] + EXTRAS["tune"])
    )
    distributions = packages_distributions()
    for name in imported_names():
        providers = {canonicalize_name(each) for each in distributions.get(name, [name])}
        assert providers & declared, name


def test_the_licence_is_apache_2():
    assert PROJECT["license"] == "Apache-2.0"
    assert PROJECT["license-files"] == ["LICENSE"]
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.split()[:4] == ["Apache", "License", "Version", "2.0,"]
    assert "END OF TERMS AND CONDITIONS" in text
    assert "APPENDIX: How to apply the Apache License to your work." in text


def test_the_version_is_written_in_one_place_and_the_citation_agrees():
    assert PROJECT["dynamic"] == ["version"]
    assert PYPROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "seqmodels.__version__"}
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    cited = dict(re.findall(r"^([\w-]+): (.+)$", text, re.MULTILINE))
    assert cited["cff-version"] == "1.2.0"
    assert cited["version"] == seqmodels.__version__
    assert (cited["title"], cited["license"]) == (PROJECT["name"], PROJECT["license"])
    assert re.findall(r"- name: (.+)", text) == [author["name"] for author in PROJECT["authors"]]


def test_the_classifiers_name_the_python_versions_that_are_supported():
    supported = SpecifierSet(PROJECT["requires-python"])
    minor = {f"3.{n}" for n in range(30) if f"3.{n}.0" in supported}
    named = {each.rpartition(" ")[2] for each in PROJECT["classifiers"] if " :: 3." in each}
    assert named == minor


def test_every_data_file_is_part_of_the_package():
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["*"]
    for package in ("apps", "seqmodels"):
        assert (ROOT / package / "py.typed").is_file()
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts:
                assert any(path.match(pattern) for pattern in patterns), path
                assert (path.parent / "__init__.py").is_file(), path


def test_the_hooks_use_the_versions_of_make_check():
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    pinned = {
        word.strip()
        for words in re.findall(r"additional_dependencies: \[(.+)\]", text)
        for word in words.split(",")
    }
    assert ranges(sorted(pinned)) == required_by("requirements-check.txt")


def test_the_changelog_has_the_expected_format():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert releases[0] == "[Unreleased]"
    for release in releases[1:]:
        assert re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", release)
    for section in re.findall(r"^### (.*)$", text, re.MULTILINE):
        assert section in {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def invoke(*arguments: str):
    return CliRunner().invoke(main, arguments, prog_name="seqmodels")


def test_the_console_script_is_the_group_of_all_tasks():
    module, _, name = PROJECT["scripts"]["seqmodels"].partition(":")
    assert getattr(import_module(module), name) is main
    assert set(TASKS) == {path.parent.name for path in (ROOT / "apps").glob("*/__main__.py")}


def test_every_task_is_the_command_of_its_own_app():
    context = main.make_context("seqmodels", ["--"], resilient_parsing=True)
    for task in main.list_commands(context):
        assert main.get_command(context, task) is import_module(f"apps.{task}.__main__").main


def test_the_help_lists_every_task_with_its_summary():
    result = invoke("--help")
    assert result.exit_code == 0
    assert result.output.startswith("Usage: seqmodels [OPTIONS] TASK VERB")
    for task, summary in TASKS.items():
        assert re.search(rf"^  {task} +{re.escape(summary)}$", result.output, re.MULTILINE)


def test_the_command_without_a_task_shows_the_help():
    result = invoke()
    assert result.exit_code == 2
    assert result.output == invoke("--help").output


def test_the_help_of_a_verb_names_the_whole_command():
    assert invoke("sentiment", "train", "--help").output.startswith("Usage: seqmodels sentiment train ")


@pytest.mark.parametrize("arguments", [[], *([task] for task in TASKS)])
def test_every_level_shows_the_version(arguments):
    result = invoke(*arguments, "--version")
    assert (result.exit_code, result.output) == (0, f"seqmodels {seqmodels.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], f"error: 'nonsense' is not a task; use one of {', '.join(TASKS)}\n"),
        (["--nonsense"], "error: No such option '--nonsense'.\n"),
        (["sentiment", "nonsense"], "error: No such command 'nonsense'.\n"),
    ],
)
def test_a_usage_error_is_one_line(arguments, message):
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", message)


def test_the_pages_show_commands_that_are_accepted():
    shown = []
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")):
        shown += re.findall(r"^seqmodels (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert shown
    for line in shown:
        arguments = shlex.split(line, comments=True)
        if arguments in ([], ["--version"]):
            continue
        context = main.make_context("seqmodels", list(arguments))
        task, app, rest = main.resolve_command(context, list(arguments))
        context = app.make_context(task, list(rest), parent=context)
        name, verb, rest = app.resolve_command(context, list(rest))
        assert verb.make_context(name, rest, parent=context).params
