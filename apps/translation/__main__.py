"""``python -m apps.translation``."""

from apps.cli import application
from apps.options import ConvertTextOptions
from apps.translation.options import Evaluate, Predict, Train

main = application(
    "translation",
    "Translate texts: train on pairs of texts, evaluate, predict.",
    Train,
    Evaluate,
    Predict,
    ConvertTextOptions,
    alias="translate",
)

if __name__ == "__main__":
    main(prog_name="python -m apps.translation")
