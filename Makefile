# make demo, make test: each sets up everything it needs (once) and runs.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# A process a core; a file's tests stay together, since they share what was trained.
PARALLEL ?= -n auto --maxprocesses=8 --dist loadfile
export NO_ALBUMENTATIONS_UPDATE = 1

.PHONY: help setup demo quick test slow mutants versions lint audit clean

help:
	@echo "make setup   virtual environment in $(VENV) with all dependencies"
	@echo "make demo    generated rooms: prepare, train, test, picture (minutes)"
	@echo "make quick   tests and doctests while you work"
	@echo "make test    what CI runs: whole matrices, too"
	@echo "make slow    the tests that need minutes each"
	@echo "make mutants plants ten defects, one at a time: are they caught?"
	@echo "make versions the quick tests with every Python that is here"
	@echo "make lint    ruff and mypy"
	@echo "make audit   known holes of the installed packages and of the lower bounds"
	@echo "make clean   remove $(VENV) and caches (data and runs stay)"

setup: $(VENV)/ready

$(VENV)/ready: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev,analysis,deploy,int8,rivals,encoders]'
	touch $@

demo: setup
	$(BIN)/python tools/demo.py

quick: setup
	$(BIN)/python -m pytest -m "not slow and not full" $(PARALLEL)

test: setup
	$(BIN)/python -m pytest -m "not slow" $(PARALLEL)

slow: setup
	$(BIN)/python -m pytest -m slow $(PARALLEL)

mutants: setup
	$(BIN)/python tests/mutants.py

versions:
	.ci/versions

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

audit: setup
	$(BIN)/python tools/audit.py

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache *.egg-info
