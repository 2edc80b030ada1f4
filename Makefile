# Two commands do everything: `make demo` and `make test`. Both make their own environment in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.PHONY: demo test check bench docs clean

demo: $(VENV)/core
	OMP_NUM_THREADS=$(WORKERS) $(BIN)/python -m unmask.app.demo runs/demo

test: $(VENV)/test check
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal --evidence

check: $(VENV)/test
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy

bench: $(VENV)/test
	$(BIN)/python benchmarks/guided_step.py

$(VENV)/core: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/test: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable ".[test]"
	touch $(VENV)/core $@

clean:
	rm -rf $(VENV) runs build dist
