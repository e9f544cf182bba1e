# Everything a developer runs. `make` alone lists it.

SUITABLE := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))
# The first that is new enough, or name one: make install PYTHON=/path/to/python
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
  "$$p" -c '$(SUITABLE)' 2>/dev/null && { echo "$$p"; exit; }; done; echo python3)
endif
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
JOBS ?= $(shell "$(PYTHON)" -c 'import os; print(max(2, min(8, os.cpu_count() or 2)))' 2>/dev/null || echo 2)
PIP := PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 $(PY) -m pip
SOURCES := src tests tools benchmarks examples

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install check format test demo nemesis contract openapi examples promise spectral lock clean

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' Makefile

install: $(STAMP) ## Make .venv with all that the others need (once; again when the lock changes)

$(STAMP): requirements.lock pyproject.toml
	@"$(PYTHON)" -c '$(SUITABLE)' 2>/dev/null || { \
	  echo "Gridmill needs Python 3.11 to 3.14; '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1 | head -n 1)."; \
	  echo "Name another one:  make $(or $(MAKECMDGOALS),install) PYTHON=/path/to/python3.12"; \
	  exit 1; }
	@test -x $(PY) && $(PY) -c 'import pip' 2>/dev/null || { \
	  rm -rf $(VENV); \
	  "$(PYTHON)" -m venv $(VENV) || { \
	    echo "Could not make $(VENV). On Debian and Ubuntu: apt install python3-venv"; exit 1; }; }
	$(PIP) install --quiet --require-hashes -r requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $(STAMP)

check: install ## Style, types, gravity and the house's own laws
	$(PY) -m ruff format --check $(SOURCES)
	$(PY) -m ruff check $(SOURCES)
	$(VENV)/bin/lint-imports --no-cache
	$(PY) -m tools.house
	$(PY) -m basedpyright --warnings

format: install ## Put the code into the one style, mend what can be mended
	$(PY) -m ruff check --fix-only --quiet $(SOURCES)
	$(PY) -m ruff format $(SOURCES)

test: install ## The whole test suite (JOBS=n processes, ARGS=... to pytest)
	$(PY) -m pytest -n $(JOBS) --dist worksteal $(ARGS)

demo: install ## The main job: a server, tables, tasks, results (GRIDMILL_DEMO_MODEL=none: no weights)
	$(PY) examples/demo/demo.py

openapi: install ## Write docs/openapi.json anew from the routes
	$(PY) -m tools.openapi

examples: install ## Record the examples of docs/openapi.json anew from a running server
	$(PY) -m tools.examples
	$(PY) -m tools.openapi

spectral: ## Lint the API's description with Spectral (needs node and a network once)
	@command -v npm >/dev/null || { echo "This needs node with npm: https://nodejs.org"; exit 1; }
	npm install --silent --no-audit --no-fund --ignore-scripts --prefix .spectral \
	  @stoplight/spectral-cli@6.16.3 @stoplight/spectral-owasp-ruleset@2.0.1
	NODE_PATH=.spectral/node_modules .spectral/node_modules/.bin/spectral lint \
	  --ruleset .spectral.yaml --fail-severity warn docs/openapi.json

promise: install ## Promise clients the present API; says what that breaks (docs/openapi.released.json)
	$(PY) -m tools.openapi release

contract: install ## Call everything as the API's description says and breaks (EXAMPLES=100 a call)
	GRIDMILL_CONTRACT_EXAMPLES=$(or $(EXAMPLES),100) $(PY) -m pytest -q tests/acceptance/api/test_contract.py $(ARGS)

nemesis: install ## Kill, pause and cut off everything while clients work, then check (SEEDS=5)
	$(PY) -m benchmarks.nemesis --seeds $(or $(SEEDS),5)

lock: install ## Choose the versions of all dependencies anew (needs a network)
	@$(PY) -c 'import uv' 2>/dev/null || $(PIP) install --quiet uv
	$(PY) -m uv pip compile --upgrade --universal --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --python-version 3.11 --group dev --output-file requirements.lock pyproject.toml
	$(PY) -m tools.house

clean: ## Remove what the others made, .venv too
	rm -rf $(VENV) .spectral build dist .pytest_cache .ruff_cache .hypothesis .schemathesis .import_linter_cache
	find src tests tools benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +
