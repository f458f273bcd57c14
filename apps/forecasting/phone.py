"""TFLite export of forecasting models.

The TFLite file and the SavedModel have the same signature ``forecast``. The TFLite file forecasts one window
per call. A README next to the file explains how to use the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from apps.bundle import Bundle, Phone
from apps.forecasting.data import Assets, Prepared, prepare, read
from apps.forecasting.inference import as_forecast, rows_of
from apps.forecasting.metrics import crps
from apps.forecasting.options import Train
from apps.forecasting.records import PRICE_COLUMNS
from apps.forecasting.saved_model import LEVELS, forecast_signature
from apps.options import ConvertOptions
from apps.run import Run
from seqmodels.errors import UsageError
from seqmodels.export.tflite import Entry, choose_form

WINDOWS = 200  # maximum number of validation windows on which a TFLite file is scored
REPRESENTATIVE = 200  # maximum number of training windows for the calibration of int8 quantization


def phone(run: Run, model: keras.Model, options: ConvertOptions) -> Phone:
    """Prepares the conversion to TFLite files. These files forecast one window per call.

    The score of a TFLite file is its CRPS on the validation split.
    """
    stored = run.trained_with(Train)
    assets = Assets.load(run.assets)
    if options.quantize == "int8" and assets.kind == "prices":
        raise UsageError(
            "--quantize int8 does not apply to prices, because 256 levels cannot distinguish the prices of "
            "consecutive days; use --quantize dynamic for 8-bit weights"
        )
    steps = assets.lookback // assets.segment if stored.architecture == "recurrent" else 1
    form = choose_form(fused=False, steps=steps, quantize=options.quantize)
    prepared = prepare(run.trained_on(stored.data, lambda: read(stored)), assets)
    signature = forecast_signature(model, assets, 1)
    valid, train = (
        _spread(prepared.origins(part), count)
        for part, count in (("valid", WINDOWS), ("train", REPRESENTATIVE))
    )
    inputs = _named(prepared, valid, list(signature.inputs))
    expected = {name: value.numpy() for name, value in signature.function(**inputs).items()}
    truth, units = prepared.truth(valid), prepared.panel.units[valid[:, 0], None]

    def score(parameters: np.ndarray) -> float:
        return float(np.mean(crps(as_forecast(parameters, stored.output), truth) / units))

    def bundle(report: dict[str, Any]) -> Bundle:
        cases = [
            {
                "inputs": {name: value[row].tolist() for name, value in inputs.items()},
                "outputs": {name: value[row].tolist() for name, value in expected.items()},
            }
            for row in range(min(4, len(valid)))
        ]
        golden = {"levels": LEVELS, "cases": cases}
        return Bundle(_readme(stored, assets, report), golden, indent=None)

    return Phone(
        entries=[
            Entry(
                signature,
                inputs=inputs,
                expected=expected,
                representative=_named(prepared, train, list(signature.inputs)),
            )
        ],
        form=form,
        shape={"lookback": assets.lookback, "horizon": assets.horizon},
        note=f"{assets.lookback} input rows, {assets.horizon} output rows, "
        f"scored on {len(valid)} validation windows",
        metric="CRPS",
        number=".4f",
        score=lambda _, outputs: score(outputs["forecast"]["parameters"]),
        references={"Keras": score(expected["parameters"])},
        bundle=bundle,
    )


def _spread(origins: np.ndarray, count: int) -> np.ndarray:
    return origins[np.linspace(0, len(origins) - 1, min(len(origins), count)).astype(int)]


def _named(prepared: Prepared, origins: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
    rows = rows_of(prepared, origins)
    return {name: rows[name] for name in names}


def _readme(options: Train, assets: Assets, report: dict[str, Any]) -> str:
    columns, width = (
        (", ".join(PRICE_COLUMNS), len(PRICE_COLUMNS)) if assets.kind == "prices" else ("the value", 1)
    )
    lines = [
        f"# Forecasting model trained on {Path(options.data).name}",
        "",
        "The model has the signature `forecast` with the following inputs and outputs. All tensors are "
        "float32 unless stated otherwise. The model uses only built-in operators of TensorFlow Lite.",
        "",
        f"- Input `past` `[1, {assets.lookback}, {width}]`: {columns}, oldest row first, "
        "in the units of your data.",
    ]
    if assets.periods:
        unit = "days since 2000-01-01" if assets.dated else "row numbers"
        lines.append(
            f"- Inputs `past_time` `[1, {assets.lookback}]`, `future_time` `[1, {assets.horizon}]`: {unit}."
        )
    if assets.known:
        rows = assets.lookback + assets.horizon
        lines.append(
            f"- Input `known` `[1, {rows}, {len(assets.known)}]`: {_known(options, assets)}, in the units of "
            "your data."
        )
    if assets.static:
        lines.append(
            f"- Input `static` `[1, {len(assets.static)}]`: {options.static}, in the units of your data."
        )
    if assets.series_units:
        lines.append(
            f"- Input `series` `[1]`, int32: index of the series in the training data. 0 is "
            f"{assets.names[0]}."
        )
    levels = ", ".join(f"{level:g}" for level in LEVELS)
    lines += [
        f"- Output `quantiles` `[1, {assets.horizon}, {len(LEVELS)}]`: quantiles at {levels} of the "
        + (f"returns in percent per {assets.step}." if assets.kind == "prices" else "values.")
        + " Quantiles below 0 are set to 0." * (assets.minimum == 0),
        f"- Output `parameters` `[1, {assets.horizon}, p]`: {_meaning(options.output)}.",
    ]
    if assets.kind == "prices":
        lines.append(
            f"- Output `prices` `[1, {assets.horizon}, {len(LEVELS)}]`: quantiles of the closing price "
            f"of each {assets.step}, at the same levels."
        )
    lines += [
        "",
        "`golden.json` contains example windows with their expected outputs. The table shows the CRPS on "
        "validation windows (lower is better):",
        "",
    ]
    lines += ["| file | CRPS | bytes |", "|---|---|---|"]
    lines += [
        f"| {name} | {facts['CRPS']:.4f} | {facts['bytes']:,} |" for name, facts in report["files"].items()
    ]
    return "\n".join(lines) + "\n"


def _known(options: Train, assets: Assets) -> str:
    """Returns the names of the known covariates as text, in the order of the input ``known``."""
    names = [name.strip() for name in options.known.split(",") if name.strip()]
    holidays = [f"holidays of {name.strip()}" for name in options.holidays.split(",") if name.strip()]
    return ", ".join([*names, *holidays[: len(assets.known) - len(names)]])


def _meaning(output: str) -> str:
    return {
        "point": "the point forecast",
        "quantiles": "the deciles",
        "normal": "mean and standard deviation",
        "student_t": "location, scale and degrees of freedom of a Student-t distribution",
    }[output]
