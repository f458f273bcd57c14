"""The command line ``python -m apps.language_modeling``."""

from apps.cli import application
from apps.language_modeling.options import Evaluate, Export, Generate, Predict, Train

main = application(
    "language_modeling",
    "Train language models, generate texts, and score texts.",
    Train,
    Evaluate,
    Predict,
    export=Export,
    alias="score",
    verbs={
        "generate": (
            Generate,
            "Continue prompts. Each argument is a prompt. Without arguments, each line of stdin is a prompt.",
        )
    },
)

if __name__ == "__main__":
    main(prog_name="python -m apps.language_modeling")
