# Every target does its own set-up: a fresh machine needs make and Python 3.11 or 3.12 (or uv), nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
# Bytecode is kept whatever the machine says: hundreds of processes would compile anew.
export PYTHONDONTWRITEBYTECODE :=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -q install
RUN := $(VENV)/.installed-run
DEV := $(VENV)/.installed-dev
# The scripts of the console's pages, bundled (npm from the path, or from PyPI).
ASSETS := pipeline/console/assets/manifest.json
BROWSER := pipeline/console/browser
# `make test ARGS="-k join"` passes words on to the tool behind the target.
ARGS ?=

.PHONY: help setup dev run console assets test lint unit coverage bench bench-compare answers bombs bombs-live fuzz properties chaos sim soak kafka kafka-stop sdks cdc docs pictures site lock audit clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: $(RUN) ## make .venv with the command .venv/bin/hookline

dev: $(DEV) ## make .venv with the tools for tests and checks as well

run: $(RUN) ## the demo: a recorded shop becomes webhooks to a receiver on this machine
	@$(BIN)/hookline demo $(ARGS)

console: $(RUN) ## the demo in a browser: a shop that goes on, and the console over it (ARGS="--listen 127.0.0.1:9000")
	@$(MAKE) --no-print-directory assets || true
	@$(BIN)/hookline demo --console $(ARGS)

assets: $(ASSETS) ## the scripts of the console's pages, bundled: without them it works, plainer

test: lint unit ## all checks and all tests

lint: $(DEV) ## ruff, mypy and the import contract
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-logo > /dev/null || $(BIN)/lint-imports --no-logo

unit: $(DEV) $(ASSETS) ## the tests alone, and which took longest
	$(BIN)/pytest -n 3 --dist loadscope --durations=10 $(ARGS)

coverage: $(DEV) $(ASSETS) ## the tests with a report of the lines and branches that none reaches, in htmlcov/
	$(BIN)/pytest -n 3 --dist loadscope --cov --cov-report=html --cov-report=term:skip-covered $(ARGS)

bench: $(DEV) ## measure the job beside what one would write by hand (ARGS="--rounds 5 --only firing")
	$(BIN)/python -m tests.bench.suite $(ARGS)

bench-compare: $(DEV) ## measure against .bench/baseline.json, which is made where it is missing
	$(BIN)/python -m tests.bench.suite --only firing,sparse,webhooks \
	  $$([ -f .bench/baseline.json ] && echo --against || echo --save) .bench/baseline.json $(ARGS)

answers: $(DEV) ## 100,000 requests by each client to a receiver that answers at the wrong moments (minutes)
	$(BIN)/pytest -m slow tests/hostile/test_whose_answer.py -n 0 -s $(ARGS)

bombs: $(DEV) ## measure the dearest things that one record can ask for (ARGS="--group filter")
	$(BIN)/python -m tests.hostile.bombs $(ARGS)

bombs-live: $(DEV) ## a job that reads bombs for minutes: what its other webhooks feel (ARGS="--rounds 2")
	$(BIN)/python -m tests.hostile.dear.live $(ARGS)

fuzz: $(DEV) ## made-up conditions, templates, answers and slips in files, for an hour (SECONDS=600, ARGS="--seed 7")
	$(BIN)/python -m tests.hostile.dear.fuzz --seconds $(SECONDS) $(ARGS)

properties: $(DEV) ## the tests of properties, each with ten times as many examples (half an hour)
	HOOKLINE_EXAMPLES=10 $(BIN)/pytest -n 3 --dist loadscope -m "hypothesis and not slow" --timeout 1800 $(ARGS)

chaos: $(DEV) ## the long form of the kill and fault tests (an hour or so)
	$(BIN)/python -m tests.chaos.suite
	$(BIN)/pytest -m slow tests/recovery tests/faults tests/simulation tests/sources tests/runtime tests/console \
	  tests/bench/test_suite.py $(ARGS)

SECONDS := 3600
sim: $(DEV) ## the simulation of the state protocol, for an hour (SECONDS=60, ARGS="--mutants" or "--seed 7")
	$(BIN)/python -m tests.simulation --seconds $(SECONDS) $(ARGS)

soak: $(DEV) ## a whole installation for 30 minutes, with edits, illness, taps: what grows? (ARGS="--minutes 5")
	$(BIN)/python -m tests.chaos.soak $(ARGS)

kafka: $(DEV) ## start a Kafka broker on this machine (Java 17 and Maven) and leave it running
	$(BIN)/python -m tests.kafka.broker up $(ARGS)

