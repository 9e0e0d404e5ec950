# The two commands: `make demo` shows everything, `make test` proves it. Both set up what they need.
PYTHON ?= /usr/bin/python3

.DEFAULT_GOAL := help
.PHONY: help setup check test test-long bench packages golden-failures demo docs clean

help:           ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## */  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

setup:          ## system packages (apt) and the virtual environment
	@PYTHON="$(PYTHON)" scripts/setup all

demo:           ## build, compose, lint and boot examples/server
	@PYTHON="$(PYTHON)" scripts/setup all
	@.venv/bin/python scripts/demo

check:          ## lint, types and unit tests: under a minute, for each commit
	@PYTHON="$(PYTHON)" scripts/setup python
	@.venv/bin/python scripts/run-tests check

test:           ## everything that CI runs
	@PYTHON="$(PYTHON)" scripts/setup all
	@.venv/bin/python scripts/run-tests test

test-long:      ## the slow tier: more packages, longer chaos
	@PYTHON="$(PYTHON)" scripts/setup all
	@.venv/bin/python scripts/run-tests long

bench:          ## benchmarks, beside the peers
	@PYTHON="$(PYTHON)" scripts/setup all
	@.venv/bin/python scripts/run-bench

packages:       ## build real packages with deb-mock and sbuild, compare, write docs/reference/packages.md (hours)
	@PYTHON="$(PYTHON)" scripts/setup all
	@.venv/bin/python scripts/run-bench real_packages

golden-failures: ## build the corpus of failures for real and record its logs (tests/golden/failures)
	@PYTHON="$(PYTHON)" scripts/setup all
	@DEBOOTC_RECORD=1 .venv/bin/python -m pytest -q -m slow tests/integration/deb_mock/test_mock_corpus.py

docs:           ## regenerate reference pages and JSON Schemas
	@PYTHON="$(PYTHON)" scripts/setup python
	@.venv/bin/python scripts/make-docs

clean:          ## remove the virtual environment and tool caches (layer stores stay)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
