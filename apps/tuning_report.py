"""The report of ``tune``: a table of the trials, the importance of the options, and plots.

This module does not import TensorFlow.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

import optuna
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial
from rich.table import Column, Table

from apps.options import flag, resolve
from apps.run import TUNING, write_text
from apps.study import TuningStudy
from seqmodels.evaluation.plots import BLUE, DOTS_PER_INCH, GREY, VERMILION, save, tidy

ENOUGH = 8  # minimum number of finished trials from which the importance of options is estimated
STATES = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}
IMPORTANCE, TRIALS, CURVES = "importance.png", "trials.png", "curves.png"


def summary(study: TuningStudy) -> dict[str, Any]:
    """Returns the result of a study as a dictionary that can be written as JSON."""
    trials, best = study.trials(), study.best()
    return {
        "task": study.task,
        "run": str(study.run.path),
        "data": resolve(study.train, study.fixed).data,
        "score": study.monitor[0],
        "maximize": study.monitor[1],
        "best": None
        if best is None
        else {"trial": best.number, "score": best.value, "options": study.explicit(best)},
        "trials": [record(trial) for trial in trials],
        "importance": importance(trials),
    }


def record(trial: FrozenTrial) -> dict[str, Any]:
    """Returns a trial as a dictionary that can be written as JSON."""
    scores = trial.intermediate_values  # maps the number of an epoch to its validation score
    return {
        "trial": trial.number,
        "state": STATES[trial.state],
        "score": trial.value if trial.state == TrialState.COMPLETE else None,
        "epochs": max(scores, default=0),
        "seconds": round(trial.user_attrs.get("seconds", 0.0), 1),
        "options": trial.user_attrs.get("chosen", {}),
        "reason": trial.user_attrs.get("reason"),
        "curve": [scores[epoch] for epoch in sorted(scores)],
    }


def importance(trials: Sequence[FrozenTrial]) -> dict[str, float]:
    """Returns the importance of each option, in descending order. The sum of all values is 1.

    The importance is estimated by fANOVA (Hutter et al. 2014): the fraction of the variance of the scores
    that an option explains. Options that some finished trials do not have are left out, and options with the
    same value in all finished trials. The result is empty if there are too few finished trials.
    """
    finished = [each for each in trials if each.state == TrialState.COMPLETE]
    others = [each for each in finished if not each.user_attrs.get("preset")]
    if len(common([each.user_attrs["chosen"] for each in others])) > len(
        common([each.user_attrs["chosen"] for each in finished])
    ):
        finished = others  # the first trial has options whose value is 'auto'
    chosen = [each.user_attrs["chosen"] for each in finished]
    values = {name: [each[name] for each in chosen] for name in common(chosen)}
    ranges = {name: _distribution(given) for name, given in values.items() if len(set(given)) > 1}
    if len(finished) < ENOUGH or not ranges or len({each.value for each in finished}) < 2:
        return {}
    study = optuna.create_study()
    for trial, options in zip(finished, chosen):
        parameters = {name: options[name] for name in ranges}
        study.add_trial(create_trial(value=trial.value, params=parameters, distributions=ranges))
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: round(float(value), 4) for name, value in found.items()}


def common(chosen: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the names of the options that all trials have."""
    return [name for name in chosen[0] if all(name in each for each in chosen)] if chosen else []


def _distribution(values: Sequence[Any]) -> BaseDistribution:
    if all(type(value) is int for value in values):
        return IntDistribution(min(values), max(values))
    if all(type(value) in (int, float) for value in values):
        # A learning rate varies over several orders of magnitude.
        return FloatDistribution(
            min(values), max(values), log=min(values) > 0 and max(values) / min(values) > 20
        )
    return CategoricalDistribution(list(dict.fromkeys(values)))


