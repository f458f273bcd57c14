"""``python -m apps.gradients``."""

from apps.cli import laboratory
from apps.gradients.options import EXPERIMENTS

main = laboratory(
    "gradients",
    "What the theory of recurrent networks says, measured on the cells of this project.",
    EXPERIMENTS,
)

if __name__ == "__main__":
    main(prog_name="python -m apps.gradients")
