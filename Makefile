# tanhui on a bare machine: Python 3.11 with venv, and make. `make help` lists the targets.

PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
DEMO    ?= demo-data
UPGRADE ?= --upgrade
PORT    ?= 8000
WORKERS ?= logical
PIP     := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow check format lock bench bench-full audit clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

install: $(VENV)/.installed ## prepare .venv with the command `tanhui` in it
	@$(BIN)/python hatch_build.py

# Beside the stamp lies a copy of the lock that was installed, so that only a change of the lock costs a download. An
# interpreter that is too old, or lacks venv or ensurepip (a package of its own on Debian), is named with its remedy.
$(VENV)/.installed: requirements.lock pyproject.toml hatch_build.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "tanhui needs Python 3.11 or newer; say which with: make $@ PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' \
		|| { echo "Python's venv is not complete here. On Debian: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python && $(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@cmp -s requirements.lock $(VENV)/.lock || { echo "Installing what requirements.lock names (about 300 MB the first time) ..."; \
		$(PIP) install --quiet --require-hashes -r requirements.lock && cp requirements.lock $(VENV)/.lock; }
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: install ## run the life of a credit, then serve it at http://127.0.0.1:8000
	@rm -rf $(DEMO)
	$(BIN)/tanhui demo --once $(DEMO)
	$(BIN)/tanhui serve --home $(DEMO) --port $(PORT)

test: install ## run the tests on SQLite and PostgreSQL
	$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 --dist worksteal

test-slow: install ## run the tests that take long
	$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 --dist worksteal -m slow

check: install ## check format, lint, types and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python hatch_build.py check

format: install ## put the code in its format and repair what ruff can repair
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: install ## resolve the dependencies anew into requirements.lock (hashes, no addresses)
	@tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT \
		&& $(PYTHON) -m venv "$$tools" && "$$tools/bin/pip" install --quiet 'pip-tools>=7.6' \
		&& "$$tools/bin/pip-compile" --quiet $(UPGRADE) --extra dev --extra cluster --generate-hashes --allow-unsafe --strip-extras \
			--no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options \
			--output-file requirements.lock pyproject.toml
	@$(BIN)/python hatch_build.py lock

bench: install ## measure ledger, demo, land and estimates (some 40 minutes, 3 GB of temporary files)
	$(BIN)/python -m benchmarks

bench-full: install ## the same with more rounds, a log of a million entries and 200,000 parcels (over two hours)
	$(BIN)/python -m benchmarks --full

audit: install ## replay the log of the last demo from zero and compare its database
	$(BIN)/tanhui audit $(DEMO)

clean: ## remove what the other targets made
	rm -rf $(VENV) $(DEMO) web/node_modules registry/web/static registry/documents/fonts
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
