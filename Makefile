# `make run` and `make test` do everything on a fresh clone. Variables: ARGS="…" GPU=1 PYTHON=<path>
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -q --durations=5
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.10 --no-header --no-annotate --no-emit-index-url
.DEFAULT_GOAL := help

.PHONY: help setup run test test-all numbers bench bench-full bench-gpu parity test-next lint lines format lock ui doctor wheel clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo '  Variables: ARGS="optimizer.learning_rate=1e-4 …" for run, GPU=1 for CUDA wheels, PYTHON=<path> for .venv'

setup:  ## Make .venv with the pinned stack (GPU=1: with CUDA)
	@sh scripts/setup.sh

run: setup  ## Fine-tune, evaluate, track and export; ARGS="…" takes overrides
	@$(BIN)/python -m bertexp $(ARGS)

test: lint  ## What every change must pass: lint, types, tests
	$(PYTEST) tests -m "not long and not real"

test-all: lint  ## The long tests too; those on real data where BERTEXP_SHARED names its folder
	$(PYTEST) tests

numbers: setup  ## Hold metrics to other libraries', and count how often intervals hold the true value
	$(BIN)/python benchmarks/metrics.py
	$(BIN)/python benchmarks/intervals.py

bench: setup  ## Time bertexp beside its peers, under 20 minutes (ARGS="--data … --weights …")
	$(BIN)/python benchmarks/bench.py $(ARGS)

bench-full: setup  ## The same with more rows, then what each way brings, scale and start (ARGS for all)
	$(BIN)/python benchmarks/bench.py --full $(ARGS)
	$(BIN)/python benchmarks/ways.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/start.py

bench-gpu: setup  ## Precision, jit, batch sizes, tokens a second and FLOPs used, on one GPU
	$(BIN)/python benchmarks/gpu.py $(ARGS)

parity: setup  ## Train beside Hugging Face and Model Garden, several seeds (ARGS="--weights … --data …")
	$(BIN)/python benchmarks/parity.py $(ARGS)

test-next: setup  ## The sweeper's tests on the release candidate of Hydra
	$(BIN)/uv pip install --quiet --no-deps --target build/next "hydra-core==1.4.0rc3" "omegaconf==2.4.1rc1"
	PYTHONPATH=build/next $(PYTEST) tests/fast/test_config.py tests/fast/test_sweep_space.py tests/fast/test_sweep_plugin.py tests/sweeps

lint: setup  ## Check style, format and the types of the light half
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

lines: setup  ## Count the lines of code, without blanks, comments and docstrings
	@$(BIN)/python scripts/count_lines.py $(ARGS)

format: setup  ## Format, and mend what the linter can
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format --quiet

lock: setup  ## Resolve the pins for all platforms (ARGS=--upgrade: to the newest)
	$(COMPILE) $(ARGS) --extra dev pyproject.toml -o requirements.lock
	$(COMPILE) $(ARGS) --extra dev --extra gpu -c requirements.lock pyproject.toml -o requirements-gpu.lock

ui: setup  ## Open the MLflow UI on the runs
	@$(BIN)/python -m bertexp ui $(ARGS)

doctor: setup  ## Say what this machine has and what is amiss
	@$(BIN)/python -m bertexp doctor $(ARGS)

wheel: setup  ## Build dist/*.whl
	$(BIN)/python -m build --wheel --no-isolation

clean:  ## Remove build products and tool caches; .venv and outputs stay
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
