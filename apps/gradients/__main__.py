"""The command line ``python -m apps.gradients``."""

from apps.cli import laboratory
from apps.gradients.options import EXPERIMENTS

main = laboratory(
    "gradients",
    "Experiments on gradients and memory in recurrent networks, with the cells of this project.",
    EXPERIMENTS,
)

if __name__ == "__main__":
    main(prog_name="python -m apps.gradients")
