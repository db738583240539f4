# Two commands do all the set-up: `make demo` and `make test`. Both need only Python 3.10 to 3.13, make and a package index.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3.10 python3,$(shell command -v $(name))))
PIP_FLAGS ?= -qq
PYTEST_ARGS ?=

# Idle OpenMP threads sleep instead of spinning: with more processes than cores, spinning costs several times the work.
export OMP_WAIT_POLICY := passive

.DEFAULT_GOAL := help
.PHONY: help demo test lint format types clean

help:  ## print this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1:/p' Makefile | awk -F: '{printf "%-16s%s\n", $$1, $$2}'

demo: $(VENV)/.installed-demo  ## make the synthetic corpus, train four cells on it, print the WER table (10 minutes)
	$(BIN)/asr-ligru demo

test: $(VENV)/.installed-dev  ## run the tests (PYTEST_ARGS="-k audio" picks some)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev  ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.installed-dev  ## correct style and formatting where that is safe
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.installed-dev  ## check types
	$(BIN)/mypy

clean:  ## remove what building and checking left behind (not .venv, data or exp)
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find asr_ligru conf recipes tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/pip:
	@test -n "$(PYTHON)" || { echo "no python3 found: install Python 3.10 to 3.13" >&2; exit 1; }
	@echo "creating $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV) || { echo "on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

$(VENV)/.installed-%: pyproject.toml setup.py $(wildcard asr_ligru/ops/fused_cpu/csrc/*) | $(BIN)/pip
	@echo "installing asr-ligru[$*] into $(VENV): a minute or two, longer where torch has to be downloaded"
	@$(BIN)/pip install $(PIP_FLAGS) --disable-pip-version-check -e ".[$*]" \
	    || { echo "the installation failed; see all of it: make $(MAKECMDGOALS) PIP_FLAGS=" >&2; exit 1; }
	@touch $@
