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

bench: $(VENV)/bench
	for batch in 16 64; do for precision in bf16 fp32; do \
	  $(BIN)/python benchmarks/step.py --batch $$batch --precision $$precision || exit 1; done; done
	$(BIN)/python benchmarks/step.py --model vit_small --precision bf16
	$(BIN)/python benchmarks/growth.py
	for precision in bf16 fp32; do $(BIN)/python benchmarks/guided_step.py --precision $$precision || exit 1; done
	$(BIN)/python benchmarks/masks.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/loader.py
	$(BIN)/python benchmarks/normalised_cut.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/point_groups.py
	$(BIN)/python benchmarks/evaluation_memory.py
	$(BIN)/python benchmarks/processes.py
	$(BIN)/python benchmarks/report.py

docs: $(VENV)/test
	$(BIN)/python docs/make_catalogue.py
	$(BIN)/python docs/make_proofs.py

$(VENV)/core: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/test: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable ".[test]"
	touch $(VENV)/core $@

$(VENV)/bench: pyproject.toml $(VENV)/test
	$(BIN)/pip install --quiet --editable ".[bench]"
	touch $@

clean:
	rm -rf $(VENV) runs build dist
