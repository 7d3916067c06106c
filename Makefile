# Everything a newcomer types. `make help` lists it.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
DATA ?= $(CURDIR)/data
STAMP := $(VENV)/.installed
EXTRAS := spark,text,sentence,images,vision,clip,loader,export,report,notebooks,dev

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast check fmt notebooks clean preflight

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

preflight:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null || { \
	  echo "make: Python must be 3.11 or 3.12. Got: $$($(PYTHON) --version 2>&1 || echo none)."; \
	  echo "  Install python3.11 with its venv module, or name one: make install PYTHON=/path/to/python3.11"; exit 2; }
	@java=$${JAVA_HOME:+$$JAVA_HOME/bin/}java; \
	  version=$$($$java -version 2>&1 | sed -nE 's/.*version "(1\.)?([0-9]+).*/\2/p' | head -1); \
	  [ -n "$$version" ] && [ "$$version" -ge 17 ] || { \
	  echo "make: Java must be 17 or newer. Got: $${version:-none}."; \
	  echo "  Install OpenJDK 17 (Debian: apt install openjdk-17-jre-headless; macOS: brew install openjdk@17), or set JAVA_HOME."; exit 2; }

install: preflight $(STAMP) ## Make .venv with all that the demo and the tests need

$(STAMP): setup.cfg constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$(EXTRAS)]'
	$(BIN)/python -m semdedup_spark.session
	touch $@

demo: install ## Deduplicate the docstrings of the installed libraries, offline, in a few minutes
	$(BIN)/semdedup demo

test: check ## Everything that CI runs
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test-fast: install ## The tests that need no Spark: seconds
	$(BIN)/python -m pytest tests/kernels tests/encoders tests/test_config.py tests/test_rank_by.py tests/test_architecture.py

check: install ## Format, lint, types, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: install ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

notebooks: install ## Run the notebooks on the data under DATA and render them, figures and all
	for name in dedup train; do \
	  SEMDEDUP_DATA=$(DATA) SEMDEDUP_OUT=$(CURDIR)/out/notebooks $(BIN)/jupytext --to ipynb --execute \
	    --output notebooks/$$name.ipynb notebooks/$$name.py \
	  && sed -i.bak 's#$(CURDIR)/##g' notebooks/$$name.ipynb && rm notebooks/$$name.ipynb.bak || exit 1; done

clean: ## Remove what make made
	rm -rf $(VENV) out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
