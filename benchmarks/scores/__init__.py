"""Trains and evaluates the models of all published scores, stores the results, and writes the tables.

``python -m benchmarks.scores --help`` explains the command.
"""
