"""The verbs ``export``, which writes a SavedModel, and ``convert``, which writes a TFLite file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
from rich.table import Column, Table

from apps.bundle import Phone
from apps.console import log, out
from apps.options import ConvertOptions, ExportOptions
from apps.run import Run, write_text
from apps.task import Task, load_task
from seqmodels.errors import DataError
from seqmodels.export import saved_model, tflite
from seqmodels.export.place import in_place_of
from seqmodels.export.signature import Signature


def export(task_name: str, options: ExportOptions) -> None:
    """Writes and verifies the SavedModel, and prints its signatures.

    The verification runs in a process that cannot import the project.
    """
    exported = export_run(load_task(task_name), Run(options.run), options)
    if options.json:
        print(json.dumps({**exported, "signatures": list(exported["signatures"])}))
        return
    difference = exported["largest_difference"]
    out.print(
        f"{exported['saved_model']}: {exported['bytes'] / 1e6:.1f} MB, the outputs differ from the Keras "
        f"outputs by at most {difference:.1g}",
        soft_wrap=True,
    )
    for name, (inputs, outputs) in exported["signatures"].items():
        out.print(f"  {name}({', '.join(inputs)}) -> {', '.join(outputs)}")


def export_run(task: Task, run: Run, options: ExportOptions) -> dict[str, Any]:
    """Writes and verifies the SavedModel.

    Returns:
        The path of the SavedModel, its signatures, its size in bytes, and the largest difference from the
        outputs of the Keras model.
    """
    assets = task.load_assets(run.assets)
    model = task.exported(run, _in_float32(run.load_model()), options)
    signatures = task.signatures(model, assets)
    folder = Path(options.to) if options.to else run.saved_model
    log.print("writing the SavedModel and verifying it in a separate process")
    difference = saved_model.export(folder, signatures, task.examples(assets), _readme(task, signatures))
    if folder == run.saved_model:
        run.own()
    named = {each.name: (list(each.inputs), list(each.outputs)) for each in signatures}
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {
        "saved_model": str(folder),
        "signatures": named,
        "bytes": size,
        "largest_difference": difference,
    }


def _readme(task: Task, signatures: Sequence[Signature]) -> str:
    """Returns the text of README.md in the folder of a SavedModel.

    The text shows how to call a signature and lists all signatures. It ends with ``task.served``, a text that
    the app defines.
    """
    rows = [
        f"- `{each.name}({', '.join(each.inputs)})` returns {', '.join(each.outputs)}" for each in signatures
    ]
    call = "model = tf.saved_model.load(FOLDER)\n    model.signatures[NAME](INPUT=tf.constant(...))"
    parts = [f"# SavedModel of {task.name.replace('_', ' ')}", f"    {call}", "\n".join(rows), task.served]
    return "\n\n".join(part for part in parts if part) + "\n"


def convert(task_name: str, options: ConvertOptions) -> None:
    """Writes a TFLite file and its integration files, and prints a table of all TFLite files of the run."""
    run = Run(options.run)
    phone, report = convert_run(load_task(task_name), run, options)
    if options.json:
        print(json.dumps(report, ensure_ascii=False))
    else:
        _show(run, phone, report)


def convert_run(task: Task, run: Run, options: ConvertOptions) -> tuple[Phone, dict[str, Any]]:
    """Writes a TFLite file and its integration files.

    Returns:
        The :class:`Phone` of the run, and the report on all TFLite files of the run.
    """
    phone = task.phone(run, _in_float32(run.load_model()), options)
    name = tflite.file_name(options.quantize)
    rows = max(len(next(iter(entry.inputs.values()))) for entry in phone.entries)
    log.print(f"converting {name} and verifying it on {rows} examples")
    with in_place_of(run.tflite) as folder:
        files = _files_before(run, phone, folder)
        converted = tflite.convert(folder / name, phone.entries, phone.form, options.quantize, phone.finish)
        files[name] = {
            phone.metric: phone.score(folder / name, converted.outputs),
            "bytes": converted.size,
            "milliseconds": converted.milliseconds,
            "largest_difference": converted.difference,
            "form": phone.form,
            "mediapipe": phone.mediapipe is not None and phone.mediapipe(converted.subgraphs),
            "operators": converted.operators,
        }
        report = {**phone.shape, "note": phone.note, "references": phone.references, "files": files}
        phone.bundle(report).write(folder)
        write_text(folder / "report.json", json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    run.own()
    return phone, report


def _files_before(run: Run, phone: Phone, folder: Path) -> dict[str, Any]:
    """Copies the existing TFLite folder to a new folder, and returns the report on the copied TFLite files.

    TFLite files that were converted with other settings (``Phone.shape``) are not copied. All
    TFLite files must have the same settings, because one golden.json contains the examples for all of them.
    """
    if not run.tflite.exists():
        return {}
    try:
        before = run.read_json("export/tflite/report.json", "files", *phone.shape)
    except DataError:  # the report is damaged
        before = {"files": {}}
    fit = all(before.get(name) == value for name, value in phone.shape.items())
    gone = [] if fit else sorted(path.name for path in run.tflite.glob("model*.tflite"))
    shutil.copytree(run.tflite, folder, ignore=shutil.ignore_patterns(*gone), dirs_exist_ok=True)
    shape = ", ".join(f"{key} {before[key]}" for key in phone.shape if key in before)
    for name in gone:
        log.print(f"removed {name}, which was converted with {shape or 'unknown settings'}")
    return before["files"] if fit else {}


def _show(run: Run, phone: Phone, report: dict[str, Any]) -> None:
    title = f"{run.tflite}: {report['note']}"
    notes = (
        "ms: median time of 200 calls with 1 thread; difference: largest difference from the Keras outputs"
    )
    columns = [phone.metric, "kB", "ms", "difference", "form", *(["MediaPipe"] if phone.mediapipe else [])]
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
    """Returns the model, or a float32 copy if the model computes in 16 bits.

    Exported models compute in float32. 16-bit computation is used only in training.
    """
    if model.compute_dtype == "float32":
        return model
    twin = type(model).from_config({**model.get_config(), "dtype": "float32"})
    twin.build()
    twin.set_weights(model.get_weights())
    return twin
