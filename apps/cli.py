"""Builds the command line of every app: one click command per verb, with flags from the option classes.

This module does not import TensorFlow, because the import is slow. Therefore ``--help`` and usage errors
appear at once. The module that runs a verb is imported when the verb starts.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, replace
from importlib import import_module
from typing import Any

import click
from click.core import ParameterSource

from apps.options import (
    AUTO,
    GROUPS,
    ConvertOptions,
    ExportOptions,
    InfoOptions,
    Options,
    PredictOptions,
    RunOptions,
    TrainOptions,
    flag,
    resolve,
)
from apps.run import Run
from apps.tune_options import TuneOptions, check_tuning, split, tune_declared
from seqmodels import __version__
from seqmodels.errors import UsageError, UserError
from seqmodels.xla import set_xla_flags

# Maps each verb to the module that runs it. Every app has these verbs. An app can define more verbs in its
# Task.
VERBS = {
    "train": "apps.runner",
    "tune": "apps.tuning",
    "evaluate": "apps.runner",
    "predict": "apps.runner",
    "info": "apps.runner",
    "export": "apps.exporting",
    "convert": "apps.exporting",
}


class OptionalNumber(click.ParamType):
    """A click parameter type for a number in a range.

    If ``optional`` is True, "none" is also accepted. If ``auto`` is True, "auto" is also accepted.
    """

    def __init__(
        self, kind: type, minimum: float | None, maximum: float | None, optional: bool, auto: bool = False
    ):
        self.kind, self.minimum, self.maximum, self.optional = kind, minimum, maximum, optional
        self.auto = auto
        self.name = {int: "integer", float: "number"}[kind]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if self.optional and isinstance(value, str) and value.lower() == "none":
            return None
        if self.auto and isinstance(value, str) and value.lower() == AUTO:
            return AUTO
        try:
            number = self.kind(value)
        except ValueError:
            words = ["'auto'"] * self.auto + ["'none'"] * self.optional
            expected = " or ".join([self.name, *words])
            self.fail(f"{value!r} is not a valid {expected}.", param, ctx)
        below = self.minimum is not None and not number >= self.minimum
        above = self.maximum is not None and not number <= self.maximum
        if below or above or number in (float("inf"), float("-inf")) or number != number:
            low = "" if self.minimum is None else f" at least {self.minimum:g}"
            high = "" if self.maximum is None else f" at most {self.maximum:g}"
            self.fail(
                f"{value!r} is out of range; expected a number{low}{' and' if low and high else ''}{high}.",
                param,
                ctx,
            )
        return number


class Application(click.Group):
    """A group of commands that prints every usage error as one line."""

    def __init__(self, name: str, summary: str):
        settings = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
        super().__init__(name, help=summary, context_settings=settings)
        click.version_option(__version__, prog_name="seqmodels", message="%(prog)s %(version)s")(self)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
        except click.ClickException as error:
            click.echo(f"error: {' '.join(error.format_message().split())}", err=True)
        sys.exit(UsageError.exit_status)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # click would sort the verbs by name


class Verb(click.Command):
    """A command whose help shows its options under headings and the presets at the end.

    Args:
        headings: maps the name of each parameter to its heading. If empty, the help has one list of options.
        presets: maps the name of each preset to the flags that the preset sets.
    """

    def __init__(self, *args: Any, headings: Mapping[str, str], presets: Mapping[str, str], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.headings, self.presets = headings, presets
        self.short_help = self.help  # click truncates help in the list of verbs, but not short_help

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows: dict[str, list[tuple[str, str]]] = {heading: [] for heading in (*GROUPS, "Options")}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                default = GROUPS[-1] if self.headings else "Options"
                rows[self.headings.get(parameter.name or "", default)].append(record)
        for heading, records in rows.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records, col_max=26)
        if self.presets:
            with formatter.section("Presets"):
                formatter.write_dl(list(self.presets.items()))


def application(
    task: str,
    summary: str,
    train: type[TrainOptions],
    evaluate: type[Options],
    predict: type[PredictOptions],
    convert: type[ConvertOptions] = ConvertOptions,
    export: type[ExportOptions] = ExportOptions,
    alias: str | None = None,
    verbs: Mapping[str, tuple[type[Options], str]] | None = None,
) -> Application:
    """Returns the command line of an app that has a Task.

    Args:
        task: name of the app. Its Task is the constant ``TASK`` of the module ``apps.<task>.task``.
        summary: first line of the help.
        train, evaluate, predict, convert, export: option classes of these verbs.
        alias: second name of ``predict``.
        verbs: maps the name of each verb in ``Task.verbs`` to its option class and its help text.
    """
    group = Application(task, summary)

    def verb(
        name: str, options: type[Options], help: str, *arguments: click.Parameter, shown: str | None = None
    ) -> None:
        def call(values: dict[str, Any]) -> None:
            _call(name, task, options, values)

        group.add_command(_command(shown or name, options, help, call, *arguments))

    verb("train", train, "Train a model and compare it with its baselines.")
    help = "Search for the best options of train with Optuna. Options of train that are set are not searched."
    group.add_command(_tune_command(task, train, help))
    verb("evaluate", evaluate, "Evaluate a trained model and its baselines.")
    inputs = click.Argument(["inputs"], nargs=-1)
    help = "Apply a trained model to inputs: the arguments, the --data file, or the lines of stdin."
    if not predict.reads_stdin:
        help = "Apply a trained model to files. Without files, forecast from the end of the training data."
    verb("predict", predict, help, inputs)
    if alias:
        verb("predict", predict, f"Alias of predict. {help}", inputs, shown=alias)
    for name, (options, summary) in (verbs or {}).items():
        verb(name, options, summary, inputs)
    verb(
        "export",
        export,
        "Write a SavedModel for servers. The SavedModel receives raw data, such as texts.",
    )
    verb("convert", convert, "Write a TFLite file for phones, and files that help to integrate it.")
    runs = click.Option(
        ["--run", "runs"], multiple=True, help="Directory of a run. Repeat --run to compare several runs."
    )
    verb("info", InfoOptions, "Show the options, data, scores and file sizes of one or more runs.", runs)
    return group


def laboratory(
    app: str, summary: str, experiments: Mapping[str, tuple[type[RunOptions], str]]
) -> Application:
    """Returns the command line of an app that has experiments instead of a Task.

    Args:
        app: name of the app. The module ``apps.<app>.laboratory`` runs the experiments.
        summary: first line of the help.
        experiments: maps the name of each experiment to its option class and its help text.
    """
    group = Application(app, summary)

    def experiment(name: str, options: type[RunOptions], help: str) -> None:
        def call(values: dict[str, Any]) -> None:
            chosen = options(**values)
            chosen.check()
            folder = chosen.run or os.path.join("saved_models", app)
            Run(folder).require_no_part()
            import_tensorflow()
            import_module(f"apps.{app}.laboratory").perform(name, replace(chosen, run=folder))

        group.add_command(_command(name, options, help, call))

    for name, (options, help) in experiments.items():
        experiment(name, options, help)
    return group


def _command(
    name: str,
    options: type[Options],
    help: str,
    call: Callable[[dict[str, Any]], None],
    *arguments: click.Parameter,
) -> click.Command:
    """Returns a command with one flag per field of the option class.

    The command passes the values of the flags and arguments to ``call``.
    """

    grouped = options if issubclass(options, TrainOptions) else None
    return _verb(name, options.declared(), help, call, grouped, arguments)


def _verb(
    name: str,
    declared: Sequence[tuple[Field, type, bool]],
    help: str,
    call: Callable[[dict[str, Any]], None],
    grouped: type[TrainOptions] | None,
    arguments: Sequence[click.Parameter] = (),
) -> Verb:
    """Returns a command with one flag per declared option.

    With ``grouped``, the help shows the options under headings, and the presets of this class.
    """

    def callback(debug: bool, **values: Any) -> None:
        with_debug(debug, lambda: call(values))

    parameters = [*arguments, *(_parameter(*one) for one in declared)]
    debug = click.Option(["--debug"], is_flag=True, help="Show the stack trace of an error.")
    headings, presets = {}, {}
    if grouped is not None:
        headings = {one.name: one.metadata["group"] for one, _, _ in declared}
        presets = {name: _flags(values) for name, values in grouped.presets.items() if values}
    parameters += [debug]
    return Verb(name, callback=callback, params=parameters, help=help, headings=headings, presets=presets)


def _tune_command(task: str, train: type[TrainOptions], help: str) -> Verb:
    """Returns the command ``tune``. Its flags are the options of ``tune`` and of ``train``."""

    def call(values: dict[str, Any]) -> None:
        context = click.get_current_context()
        own, given = split({key: value for key, value in values.items() if _explicit(context, key)})
        options = TuneOptions(**{**own, "run": own.get("run") or os.path.join("saved_models", task)})
        check_tuning(train, options, given)
        import_tensorflow()
        import_module(VERBS["tune"]).tune(task, options, given)

    return _verb("tune", tune_declared(train), help, call, train)


def _flags(values: Mapping[str, Any]) -> str:
    """Returns option values as flags of a command line, such as ``--epochs 4 --units 8``."""
    return " ".join(f"{flag(name)} {'none' if value is None else value}" for name, value in values.items())


def with_debug(debug: bool, work: Callable[[], None]) -> None:
    """Calls ``work``. After an error, prints the error as one line and exits with an error status.

    With ``debug``, the stack trace is printed before this line.
    """
    try:
        work()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of stdout, such as `head`, has closed the pipe. Without the redirection to os.devnull,
        # Python would try to write to stdout again at exit and fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        click.echo("error: interrupted", err=True)
        sys.exit(1)
    except Exception as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, UserError):
            click.echo(f"error: {error}", err=True)
            sys.exit(error.exit_status)
        first = (str(error).strip().splitlines() or [""])[0]
        click.echo(f"error: {type(error).__name__}: {first} (use --debug to see the stack trace)", err=True)
        sys.exit(1)


def _call(name: str, task: str, options: type[Options], values: dict[str, Any]) -> None:
    context = click.get_current_context()
    given = {key: value for key, value in values.items() if _explicit(context, key)}
    positional = {key: given.pop(key, ()) for key in ("inputs", "runs") if key in values}
    default_run = os.path.join("saved_models", task)
    if "run" in values and not values["run"]:
        given["run"] = default_run
    if "runs" in positional and not positional["runs"]:
        positional["runs"] = (default_run,)
    chosen = resolve(options, given) if issubclass(options, TrainOptions) else options(**given)
    chosen.check()
    if isinstance(chosen, TrainOptions):
        if not (chosen.overwrite or chosen.dry_run):
            Run(chosen.run).require_unfinished(chosen)
    else:
        for path in positional.get("runs") or (given["run"],):
            Run(path).require_finished(task)
    if isinstance(chosen, PredictOptions):
        _check_inputs(chosen, bool(positional["inputs"]))
    for number, text in enumerate(positional.get("inputs", ()), 1):
        # Python replaces each byte that is not valid UTF-8 by a code point from U+DC80 to U+DCFF. A text that
        # contains such a code point is rejected.
        if any("\udc80" <= character <= "\udcff" for character in text):
            raise UsageError(f"input {number} is not UTF-8 text; convert it, for example with iconv")
    import_tensorflow()
    module = import_module(VERBS.get(name, "apps.runner"))
    arguments = (task, chosen) if name in VERBS else (task, name, chosen)
    getattr(module, name if name in VERBS else "perform")(*arguments, **positional)


def _check_inputs(options: PredictOptions, given: bool) -> None:
    """Raises UsageError if ``predict`` has no inputs, or has inputs both as arguments and in ``--data``.

    Args:
        options: options of ``predict``.
        given: If True, the command has inputs as arguments.
    """
    if options.data is not None and given:
        raise UsageError(
            f"the inputs are given twice, as arguments and in --data {options.data}; remove one of the two"
        )
    waits = options.reads_stdin and not given and options.data is None
    if waits and (sys.stdin is None or sys.stdin.isatty()):
        raise UsageError(
            "no input to predict; pass the inputs as arguments, as lines of stdin, or in a file with --data"
        )


def _explicit(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) not in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)


def import_tensorflow() -> None:
    """Sets environment variables and imports TensorFlow. Settings of the user are not replaced."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # oneDNN makes recurrent networks 1.3 to 1.9 times faster on machines where it is off by default.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    set_xla_flags()
    # TensorFlow writes its first messages directly to file descriptor 2, before it reads its log level.
    # Therefore the descriptor is redirected to os.devnull during the import.
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            tensorflow = import_module("tensorflow")
        finally:
            os.dup2(kept, 2)
            os.close(kept)
    tensorflow.get_logger().setLevel("ERROR")


def _parameter(declared: Any, kind: type, optional: bool) -> click.Option:
    name, metadata = declared.name, declared.metadata
    help, default = metadata["help"], declared.default
    if kind is bool:
        both = default or optional  # the default is "on", or follows from other options
        shown = bool(default) and "Default:" not in help
        declaration = f"{flag(name)}/--no-{name.replace('_', '-')}" if both else flag(name)
        return click.Option([declaration, name], is_flag=True, default=default, help=help, show_default=shown)
    if metadata["choices"]:
        parameter_type: Any = click.Choice([*metadata["choices"], *[AUTO] * metadata["auto"]])
    elif kind in (int, float):
        bounds = metadata["minimum"], metadata["maximum"]
        parameter_type = OptionalNumber(kind, *bounds, optional, metadata["auto"])
    else:
        parameter_type = str
    shown = default not in (None, "") and "Default:" not in help
    return click.Option(
        [flag(name), name], type=parameter_type, default=default, help=help, show_default=shown
    )
