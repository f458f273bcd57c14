"""``python -m apps.language_modeling``."""

from apps.cli import application
from apps.language_modeling.options import Evaluate, Generate, Predict, Train

main = application(
    "language_modeling",
    "Model running text: train on any text, score, generate.",
    Train,
    Evaluate,
    Predict,
    alias="score",
    verbs={"generate": (Generate, "Continue prompts, given as arguments or one a line on stdin.")},
)

if __name__ == "__main__":
    main(prog_name="python -m apps.language_modeling")
