# `make run` starts it, `make test` proves it; the rest serves those two.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PY := .venv/bin/python
STATE ?= $(CURDIR)/state
BENCH ?=
FUZZ_SECONDS ?= 60
MODEL_SECONDS ?= 60
MODEL_SEED ?=
WORKERS ?= auto
# Tests of one module stay together: they share a lab, a server or a database.
PYTEST := $(PY) -m pytest tests -n $(WORKERS) --dist loadscope

# Hundreds of programs are started by the tests: what they import is compiled once, whatever the shell asks for.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help docs setup setup-test run test check lint types borders stubs stubs-fresh lock format fast e2e bench model chaos fuzz clean

help: ## Show this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

docs: setup-test ## Write the tables of docs/configuration.md from the description of the keys
	@PYTHONPATH=. .venv/bin/python scripts/configuration-page.py

setup: ## Make .venv with what the server needs
	@scripts/setup.sh run

setup-test: ## Make .venv with what the tests need too
	@scripts/setup.sh test

run: export STATE := $(STATE)
run: setup ## Start the embedded default on http://127.0.0.1:8080, state in ./state
	@exec scripts/run.sh

test: setup-test ## Run all tests (WORKERS=1 for one process)
	$(PYTEST)

fast: setup-test ## Run the tests that need no other program
	$(PYTEST) -m 'not e2e' -x -q

e2e: setup-test ## Run only the tests with real clients, servers and containers
	$(PYTEST) -m e2e

bench: setup-test ## Measure (BENCH=load, relay, policy, rights or large for one of them)
	$(PY) -m tests.bench $(BENCH)

model: setup-test ## Live random lives of a tailnet with fresh seeds (MODEL_SECONDS=1800; MODEL_SEED=N plays one again)
	$(PY) -m tests.model $(MODEL_SECONDS) $(MODEL_SEED)

chaos: setup-test ## Real clients among simulated ones while the stack is killed, as root (CHAOS="--devices 300 --seconds 60")
	$(PY) -m tests.bench chaos $(CHAOS)

fuzz: setup-test ## Throw texts at the readers of policies (FUZZ_SECONDS=3600 for an hour)
	$(PY) -m tests.fuzz $(FUZZ_SECONDS)

check: lint types borders stubs-fresh test ## What CI runs

lint: setup-test ## Style of Python and protos, dead code
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	$(PY) scripts/dead-code.py
	cd proto && ../.venv/bin/buf lint && ../.venv/bin/buf format -d --exit-code

types: setup-test ## mypy --strict
	.venv/bin/mypy

borders: setup-test ## Who may import whom
	.venv/bin/lint-imports

stubs: setup-test ## Generate proto/gen
	scripts/stubs.sh

stubs-fresh: setup-test ## Fail when proto/gen is not what proto/ says
	@rm -rf .stubs-check && scripts/stubs.sh .stubs-check && diff -r -x __pycache__ .stubs-check proto/gen; status=$$?; rm -rf .stubs-check; \
	  [ $$status = 0 ] || { echo "proto/gen is stale: run 'make stubs' and commit"; exit 1; }

lock: ## Pin all requirements anew (needs uv)
	uv pip compile -q --generate-hashes --universal --python-version 3.11 pyproject.toml -o requirements/runtime.txt
	uv pip compile -q --generate-hashes --universal --python-version 3.11 --extra dev pyproject.toml -o requirements/dev.txt
	uv pip compile -q --generate-hashes --python-version 3.11 -c requirements/dev.txt requirements/e2e.in -o requirements/e2e.txt

format: setup-test ## Format Python and protos
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .
	cd proto && ../.venv/bin/buf format -w

clean: ## Remove what tools left behind (not .venv, not ./state)
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .stubs-check dist
