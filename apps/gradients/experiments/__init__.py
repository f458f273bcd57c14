"""Experiments, one module each: ``run(options, say) -> Findings``."""
