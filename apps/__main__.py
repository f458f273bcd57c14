"""Defines the command line of all tasks. The user starts it with ``seqmodels`` or ``python -m apps``.

``seqmodels sentiment train`` does the same as ``python -m apps.sentiment train``. The module of an app is
imported only if the command names the app. This module does not import TensorFlow.
"""

from importlib import import_module

import click

from apps.cli import Application

# Maps each app to its summary. The help lists the apps in this order.
TASKS = {
    "sentiment": "Classify texts into any set of labels.",
    "language_modeling": "Train language models, score and generate text.",
    "translation": "Train translation models on sentence pairs.",
    "forecasting": "Forecast time series as probability distributions.",
    "gradients": "Measure why recurrent networks are hard to train.",
}


class Tasks(Application):
    """A click group whose subcommands are the apps. An app is imported when the command names the app."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(TASKS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return import_module(f"apps.{cmd_name}.__main__").main if cmd_name in TASKS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in TASKS:
            ctx.fail(f"{args[0]!r} is not a task; use one of {', '.join(TASKS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Tasks"):
            formatter.write_dl(list(TASKS.items()))


main = Tasks(
    "seqmodels",
    "Train, evaluate and export recurrent networks for texts and time series. TASK --help lists the verbs "
    "(commands) of a task. TASK VERB --help lists the options of a verb.",
)
main.subcommand_metavar = "TASK VERB [ARGS]..."

if __name__ == "__main__":
    main(prog_name="python -m apps")
