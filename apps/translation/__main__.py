"""The command line ``python -m apps.translation``."""

from apps.cli import application
from apps.options import ConvertTextOptions
from apps.translation.options import Evaluate, Predict, Train

main = application(
    "translation",
    "Train translation models on sentence pairs, and translate texts.",
    Train,
    Evaluate,
    Predict,
    ConvertTextOptions,
    alias="translate",
)

if __name__ == "__main__":
    main(prog_name="python -m apps.translation")
