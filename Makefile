# Every target that a person calls carries a comment after two hashes: `make help` lists those.
PYTHON ?= python3
BIN := .venv/bin
LANES ?= 2
CHECKED := --ignore-glob='tests/test_*.py' # what `make check` runs
MAKEFLAGS += --no-print-directory
# Compiled once, not by each of the thousand servers that tests start, also where the environment says otherwise.
export PYTHONDONTWRITEBYTECODE :=
.DEFAULT_GOAL := help
.PHONY: help setup run-setup venv clients run quick test check format bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install everything missing: system packages (as root), .venv, .venv/bin/countersign
	@$(PYTHON) deploy/setup/packages.py all
	@$(PYTHON) deploy/setup/python.py dev

run: run-setup ## a registry, a token with keys and the proxy in .run/, with commands to try; Ctrl-C stops it all
	@exec $(BIN)/python -m deploy.run

quick: venv ## every test that needs no program but Python and is not slow: a minute and a half, no root, no apt, no Go
	@$(BIN)/python -m pytest -n $(LANES) tests $(CHECKED) -m "not real and not go and not slow" --hypothesis-profile=quick

test: setup clients check ## all tests, LANES=2 side by side; what this machine cannot run is skipped and counted
	@$(BIN)/python -m pytest -n $(LANES) tests $(CHECKED)

check: venv ## formatting, lint, types, import contracts, and the docs against the code
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy proxy hsm tests bench
	@$(BIN)/python -m pytest tests/test_architecture.py $(wildcard tests/test_docs*.py)

format: venv ## format and mend what can be mended by itself
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clients: ## build the Go clients and registries that interop tests talk to (once; cosign takes minutes)
	@$(PYTHON) tests/interop/builds.py

bench: setup clients ## side-by-side benchmarks against the upstream alone, nginx and a bare pass-through
	@$(BIN)/python -m bench

clean: ## remove .venv, caches and the demonstration in .run/ (built Go clients stay in ~/.cache/countersign)
	@rm -rf .venv .run .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info

venv:
	@$(PYTHON) deploy/setup/python.py dev

run-setup:
	@$(PYTHON) deploy/setup/packages.py run
	@$(PYTHON) deploy/setup/python.py run
