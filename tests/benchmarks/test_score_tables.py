"""The tables of the pages equal the records, and mark results of other code."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.scores import documents, records
from benchmarks.scores.catalog import EXPERIMENTS, TABLES
from benchmarks.scores.digest import digest
from benchmarks.scores.records import RECORDS, Record
from benchmarks.scores.running import verdict_of
from benchmarks.scores.summaries import MARK, Summary, summarize
from seqmodels.errors import DataError

QUICK = EXPERIMENTS["sentiment-quick"]
FILE = {"bytes": 2_000, "milliseconds_classify": 1.5}
# Tables with one of these words in their header contain scores.
SCORE = re.compile(
    r"accuracy|\bF1\b|log loss|perplexity|BLEU|chrF|\bNLL\b|CRPS|\bMSE\b|\bMAE\b|\bOWA\b|MASE", re.IGNORECASE
)
HISTORY = {"experiments.md", "lessons.md", "CHANGELOG.md"}  # results of earlier code, and of `make lessons`


def result(seed=0, accuracy=0.9, **changes):
    settings = {
        "experiment": QUICK.name,
        "seed": seed,
        "command": QUICK.command(seed),
        "code": digest("sentiment"),
        "date": "2026-01-31",
        "minutes": 1.0 + seed,
        "scores": {"accuracy": accuracy, "log_loss": 0.25},
        "intervals": {"accuracy": [accuracy - 0.02, accuracy + 0.02]},
        "baselines": {"majority": {"accuracy": 0.5}, "logistic regression": {"accuracy": 0.61}},
    }
    return Record(**{**settings, **changes})


@pytest.fixture
def root(tmp_path):
    """A project with one page. The page has one table."""
    (tmp_path / "docs").mkdir()
    page = "# Page\n\n<!-- scores: reviews -->\nold\n<!-- end -->\n\nEnd.\n"
    (tmp_path / "docs" / "page.md").write_text(page, encoding="utf-8")
    return tmp_path


def test_the_pages_equal_the_records():
    assert documents.outdated(records.read_all(RECORDS)) == []


def test_every_record_belongs_to_an_experiment_and_is_shown():
    found = records.read_all(RECORDS)
    shown = "".join(page.read_text(encoding="utf-8") for page in documents.pages())
    marked = {name for _, name, _, _ in documents.MARKED.findall(shown)}
    assert set(TABLES) == marked
    assert set(found) <= set(EXPERIMENTS)
    for name, own in found.items():
        experiment = EXPERIMENTS[name]
        assert {record.seed for record in own} <= set(range(experiment.seeds))
        for record in own:
            assert set(experiment.scores) <= set(record.scores)


def test_tables_of_scores_have_markers():
    for page in documents.pages():
        if page.name in HISTORY:
            continue
        text = documents.MARKED.sub("", page.read_text(encoding="utf-8"))
        for header in re.findall(r"^(\|.*\|)\n\|---", text, re.MULTILINE):
            assert not SCORE.search(header), f"{page.name}: {header}"


def test_a_changed_figure_is_found(root):
    found = {QUICK.name: [result()]}
    assert documents.write(found, root) == [root / "docs" / "page.md"]
    assert documents.write(found, root) == []
    assert documents.outdated(found, root) == []
    page = root / "docs" / "page.md"
    page.write_text(page.read_text().replace("90.00", "91.00"))
    (message,) = documents.outdated(found, root)
    assert message.startswith("docs/page.md:8: the table differs from the records")


def test_a_figure_without_a_record_is_found(root):
    documents.write({QUICK.name: [result()]}, root)
    assert documents.outdated({}, root)
    documents.write({}, root)
    assert "No result of this table has a record yet." in (root / "docs" / "page.md").read_text()


@pytest.mark.parametrize(
    "changes", [{"code": None}, {"code": "0" * 64}, {"command": "python -m apps.sentiment train"}]
)
def test_results_of_other_code_or_options_are_marked(root, changes):
    documents.write({QUICK.name: [result(), result(1)]}, root)
    page = root / "docs" / "page.md"
    assert MARK not in page.read_text()
    documents.write({QUICK.name: [result(), result(1, **changes)]}, root)
    assert f"90.00{MARK}" in page.read_text()
    # A change of the code must not fail the check of the pages.
    assert documents.outdated({QUICK.name: [result(), result(1)]}, root) == []


def test_the_table_has_mean_and_range(root):
    documents.write({QUICK.name: [result(0, 0.9), result(1, 0.93)]}, root)
    text = (root / "docs" / "page.md").read_text()
    assert "91.50 (90.00 to 93.00)" in text
    assert "| logistic regression | 61.00 |" in text
    assert text.startswith("# Page\n\n<!-- scores: reviews -->\n| model |")
    assert text.endswith("<!-- end -->\n\nEnd.\n")


@pytest.mark.parametrize("name", TABLES)
def test_every_layout_works(name):
    table = TABLES[name]
    found = {
        each.name: [
            replace(
                result(seed),
                experiment=each.name,
                scores=dict.fromkeys(each.scores, 0.5),
                files={name: {**FILE, **dict.fromkeys(each.scores, 0.5)} for name in each.files},
                baselines={"baseline": dict.fromkeys(each.scores, 0.4)},
            )
            for seed in range(each.seeds)
        ]
        for each in table.experiments
    }
    lines = documents.generate(table, found, is_current=lambda record, experiment: True)
    widths = {line.count("|") for line in lines if line.startswith("|")}
    assert len(widths) == 1
    assert len(lines) > len(table.experiments)
    assert not any("Without a record" in line for line in lines)


def test_minutes_of_a_shared_machine_are_marked():
    table = TABLES["overview"]
    for load, cell in ((None, "| 1.0 |"), (0.05, "| 1.0 |"), (0.6, "| 1.0 (shared machine) |")):
        assert cell in documents.generate(table, {QUICK.name: [result(other_load=load)]})[2]


def test_an_unknown_or_open_marker_is_an_error(root):
    page = root / "docs" / "page.md"
    page.write_text("<!-- scores: nothing -->\n<!-- end -->\n")
    with pytest.raises(DataError, match=r"docs/page.md has a marker for the table 'nothing'"):
        documents.write({}, root)
    page.write_text("<!-- scores: reviews -->\n")
    with pytest.raises(DataError, match="marker without"):
        documents.write({}, root)


def test_a_difference_inside_the_interval_is_not_a_gain():
    def conclusion(*found):
        (summary,) = summarize([QUICK], {QUICK.name: list(found)}, lambda record, experiment: True)
        return summary.conclusion()

    assert conclusion(result()) == "better"
    assert conclusion(result(accuracy=0.62)) == "not significantly different"
    assert conclusion(result(accuracy=0.55)) == "worse"
    assert conclusion(result(), result(1)) == "better with each of 2 seeds"
    mixed = conclusion(result(), result(1, 0.62), result(2))
    assert mixed == "better with 2 of 3 seeds, not significantly different with 1 of 3 seeds"
    assert conclusion(result(intervals={})) == "not tested"
    assert (
        conclusion(result(baselines={"majority": {"accuracy": 0.5}, "optimum": {"accuracy": 1}})) == "better"
    )
    test = {"conclusion": "not significantly different", "baseline": "majority", "p": 0.3}
    assert conclusion(result(verdict=test)) == "not significantly different"


def test_lower_losses_are_better():
    experiment = EXPERIMENTS["ptb"]
    record = replace(
        result(),
        experiment="ptb",
        scores={"perplexity": 90.0},
        intervals={"perplexity": [88.0, 92.0]},
        baselines={"unigram": {"perplexity": 600.0}, "5-grams": {"perplexity": 140.0}},
    )
    summary = Summary(experiment, (record,), True)
    assert summary.best_baseline() == ("5-grams", [140.0])
    assert summary.conclusion() == "better"


def test_the_verdict_of_evaluate_is_kept():
    verdict = {"conclusion": "worse", "baseline": "majority", "p": 0.01, "sentence": "The model is worse."}
    kept = {"conclusion": "worse", "baseline": "majority", "p": 0.01}
    assert verdict_of({"model": {}, "verdict": verdict}) == kept
    assert verdict_of({"model": {"verdict": verdict}}) == kept
    tests = {"GARCH": {"difference": -0.1, "p": 0.01}, "EWMA": {"difference": -0.2, "p": 0.01}}
    comparison = {"tests": tests, "best_baseline": "GARCH", "verdict": "The model is better."}
    found = verdict_of({"model": {"comparison": comparison}})
    assert found == {"conclusion": "better", "baseline": "GARCH", "p": 0.01}
    tests["GARCH"] = {"difference": 0.1, "p": 0.05}
    found = verdict_of({"model": {"comparison": comparison}})
    assert found["conclusion"] == "not significantly different"
    assert verdict_of({"model": {}}) is None


def test_records_are_written_and_read(tmp_path):
    record = result(3)
    path = records.write(tmp_path, record)
    assert path == tmp_path / "sentiment-quick" / "seed_3.json"
    assert records.read(path) == record
    records.write(tmp_path, result(1))
    assert [each.seed for each in records.read_all(tmp_path)["sentiment-quick"]] == [1, 3]
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.update(extra=1), "unknown key 'extra'"),
        (lambda content: content.pop("scores"), "is not a record"),
        (lambda content: content.update(seed=7), "rename the file"),
    ],
)
def test_damaged_records_are_one_line(tmp_path, change, message):
    path = records.write(tmp_path, result())
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message) as raised:
        records.read(path)
    assert "\n" not in str(raised.value)


def test_links_are_relative_to_the_page(root):
    (root / "docs" / "page.md").write_text("<!-- scores: overview -->\n<!-- end -->\n", "utf-8")
    (root / "README.md").write_text("<!-- scores: overview -->\n<!-- end -->\n", "utf-8")
    documents.write({QUICK.name: [result()]}, root)
    assert "](docs/sentiment.md)" in Path(root / "README.md").read_text()
    assert "](../docs/sentiment.md)" in Path(root / "docs" / "page.md").read_text()
