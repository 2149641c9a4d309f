# Needs Python 3.11 or newer and make; everything else is put into .venv by the first target that is called.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PG15_BIN ?= /usr/lib/postgresql/15/bin
# one more than there are processors: a third of the tests wait for processes most of their time
TESTERS ?= 3
ARGS ?=

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# where it is set, each of the hundreds of processes that the tests start compiles every module anew (0.2 s each)
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-long lint types check bench bench-quick bench-own test-pg15 clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## the application in eleven scenes, on a database of its own (ARGS="--scene 3" for one)
	@$(BIN)/python -m domain.demo $(ARGS)

test: $(READY) ## the tests (ARGS="-k words" for some), but for the longest
	@$(BIN)/python -m pytest -n $(TESTERS) -m "not long" $(ARGS)

test-long: $(READY) ## the longest tests: the demo, storms, dead decoders and processes, the benchmark
	@$(BIN)/python -m pytest -n 2 -m long $(ARGS)

lint: $(READY) ## ruff, its formatter, and which way imports point
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: $(READY) ## mypy --strict
	@$(BIN)/mypy

check: lint types test test-long ## what has to pass before a commit

bench: $(READY) ## this queue beside others, three rounds (ARGS="--only ours,raw" for some)
	@$(BIN)/python -m benchmarks $(ARGS)

bench-quick: $(READY) ## the same within 5 minutes: scaled sizes, fewer rounds
	@$(BIN)/python -m benchmarks --quick $(ARGS)

bench-growth: $(READY) ## how this queue's speed changes with what it holds and with time (ARGS="--most 10000000" for all)
	@$(BIN)/python -m benchmarks.growth $(ARGS)

bench-own: $(READY) ## figures of this queue alone (ARGS=--json for machines)
	@$(BIN)/pgqueue bench --embedded $(ARGS)

# Debian packs no pgvector for PostgreSQL 15, so the application's tests stay on the embedded server.
test-pg15: $(READY) ## the queue's tests on PostgreSQL 15 (PG15_BIN: its programs)
	@PGQUEUE_TEST_BIN_DIR=$(PG15_BIN) $(BIN)/python -m pytest -n $(TESTERS) \
		--ignore=tests/domain --ignore=tests/embedded --ignore=tests/house $(ARGS)

clean: ## remove what was made here, the environment too
	rm -rf $(VENV) benchmarks/.venv benchmarks/node/node_modules .pgqueue dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is not Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "no venv: install it (Debian: apt install python3-venv)"; exit 1; }
	@echo "setting up $(VENV) (once)"
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[binary,cron,embedded]' --group dev
	@touch $@
