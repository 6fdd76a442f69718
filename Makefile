# make demo, make test: each sets up everything it needs (once) and runs.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# The Python that Larq Compute Engine's environment is made with.
LCE_PYTHON ?= python3.11
# A process a core; a file's tests stay together, since they share what was trained.
PARALLEL ?= -n auto --maxprocesses=8 --dist loadfile
export NO_ALBUMENTATIONS_UPDATE = 1

.PHONY: help setup setup-lce demo quick test slow mutants versions lint audit docs bisect clean

help:
	@echo "make setup   virtual environment in $(VENV) with all dependencies"
	@echo "make setup-lce  Larq Compute Engine for .tflite files, in an environment of its own"
	@echo "make demo    generated rooms: prepare, train, test, picture (minutes)"
	@echo "make quick   tests and doctests while you work"
	@echo "make test    what CI runs: whole matrices, too"
	@echo "make slow    the tests that need minutes each"
	@echo "make mutants plants ten defects, one at a time: are they caught?"
	@echo "make versions the quick tests with every Python that is here"
	@echo "make lint    ruff and mypy"
	@echo "make audit   known holes of the installed packages and of the lower bounds"
	@echo "make docs    the site, in _site/: pages, methods one by one, API"
	@echo "make bisect  ROW=KEY DATA_ROOT=FOLDER: the commit that moved a row's figures"
	@echo "make clean   remove $(VENV), .venv-lce and caches (data and runs stay)"

setup: $(VENV)/ready

$(VENV)/ready: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev,analysis,deploy,int8,rivals,encoders,serve]'
	touch $@

# Its packages do not go with the others: an older NumPy, and Python 3.11 at most.
setup-lce: .venv-lce/ready

.venv-lce/ready: requirements-lce.txt
	test -x .venv-lce/bin/python || $(LCE_PYTHON) -m venv .venv-lce
	.venv-lce/bin/python -m pip install --quiet --requirement requirements-lce.txt
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

docs: setup
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	$(BIN)/python -m sphinx -c docs -b html -W --keep-going -q . _site
	@echo "the site: _site/docs/index.html"

bisect: setup
	PYTHON=$(abspath $(BIN))/python tools/bisect_row.sh $(ROW) $(or $(RESULTS),results) $(DATA_ROOT)

clean:
	rm -rf $(VENV) .venv-lce .pytest_cache .mypy_cache .ruff_cache *.egg-info
