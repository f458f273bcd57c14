"""``seqmodels`` and ``python -m apps``: the command line of all tasks.

``seqmodels sentiment train`` is ``python -m apps.sentiment train``. Imports no TensorFlow, and an app only
when a command names it.
"""

from importlib import import_module

import click

from apps.cli import Application

# One row for each folder of apps/ that has a command line; the order is that of the help.
TASKS = {
    "sentiment": "Classify texts with any set of labels.",
    "language_modeling": "Model running text: train, score and generate.",
    "translation": "Translate texts after training on pairs of texts.",
    "forecasting": "Forecast prices and other series as distributions.",
    "gradients": "Measure why recurrent networks fail.",
}


class Tasks(Application):
    """A group whose commands are the apps, each imported when a command names it."""

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
    "Recurrent networks on texts and series. TASK --help lists the verbs of a task, "
    "TASK VERB --help the options of a verb.",
)
main.subcommand_metavar = "TASK VERB [ARGS]..."

if __name__ == "__main__":
    main(prog_name="python -m apps")
