# Two commands first: `make demo` and `make test`. Each makes its own virtual environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test lint format prove bench clean

demo: $(STAMP)  ## The main job: every file of the standard library, a kill -9 midway, and a report.
	$(BIN)/python -m holdfast demo

test: $(STAMP) lint  ## Format, lint, types, import rules, and the suite.
	$(BIN)/python -m pytest -m "not prove" --numprocesses 4 --dist worksteal

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

prove: $(STAMP)  ## What takes longer: real kills by the hundred, ten thousand flows, a thousand cut connections.
	$(BIN)/python -m pytest -m prove -s

bench: $(STAMP)  ## Our figures beside the bare loop's and the peers', in one run.
	$(BIN)/python -m benchmarks.environments
	$(BIN)/python -m benchmarks.flows --json
	$(BIN)/python -m benchmarks.engine --json
	$(BIN)/python -m benchmarks.packages --json
	$(BIN)/python -m benchmarks.worlds --json

clean:
	rm -rf $(VENV) .bench

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Holdfast needs Python 3.11 or newer; try: make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(STAMP)
