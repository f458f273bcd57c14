"""Scripts run without the project, and a crash of a script is an error of one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqmodels.errors import UserError
from seqmodels.export import isolated


def script(folder: Path, content: str) -> Path:
    path = folder / "work.py"
    path.write_text(content, encoding="utf-8")
    return path


def test_arguments_and_result(tmp_path: Path) -> None:
    work = script(tmp_path, "import sys; open(sys.argv[1], 'w').write(sys.argv[2])")
    isolated.run(work, tmp_path / "result", "a/b")
    assert (tmp_path / "result").read_text() == "a/b"


def test_a_script_cannot_import_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(isolated.__file__).parents[2]))
    work = script(tmp_path, "import os, sys; assert not os.listdir('.'); import seqmodels.errors")
    with pytest.raises(UserError, match=r"^work failed: ModuleNotFoundError: No module named 'seqmodels"):
        isolated.run(work)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", r"^work crashed \(SIGSEGV\); no file"),
        ("import os; os.abort()", r"^work crashed \(SIGABRT\)"),
        ("import sys; print('noise', file=sys.stderr); sys.exit('the reason')", "^work failed: the reason$"),
        ("raise SystemExit(3)", "^work failed: no reason given$"),
    ],
)
def test_a_failure_is_an_error_of_one_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        isolated.run(script(tmp_path, content))
    assert "\n" not in str(error.value)