def line(trial: FrozenTrial, study: TuningStudy) -> str:
    """Returns the line that ``tune`` prints after a trial."""
    one, best, name = record(trial), study.best(), study.monitor[0]
    results = {
        "finished": f"{name} {trial.value:.4g}" if trial.value is not None else "",
        "pruned": f"pruned after epoch {one['epochs']}, {name} {one['curve'][-1]:.4g}"
        if one["curve"]
        else "pruned",
    }
    result = results.get(one["state"], f"{one['state']}: {one['reason']}")
    if trial.user_attrs.get("stopped"):
        result = f"stopped after epoch {one['epochs']}; the next command continues this trial"
    leader = f", best {best.value:.4g} in trial {best.number}" if best is not None else ""
    options = "  ".join(f"{option} {value}" for option, value in one["options"].items())
    return f"trial {one['trial']}: {result}{leader} ({one['seconds']:.1f} s)  {options}"


def table(result: Mapping[str, Any]) -> Table:
    """Returns the table of the trials for the terminal. The best trial is first."""
    columns = ("trial", "result", result["score"], "epochs", "seconds", Column("options", overflow="fold"))
    shown = Table(*columns, title=f"study of {result['task']} on {result['data']}")
    for one in ranked(result):
        options = ", ".join(f"{name} {value}" for name, value in one["options"].items())
        score = "" if one["score"] is None else f"{one['score']:.4g}"
        shown.add_row(
            str(one["trial"]), one["state"], score, str(one["epochs"]), f"{one['seconds']:.1f}", options
        )
    return shown


