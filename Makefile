# demo, test, check, benchmark; every recipe is a plain command that README.md shows too.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
DEMO := saved_models/demo

.PHONY: help install demo lessons test test-slow test-wheel check benchmark benchmark-layers

help:
	@echo "make demo       train, score, use and export a sentiment model, in a few minutes"
	@echo "make lessons    measure what docs/lessons.md says, and draw its figures"
	@echo "make test       the test suite;  make test-slow: the full matrices and the learning tests"
	@echo "make test-wheel build a wheel, install it into an empty environment, train and export with it"
	@echo "make check      linter and types"
	@echo "make benchmark  the numbers of benchmarks/ (needs the data sets, see benchmarks/README.md)"
	@echo "make benchmark-layers  our layers against Keras, PyTorch and the matrix products alone, 40 minutes"

.venv/installed: requirements.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; name one: make PYTHON=/path/to/python $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/checkers: requirements-check.txt .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-check.txt
	@touch $@

install: .venv/installed

demo: install
	$(BIN)/python -m apps.sentiment train --preset quick --run $(DEMO) --overwrite
	$(BIN)/python -m apps.sentiment evaluate --run $(DEMO)
	$(BIN)/python -m apps.sentiment predict --run $(DEMO) "The acting was great, but the plot was boring." "The plot was boring, but the acting was great."
	$(BIN)/python -m apps.sentiment export --run $(DEMO)
	$(BIN)/python -m apps.sentiment convert --run $(DEMO)
	$(BIN)/python -m apps.sentiment convert --run $(DEMO) --quantize dynamic
	$(BIN)/python -m apps.sentiment predict --run $(DEMO) --model tflite_dynamic "The plot was boring, but the acting was great."
	@echo "The run is in $(DEMO): the model (model.keras), its scores (metrics.json), plots/ and logs/ for TensorBoard, export/ for servers and phones."

lessons: install
	$(BIN)/python -m apps.gradients all
	cp saved_models/gradients/plots/*.png docs/lessons/

test: install
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

test-slow: install
	$(BIN)/python -m pytest -m slow

test-wheel: install
	$(BIN)/python -m pytest -m slow tests/test_wheel.py

check: .venv/checkers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmark: install
	$(BIN)/python -m benchmarks.sentiment

.venv/benchmarks: benchmarks/requirements.txt .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $@

benchmark-layers: .venv/benchmarks
	$(BIN)/python -m benchmarks.layers
