"""One module for each experiment: ``run(options) -> Findings``."""