def ranked(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the trials from the best to the worst. Trials without a score are last."""
    sign = -1 if result["maximize"] else 1
    return sorted(
        result["trials"],
        key=lambda one: (one["score"] is None, sign * (one["score"] or 0.0), one["trial"]),
    )


def write_report(study: TuningStudy, result: Mapping[str, Any]) -> Path:
    """Writes ``report.md`` and its plots, and returns the path of the report."""
    folder = study.folder
    save(draw_trials(result), folder / TRIALS)
    save(draw_curves(result), folder / CURVES)
    if result["importance"]:
        save(draw_importance(result["importance"]), folder / IMPORTANCE)
    else:
        (folder / IMPORTANCE).unlink(missing_ok=True)
    path = folder / "report.md"
    write_text(path, report(result))
    return path


def report(result: Mapping[str, Any]) -> str:
    """Returns the report as Markdown."""
    trials, best = result["trials"], result["best"]
    counts = {state: sum(one["state"] == state for one in trials) for state in STATES.values()}
    order = "higher" if result["maximize"] else "lower"
    parts = [
        f"# Study of {result['task']}",
        f"Data: `{result['data']}`. Score: `{result['score']}` of the best epoch on the validation split; "
        f"{order} is better. The test split is not scored.",
        f"Trials: {', '.join(f'{count} {state}' for state, count in counts.items() if count)}.",
    ]
    if best is not None:
        run = Path(result["run"])
        parts += [
            "## Best options",
            *_comparison(trials, best),
            "`best.json` contains the best options. The following command trains a model with them. Evaluate "
            "this model on the test split. The score in this report is the best of many trials, so it is "
            "optimistic.",
            f"```sh\npython -m apps.{result['task']} train "
            f"--options {quote(str(run / TUNING / 'best.json'))} --run {quote(f'{run}-best')}\n```",
        ]
    names = list({name: None for one in trials for name in one["options"]})
    rows = [
        [
            one["trial"],
            one["state"] + (f": {one['reason']}" if one["reason"] else ""),
            "" if one["score"] is None else f"{one['score']:.4g}",
            one["epochs"],
            one["seconds"],
            *(one["options"].get(name, "") for name in names),
        ]
        for one in ranked(result)
    ]
    parts += ["## Trials", _markdown(["trial", "result", result["score"], "epochs", "seconds", *names], rows)]
    parts += ["The first plot shows the score of each trial, the second plot the score after each epoch."]
    parts += [f"![Score of each trial]({TRIALS})", f"![Score after each epoch]({CURVES})", "## Importance"]
    parts += _importance_section(result, names)
    return "\n\n".join(parts) + "\n"


def _comparison(trials: Sequence[Mapping[str, Any]], best: Mapping[str, Any]) -> list[str]:
    """Returns the table that compares the best trial with the first trial."""
    by_number = {one["trial"]: one for one in trials}
    usual, found = min(trials, key=lambda one: one["trial"]), by_number[best["trial"]]
    names = list({**usual["options"], **found["options"]})
    rows: list[list[Any]] = [
        [name, usual["options"].get(name, ""), found["options"].get(name, "")] for name in names
    ]
    score = usual["state"] if usual["score"] is None else f"{usual['score']:.4g}"
    rows += [["score", score, f"{best['score']:.4g}"]]
    return [_markdown(["option", f"preset (trial {usual['trial']})", f"best (trial {best['trial']})"], rows)]


def _importance_section(result: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    shares = result["importance"]
    if not shares:
        return [
            f"The importance of the options needs at least {ENOUGH} finished trials with different scores."
        ]
    absent = [flag(name) for name in names if name not in shares]
    parts = [
        "The importance of an option is the fraction of the variance of the scores that the option explains "
        "(fANOVA, Hutter et al. 2014). The estimate is rough if the study has few finished trials."
    ]
    if absent:
        parts += [f"Without an estimate, because they vary in too few trials: {', '.join(absent)}."]
    rows = [[name, f"{value:.3f}"] for name, value in shares.items()]
    return [*parts, _markdown(["option", "importance"], rows), f"![Importance of the options]({IMPORTANCE})"]


def _markdown(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    cells = ([" ".join(str(cell).split()).replace("|", "\\|") for cell in row] for row in lines)
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def draw_trials(result: Mapping[str, Any]) -> Figure:
    """Draws the score of each trial and the best score so far."""
    figure = Figure(figsize=(7, 4), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    finished = [one for one in result["trials"] if one["score"] is not None]
    pruned = [one for one in result["trials"] if one["state"] == "pruned" and one["curve"]]
    choose = max if result["maximize"] else min
    numbers, scores = ([one[key] for one in finished] for key in ("trial", "score"))
    leaders = [choose(scores[: index + 1]) for index in range(len(scores))]
    axes.step(numbers, leaders, where="post", color=VERMILION, label="best so far")
    axes.plot(numbers, scores, "o", color=BLUE, label="finished")
    if pruned:
        axes.plot(
            [one["trial"] for one in pruned],
            [choose(one["curve"]) for one in pruned],
            "x",
            color=GREY,
            label="pruned (best epoch)",
        )
    axes.set(xlabel="trial", ylabel=result["score"], title="Score of each trial")
    return _finished(figure, axes)


def draw_curves(result: Mapping[str, Any]) -> Figure:
    """Draws the validation score of each trial after each epoch."""
    figure = Figure(figsize=(7, 4), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    best = result["best"]["trial"] if result["best"] else None
    first = min((one["trial"] for one in result["trials"]), default=None)
    styles = {first: ("preset", BLUE, 1.8), best: ("best", VERMILION, 2.2)}
    labels: set[str] = set()
    for one in sorted(result["trials"], key=lambda one: one["trial"] in styles):
        if one["curve"]:
            label, colour, width = styles.get(one["trial"], ("other trials", GREY, 0.8))
            alpha = 0.45 if label == "other trials" else 1.0
            epochs, name = range(1, len(one["curve"]) + 1), None if label in labels else label
            axes.plot(epochs, one["curve"], ".-", color=colour, linewidth=width, alpha=alpha, label=name)
            labels.add(label)
    axes.set(xlabel="epoch", ylabel=result["score"], title="Score after each epoch")
    return _finished(figure, axes)


def _finished(figure: Figure, axes: Any) -> Figure:
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
    tidy(axes)
    return figure


def draw_importance(shares: Mapping[str, float]) -> Figure:
    """Draws one horizontal bar for each option. The most important option is at the top."""
    figure = Figure(figsize=(7, 1.2 + 0.35 * len(shares)), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    axes.barh(list(shares)[::-1], list(shares.values())[::-1], color=BLUE)
    axes.set(xlabel="fraction of the variance of the scores", title="Importance of the options")
    tidy(axes)
    return figure
