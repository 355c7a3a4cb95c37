# Neither root nor a server is needed: what needs PostgreSQL, Chromium or data that are not here skips and says why.
PYTHON ?= python
.DEFAULT_GOAL := help
.PHONY: help format lint types test slow nightly fuzz docs check

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

format:  ## mend layout, import order and what else ruff can mend
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

lint:  ## ruff (rules and layout) and codespell; changes nothing
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m codespell_lib

types:  ## mypy, strict
	$(PYTHON) -m mypy

test:  ## the default tier: minutes
	$(PYTHON) -m pytest -q -rs

slow:  ## estimator checks in full, real kills, the browser: half an hour
	$(PYTHON) -m pytest -q -rs -m slow

nightly:  ## the estimator checks of every method in full: an hour
	$(PYTHON) -m pytest -q -rs -m nightly

fuzz:  ## drawn inputs of every kind, read or refused; KINVIEW_FUZZ_SECONDS says for how long (180)
	$(PYTHON) -m pytest -q -m fuzz tests/fuzz

docs:  ## the examples in docstrings, and whether the written pages are what the registries say
	$(PYTHON) -m pytest -q --pyargs --doctest-modules kinview -m ""
	$(PYTHON) docs/generate_augmentations.py --check
	$(PYTHON) docs/generate_methods.py --check

check: lint types test docs  ## what a change has to pass; the slow tests come on top
