# make help lists the targets. Needs python3 (3.11 or later), make and gcc.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
PEERS := .venv/.peers
PIP := $(BIN)/python -m pip --disable-pip-version-check
# ARGS is passed to the program of the target: make test ARGS="-k stream", make demo ARGS="--seed 1".
ARGS ?=
# The Python of make gpu; with another than that of .venv nothing is installed: make gpu GPU_PYTHON=python3
GPU_PYTHON ?= $(BIN)/python
GPU_TESTS := tests/stages/gpu tests/stages/kernels tests/stages/models/test_precision.py tests/stages/device
COVERAGE := --cov --cov-report=term:skip-covered --cov-fail-under=95

.DEFAULT_GOAL := help
.PHONY: help install demo test nightly fuzz lint format check bench gpu clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## make .venv with everything that the other targets need

$(INSTALLED): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing into .venv (once; takes a few minutes) …" >&2
	$(PIP) install -qq -c constraints.txt torch
	$(PIP) install -qq -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(INSTALLED) ## run the whole pipeline on drawn images (takes minutes, downloads nothing)
	$(BIN)/pd demo $(ARGS)

test: $(INSTALLED) ## run the tests, on up to four cores
	$(BIN)/python -m pytest -n auto --maxprocesses=4 $(ARGS)

lint: $(INSTALLED) ## run the static checks: ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fuzz: $(INSTALLED) ## feed 20,000 mutated inputs to everything that reads other people's files (ARGS="COUNT SEED DOOR")
	$(BIN)/python -m tests.fuzz.campaign $(ARGS)

nightly: $(INSTALLED) ## run the tests that take minutes: kills at many moments, Slurm, memory
	$(BIN)/python -m pytest -m "slow and not gpu and not network" $(ARGS)

check: lint ## run everything that CI runs: the static checks, then the tests with coverage
	$(MAKE) test ARGS="$(COVERAGE) $(ARGS)"

format: $(INSTALLED) ## format the code with ruff
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(PEERS): $(INSTALLED)
	@echo "Installing the formats that bench.peers compares with (once) …" >&2
	$(PIP) install -qq -c constraints.txt -e '.[bench]'
	$(PIP) install -qq --no-deps mosaicml-streaming
	@touch $@

bench: $(PEERS) ## run the benchmarks whose figures have a bound; writes bench/out/results.json
	$(BIN)/python -m bench $(ARGS)

gpu: $(if $(filter $(BIN)/python,$(GPU_PYTHON)),$(INSTALLED)) ## run what needs a GPU: its tests, then bench.gpu (minutes)
	@export PYTHONPATH=$(CURDIR):$$PYTHONPATH; failed=0; \
	$(GPU_PYTHON) -m pytest -m gpu -W default -rs $(GPU_TESTS) || failed=1; \
	$(GPU_PYTHON) -m bench.gpu $(ARGS) || failed=1; \
	exit $$failed

clean: ## remove .venv and all caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage *.egg-info build
