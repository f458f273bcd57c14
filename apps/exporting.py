"""The verbs that hand a trained model on: ``export`` to a server, ``convert`` to a phone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
from rich.console import Console
from rich.table import Column, Table

from apps.options import ConvertOptions, ExportOptions
from apps.run import Run
from apps.task import Phone, load_task
from seqmodels.export import saved_model, tflite

log = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
out = Console(markup=False, emoji=False)


def export(task_name: str, options: ExportOptions) -> None:
    """Writes the SavedModel, after a process that knows nothing of the project has agreed with the model."""
    task, run = load_task(task_name), Run(options.run)
    assets = task.load_assets(run.assets)
    signatures = task.signatures(_in_float32(run.load_model()), assets)
    folder = Path(options.to) if options.to else run.saved_model
    log.print("writing the SavedModel and running it in a process of its own")
    difference = saved_model.export(folder, signatures, task.examples(assets))
    if options.json:
        names = [signature.name for signature in signatures]
        print(json.dumps({"saved_model": str(folder), "signatures": names, "largest_difference": difference}))
        return
    out.print(f"{folder}: agrees with the model to {difference:.1g} without the project", soft_wrap=True)
    for signature in signatures:
        out.print(f"  {signature.name}({', '.join(signature.inputs)}) -> {', '.join(signature.outputs)}")


def convert(task_name: str, options: ConvertOptions) -> None:
    """Writes a .tflite and what its integrator needs, and shows all files of the run side by side."""
    task, run = load_task(task_name), Run(options.run)
    phone = task.phone(run, _in_float32(run.load_model()), options)
    form = tflite.choose_form(phone.fused, phone.steps, options.quantize)
    path = run.tflite / tflite.file_name(options.quantize)
    rows = max(len(next(iter(entry.inputs.values()))) for entry in phone.entries)
    log.print(f"converting {path.name} and running it on {rows} rows")
    converted = tflite.convert(path, phone.entries, form, options.quantize, phone.finish)
    facts = {
        phone.metric: phone.score(path, converted.outputs),
        "bytes": converted.size,
        "milliseconds": converted.milliseconds,
        "largest_difference": converted.difference,
        "form": form,
        "mediapipe": phone.mediapipe is not None and phone.mediapipe(converted.subgraphs),
        "operators": converted.operators,
    }
    report = _report(run, phone, path, facts)
    phone.write(run.tflite, report)
    run.write_json("export/tflite/report.json", report)
    if options.json:
        print(json.dumps(report, ensure_ascii=False))
    else:
        _show(run, phone, report)


def _report(run: Run, phone: Phone, path: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """report.json with the new file; files of another length go, since one golden.json serves them all."""
    report: dict[str, Any] = {**phone.shape, "note": phone.note, "references": phone.references, "files": {}}
    if (run.tflite / "report.json").exists():
        before = run.read_json("export/tflite/report.json")
        if {name: before[name] for name in phone.shape} == phone.shape:
            report["files"] = before["files"]
        else:
            for name in before["files"].keys() - {path.name}:
                (run.tflite / name).unlink(missing_ok=True)
                shape = ", ".join(f"{key} {before[key]}" for key in phone.shape)
                log.print(f"removed {name}: it was converted for {shape}")
    report["files"][path.name] = facts
    return report


def _show(run: Run, phone: Phone, report: dict[str, Any]) -> None:
    title = f"{run.tflite}: {report['note']}"
    notes = "ms: median of 200 calls, 1 thread; off by: largest difference from Keras"
    columns = [phone.metric, "kB", "ms", "off by", "form", *(["MediaPipe"] if phone.mediapipe else [])]
    table = Table(Column(no_wrap=True), *columns, title=title, caption=notes, padding=(0, 0, 0, 1))
    for name, score in report["references"].items():
        table.add_row(name, format(score, phone.number))
    for name, facts in report["files"].items():
        times = facts["milliseconds"]
        named = [f"{signature} {time:.3f}" for signature, time in times.items()]
        table.add_row(
            name,
            format(facts[phone.metric], phone.number),
            f"{facts['bytes'] / 1000:.1f}",
            ", ".join(named) if len(times) > 1 else f"{next(iter(times.values())):.3f}",
            f"{facts['largest_difference']:.1g}",
            facts["form"],
            *(["yes" if facts["mediapipe"] else "no"] if phone.mediapipe else []),
        )
    out.print(table)


def _in_float32(model: keras.Model) -> keras.Model:
    """The model as it is shipped: without the 16-bit computation that made its training faster."""
    if model.compute_dtype == "float32":
        return model
    twin = type(model).from_config({**model.get_config(), "dtype": "float32"})
    twin.build()
    twin.set_weights(model.get_weights())
    return twin
