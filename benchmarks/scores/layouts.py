"""Layouts of the tables: functions that convert summaries to the lines of a Markdown table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

from benchmarks.scores.experiment import SCORES
from benchmarks.scores.records import Record
from benchmarks.scores.summaries import Summary, mean, shown, standard_error

SHARED = 0.1  # the minutes are marked if other programs used more than this share of the processors
# The page of each task, and the heading in the overview
PAGES = {
    "sentiment": ("Sentiment", "docs/sentiment.md"),
    "language_modeling": ("Language modeling", "docs/language_modeling.md"),
    "translation": ("Translation", "docs/translation.md"),
    "forecasting": ("Forecasting", "docs/forecasting.md"),
}


def scores(summaries: Sequence[Summary]) -> list[str]:
    """Returns a table with one row per experiment and all conditions of its trainings."""
    keys = summaries[0].experiment.scores
    further = [SCORES[key].title for key in keys[1:]]
    header = ["data", "model", "command", f"test {SCORES[keys[0]].title}", "95 % interval", "seeds", *further]
    header += ["valid", "baselines", "compared with the best baseline", "published", "minutes", "machine"]
    return _table([*header, "date"], [_scores_row(summary, keys) for summary in summaries])


def _scores_row(summary: Summary, keys: Sequence[str]) -> list[str]:
    experiment = summary.experiment
    return [
        experiment.source.title,
        _model(summary),
        _command(summary),
        shown(keys[0], summary.values(keys[0])) + summary.mark,
        _interval(summary),
        str(len(summary.records)),
        *(shown(key, summary.values(key)) for key in keys[1:]),
        _valid(summary),
        "; ".join(f"{name} {shown(keys[0], values)}" for name, values in summary.baselines(keys[0]).items()),
        summary.conclusion(),
        experiment.published,
        _minutes(summary),
        _machine(summary),
        _date(summary),
    ]


def ablations(summaries: Sequence[Summary]) -> list[str]:
    """Returns a table with one row per experiment, for variants of one model on the same data."""
    keys = summaries[0].experiment.scores
    header = ["model", "command", "parameters", "best epoch", "minutes", "valid"]
    header += [f"test {SCORES[key].title}" for key in keys]
    rows = [
        [
            summary.experiment.model,
            _command(summary),
            _parameters(summary),
            _each(_epochs(record) for record in summary.records),
            _minutes(summary),
            _valid(summary),
            *(shown(key, summary.values(key)) + summary.mark * (key == keys[0]) for key in keys),
            _interval(summary),
            str(len(summary.records)),
            _machine(summary),
            _date(summary),
        ]
        for summary in summaries
    ]
    return _table([*header, "95 % interval", "seeds", "machine", "date"], rows)


def models(summaries: Sequence[Summary]) -> list[str]:
    """Returns a table with one row per baseline, model and variant of the model."""
    keys = list(dict.fromkeys(key for each in summaries for key in each.experiment.scores))
    several = len({summary.experiment.source.title for summary in summaries}) > 1
    rows = []
    for summary in summaries:
        named = {key: summary.baselines(key) for key in keys}
        variants = {key: summary.variants(key) for key in keys}
        experiment = summary.experiment
        first = [experiment.source.title] if several else []
        for found, title in ((named, "{}"), (variants, f"{experiment.model}, {{}}")):
            for name in dict.fromkeys(name for values in found.values() for name in values):
                cells = [shown(key, found[key].get(name, [])) for key in keys]
                cells[0] += summary.mark
                rows.append([*first, title.format(name), *cells])
        cells = [shown(key, summary.values(key)) for key in keys]
        cells[0] += summary.mark
        rows.append([*first, experiment.model, *cells])
    distinct = [list(row) for row in dict.fromkeys(map(tuple, rows))]
    return _table([*["data"] * several, "model", *(f"test {SCORES[key].title}" for key in keys)], distinct)


def sizes(summaries: Sequence[Summary]) -> list[str]:
    """Returns a table with one row per data set and size, and a sentence that counts the rows."""
    header = ["data", "training examples", "seeds", "score", "model", "standard error", "best baseline"]
    counts = {"above": 0, "equal": 0, "below": 0}
    rows = []
    for summary in summaries:
        best = summary.best_baseline()
        if best is None:
            continue
        key, (name, values) = summary.key, best
        own = summary.values(key)
        error = standard_error(own) or 0.0
        gain = (mean(own) - mean(values)) * (1 if SCORES[key].higher else -1)
        counts["above" if gain > 0 else "below" if gain < -error else "equal"] += 1
        rows.append(
            [
                summary.experiment.source.title,
                _size(summary),
                str(len(summary.records)),
                SCORES[key].title,
                shown(key, own) + summary.mark,
                SCORES[key].shown(error) if len(own) > 1 else "",
                f"{name} {shown(key, values)}",
                summary.conclusion(),
            ]
        )
    total = sum(counts.values())
    sentence = (
        f"The mean score of the model is above the best baseline in {counts['above']} of {total} rows. "
        f"It is below the best baseline by more than its standard error in {counts['below']} rows."
    )
    return [*_table([*header, "compared with the best baseline"], rows), "", sentence]


def files(summaries: Sequence[Summary]) -> list[str]:
    """Returns a table with one row per TFLite file: its size, its time, and its scores."""
    keys = summaries[0].experiment.scores
    header = ["data", "model", "file", "kB", "ms", *(f"test {SCORES[key].title}" for key in keys)]
    rows = []
    for summary in summaries:
        for name in summary.experiment.files:
            found = [record.files[name] for record in summary.records if name in record.files]
            if not found:
                continue
            times = [key.removeprefix("milliseconds_") for key in found[0] if key.startswith("milliseconds_")]
            spent = [f"{mean([row[f'milliseconds_{each}'] for row in found]):.2f}" for each in times]
            cells = [shown(key, [row[key] for row in found if key in row]) for key in keys]
            cells[0] += summary.mark
            size = f"{mean([row['bytes'] for row in found]) / 1000:,.0f}"
            named = [f"{each} ({time})" for each, time in zip(spent, times)] if len(times) > 1 else spent
            row = [summary.experiment.source.title, summary.experiment.model, name, size, ", ".join(named)]
            rows.append([*row, *cells, _date(summary)])
    return _table([*header, "date"], rows) if rows else [NOTHING]


def overview(summaries: Sequence[Summary]) -> list[str]:
    """Returns the table of the README: one row per experiment with its score and its best baseline."""
    header = ["task", "command", "data", "training time (minutes)", "test score of the model", "seeds"]
    rows = []
    for summary in summaries:
        experiment, best, key = summary.experiment, summary.best_baseline(), summary.key
        title, page = PAGES[experiment.task]
        words = ["python", "-m", f"apps.{experiment.task}", "train", *experiment.train]
        rows.append(
            [
                f"[{title}]({page})",
                f"`{' '.join(words)}`",
                experiment.source.title,
                _minutes(summary),
                f"{SCORES[key].title} {shown(key, summary.values(key))}{summary.mark}",
                str(len(summary.records)),
                "" if best is None else f"{best[0]}: {shown(key, best[1])}",
                summary.conclusion(),
            ]
        )
    return _table([*header, "best baseline", "compared with the best baseline"], rows)


NOTHING = "No result of this table has a record yet."
LAYOUTS: dict[str, Callable[[Sequence[Summary]], list[str]]] = {
    each.__name__: each for each in (scores, ablations, models, sizes, files, overview)
}


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Returns the lines of a table without its empty columns."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    kept = [place for place in range(len(header)) if any(row[place] for row in cells)]
    lines = [[header[place] for place in kept], ["---"] * len(kept)]
    lines += [[row[place] for place in kept] for row in cells]
    return [f"| {' | '.join(line)} |".replace("| --- ", "|---").replace("|--- |", "|---|") for line in lines]


def _model(summary: Summary) -> str:
    count = _parameters(summary)
    return summary.experiment.model + (f", {count} parameters" if count else "")


def _machine(summary: Summary) -> str:
    """Returns the machines and the remarks of the records."""
    return _each(text for record in summary.records for text in (record.machine, record.note))


def _parameters(summary: Summary) -> str:
    return _each(None if (count := record.parameters) is None else f"{count:,}" for record in summary.records)


def _command(summary: Summary) -> str:
    """Returns the command of the first seed, and the arguments of ``evaluate``."""
    first = summary.records[0]
    shown = f"`{first.command}`"
    return f"{shown}, `evaluate {' '.join(first.evaluate)}`" if first.evaluate else shown


def _interval(summary: Summary) -> str:
    edges = summary.interval(summary.key)
    return "" if edges is None else " to ".join(map(SCORES[summary.key].shown, edges))


def _valid(summary: Summary) -> str:
    """Returns the validation score that has the name of the test score, or else the validation loss."""
    key = summary.key
    values = [record.valid[key] for record in summary.records if key in record.valid]
    if values:
        return shown(key, values)
    losses = [record.valid["loss"] for record in summary.records if "loss" in record.valid]
    return f"loss {mean(losses):.3f}" if losses else ""


def _minutes(summary: Summary) -> str:
    times = [record.minutes for record in summary.records if record.minutes is not None]
    edges = (
        [f"{edge:.1f}" if edge < 10 else f"{edge:.0f}" for edge in (min(times), max(times))] if times else []
    )
    shared = any((record.other_load or 0) > SHARED for record in summary.records)
    return " to ".join(dict.fromkeys(edges)) + " (shared machine)" * shared


def _epochs(record: Record) -> str | None:
    return None if record.best_epoch is None else f"{record.best_epoch} of {record.epochs}"


def _size(summary: Summary) -> str:
    if summary.experiment.cut is not None:
        return f"{summary.experiment.cut:,}"
    counts = summary.records[0].data.get("counts", {})
    return f"all ({counts['train'] + counts['valid']:,})" if {"train", "valid"} <= set(counts) else "all"


def _date(summary: Summary) -> str:
    return max(record.date for record in summary.records)


def _each(values: Iterable[str | None]) -> str:
    """Returns the distinct values, joined by commas."""
    return ", ".join(dict.fromkeys(str(value) for value in values if value))


def link_from(page: PurePosixPath, lines: Sequence[str]) -> list[str]:
    """Returns the lines with links that are relative to the folder of a page."""
    up = "../" * (len(page.parts) - 1)
    return [line.replace("](docs/", f"]({up}docs/") for line in lines]
