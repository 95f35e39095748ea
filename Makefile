# tanhui on a bare machine: Python 3.11 with venv, and make. `make help` lists the targets.

PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
DEMO    ?= demo-data
PORT    ?= 8000
WORKERS ?= 2
PIP     := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow check format lock bench bench-full audit clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

install: $(VENV)/.installed $(VENV)/.web ## prepare .venv with the command `tanhui` in it

# The stamp holds the lock that was installed, so a second call compares two files and ends. An older interpreter, or one
# without venv or ensurepip (Debian keeps both in a package of their own), is named with the remedy.
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

# The pages' bundle and the certificate's fonts; the hook itself leaves out what is current.
$(VENV)/.web: $(VENV)/.installed $(wildcard web/src/* web/*.json web/*.mjs)
	@$(BIN)/python hatch_build.py
	@touch $@

demo: install ## run the life of a credit, then serve it at http://127.0.0.1:$(PORT)
	@rm -rf $(DEMO)
	$(BIN)/tanhui demo --once $(DEMO)
	$(BIN)/tanhui serve --home $(DEMO) --port $(PORT)

test: install ## run the tests on SQLite and PostgreSQL
	$(BIN)/python -m pytest -n $(WORKERS)

test-slow: install ## run the tests that take long
	$(BIN)/python -m pytest -n $(WORKERS) -m slow

check: install ## check format, lint, types and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python hatch_build.py check

format: install ## put the code in its format and repair what ruff can repair
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## resolve the dependencies anew into requirements.lock (hashes, no addresses)
	@test -x $(BIN)/pip-compile || { $(PYTHON) -m venv $(VENV) && $(PIP) install --quiet pip-tools; }
	$(BIN)/pip-compile --quiet --upgrade --extra dev --generate-hashes --allow-unsafe --strip-extras --no-header \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options \
		--output-file requirements.lock pyproject.toml

bench: install ## measure the demo and its steps (within 15 minutes)
	$(BIN)/python -m benchmarks

bench-full: install ## measure the whole tables
	$(BIN)/python -m benchmarks --full

audit: install ## replay the log of the last demo from zero and compare its database
	$(BIN)/tanhui audit $(DEMO)

clean: ## remove what the other targets made
	rm -rf $(VENV) $(DEMO) web/node_modules registry/web/static registry/documents/fonts
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
