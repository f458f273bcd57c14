# Every recipe is a plain command that docs/usage.md shows, too.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
DEMO := saved_models/demo

PICTURES := saved_models/pictures

.PHONY: help install demo lessons pictures notebooks test test-slow test-wheel check docs benchmark benchmark-layers

help:
	@echo "make demo              train, evaluate, use and export a sentiment model (4 minutes)"
	@echo "make test              run the test suite"
	@echo "make test-slow         run the full matrices and the learning tests (1 hour)"
	@echo "make test-wheel        install the package into an empty environment and test it there"
	@echo "make check             run the linter and the type checker"
	@echo "make docs              build the documentation in site/"
	@echo "make lessons           measure the lessons again and draw their figures"
	@echo "make pictures          draw the pictures of README.md and docs/ again"
	@echo "make notebooks         execute the notebooks of examples/ and store their outputs"
	@echo "make benchmark         measure the scores on the simulated reviews (10 minutes)"
	@echo "make benchmark-layers  compare our layers with Keras and PyTorch (40 minutes)"

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
	@echo "The run is in $(DEMO): model.keras, metrics.json, plots/, TensorBoard logs in logs/, files for servers and phones in export/."

lessons: install
	$(BIN)/python -m apps.gradients all
	cp saved_models/gradients/plots/*.png docs/lessons/

pictures: install
	$(BIN)/python -m apps.sentiment train --preset quick --epochs 6 --run $(PICTURES)/sentiment --overwrite
	$(BIN)/python -m apps.forecasting train --data embedded:seasonal --run $(PICTURES)/forecasting --overwrite
	$(BIN)/python -m apps.forecasting evaluate --run $(PICTURES)/forecasting
	$(BIN)/python -m apps.translation train --preset quick --run $(PICTURES)/translation --overwrite
	$(BIN)/python -m apps.translation translate --plot --run $(PICTURES)/translation "The black cat never sleeps."
	cp $(PICTURES)/sentiment/plots/learning_curve.png docs/pictures/learning_curve.png
	cp $(PICTURES)/forecasting/plots/fan.png docs/pictures/fan.png
	cp $(PICTURES)/translation/plots/attention_1.png docs/pictures/attention.png

notebooks: .venv/dev
	PYTHONPATH=$(CURDIR) $(BIN)/jupyter execute --inplace --NotebookClient.record_timing=False examples/*.ipynb

test: install
	$(BIN)/python -m pytest -n auto --maxprocesses 4

test-slow: install
	$(BIN)/python -m pytest -m slow

test-wheel: install
	$(BIN)/python -m pytest -m slow tests/test_wheel.py

check: .venv/checkers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/dev: pyproject.toml .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@

.venv/docs: pyproject.toml .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[docs]"
	@touch $@

docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

benchmark: install
	$(BIN)/python -m benchmarks.scores --only sentiment-quick

.venv/benchmarks: benchmarks/requirements.txt .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $@

benchmark-layers: .venv/benchmarks
	$(BIN)/python -m benchmarks.layers