kafka-stop: $(DEV) ## stop that broker; what it stored is kept
	$(BIN)/python -m tests.kafka.broker down $(ARGS)

sdks: $(DEV) ## the long form of the tests with real SDKs: kills, overload, a thousand events by each (minutes)
	$(BIN)/pytest -n 0 -m slow tests/collect $(ARGS)

cdc: $(DEV) ## a job behind PostgreSQL, Debezium and Kafka Connect, all of them real (tests/cdc/README.md)
	$(BIN)/pytest -n 0 -m slow tests/cdc $(ARGS)

docs: $(DEV) ## write the generated parts of the pages and of config again
	$(BIN)/python docs/generate.py

pictures: $(DEV) $(ASSETS) ## make the pictures of docs/ anew: of terminals, and in Chromium of pages (ARGS="--look FOLDER")
	@$(BIN)/python docs/screens.py
	@$(BIN)/python docs/pictures.py $(ARGS)

site: $(DEV) ## build the pages of docs/ into site/index.html; a broken link fails
	$(BIN)/properdocs build --clean

lock: $(DEV) ## compile requirements/*.lock anew from pyproject.toml
	$(BIN)/python -m pip -q install uv
	for kind in run dev; do \
	  $(BIN)/uv pip compile -q --generate-hashes --no-emit-index-url --no-header --no-annotate --universal \
	    --python-version 3.11 --extra build --extra registry $$([ $$kind = run ] || echo "--extra dev --extra docs -c requirements/run.lock") \
	    pyproject.toml -o requirements/$$kind.lock; \
	done
	for kind in sdks node; do \
	  $(BIN)/uv pip compile -q --generate-hashes --no-emit-index-url --no-header --no-annotate --universal \
	    --python-version 3.11 requirements/$$kind.in -o requirements/$$kind.lock; \
	done

audit: $(DEV) ## ask whether what the locks pin has known faults; offline: the pins and since when (ARGS=--strict)
	@$(BIN)/python docs/audit.py $(ARGS)

clean: ## remove what the targets made, but no state directory
	rm -rf $(VENV) .demo .bench .cache site dist .coverage htmlcov .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf .import_linter_cache pipeline/console/assets
	find pipeline dataflows tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

# The first interpreter in range makes the venv: PYTHON of the environment before others, `make PYTHON=...` no other.
ONLY := $(if $(findstring command,$(origin PYTHON)),$(PYTHON))
$(BIN)/python:
	@ok='import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))'; \
	for python in $(or $(ONLY),$(PYTHON) python3.12 python3.11 python3 python); do \
	  if "$$python" -c "$$ok" 2> /dev/null; then \
	    echo 'Making $(VENV) ...' >&2; "$$python" -m venv --clear $(VENV); exit 0; fi; \
	done; \
	if [ -z "$(ONLY)" ] && command -v uv > /dev/null && uv venv --quiet --clear --seed --python '>=3.11,<3.13' $(VENV); then exit 0; fi; \
	echo 'Hookline needs Python 3.11 or 3.12 with venv (Debian: apt install python3-venv), or uv.' >&2; \
	echo '$(if $(ONLY),$(ONLY) is none of these.,None was found on PATH; name one with: make setup PYTHON=/path/to/python3.12)' >&2; \
	exit 1

# What pip says without a network is that there is no such version.
UNREACHED := { echo 'Is a package index within reach (HTTPS_PROXY, PIP_INDEX_URL, PIP_CERT)? The same command goes on from here.' >&2; exit 1; }

# pip checks every hash; the project itself is installed from this folder, with the build tools of the lock.
$(RUN): requirements/run.lock pyproject.toml | $(BIN)/python
	@echo 'Installing what Hookline needs into $(VENV) ...' >&2
	@$(PIP) --require-hashes --no-deps -r requirements/run.lock || $(UNREACHED)
	@$(PIP) --no-deps --no-build-isolation --editable .
	@# Also where PYTHONDONTWRITEBYTECODE is set: compiling at each start would take a quarter of a second.
	@$(BIN)/python -m compileall -q pipeline dataflows
	@touch $@

# Only the standard library and npm: what is made is kept, and made again where the sources are others.
$(ASSETS): $(wildcard $(BROWSER)/* $(BROWSER)/src/* $(BROWSER)/src/*/*) | $(BIN)/python
	@$(BIN)/python $(BROWSER)/build.py
	@touch $@

$(DEV): requirements/dev.lock $(RUN)
	@echo 'Installing the tools for tests into $(VENV) ...' >&2
	@$(PIP) --require-hashes --no-deps -r requirements/dev.lock || $(UNREACHED)
	@touch $@
