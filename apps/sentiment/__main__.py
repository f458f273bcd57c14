"""The command line ``python -m apps.sentiment``."""

from apps.cli import application
from apps.sentiment.options import Convert, Evaluate, Predict, Train

main = application(
    "sentiment",
    "Classify texts into any set of labels.",
    Train,
    Evaluate,
    Predict,
    Convert,
)

if __name__ == "__main__":
    main(prog_name="python -m apps.sentiment")
