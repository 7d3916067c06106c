# Everything a newcomer types. `make help` lists it.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# Environments of their own, for other versions.
SPARK_VENV = .venv-spark$(subst .,,$(VERSION))
FLOOR_VENV := .venv-floor
DEPLOY_VENV := .venv-deploy
DATA ?= $(CURDIR)/data
STAMP := $(VENV)/.installed
FAST_STAMP := $(VENV)/.installed-fast
# All that the tests without a JVM use; no Spark.
OPTIONAL := text,sentence,images,vision,clip,loader,report,mlflow,notebooks,experiments
# These want a newer numpy than all others.
LIGHT := static,onnx
FAST_EXTRAS := $(OPTIONAL),$(LIGHT),export,dev
EXTRAS := spark,connect,$(FAST_EXTRAS)
# constraints.txt holds versions for Python 3.11 and newer.
CONSTRAINTS := $$($(BIN)/python -c 'import sys; print("--constraint constraints.txt" * (sys.version_info >= (3, 11)))')
# uv installs all this in a minute, pip in five. uv does not read pip's settings, so it is told pip's index: by the
# environment, since what stands in a command is printed, and an index may have a password.
export UV_DEFAULT_INDEX := $(or $(UV_DEFAULT_INDEX),$(PIP_INDEX_URL),$(shell $(PYTHON) -m pip config get global.index-url 2>/dev/null))
VENV_WITH_UV = test -x $(1)/bin/uv || { $(PYTHON) -m venv $(1) && $(1)/bin/python -m pip install --quiet --disable-pip-version-check uv; }
UV_INSTALL = $(1)/bin/uv pip install --quiet --python $(1)
INSTALL = $(call UV_INSTALL,$(VENV)) $(CONSTRAINTS)
# Rooms that their own tests must cover, and the least share of their lines, in percent. What only
# Python workers run is not counted.
COVERED := kernels encoders config sources
COVERAGE_FLOOR := 95

# Files of whole jobs come first: they take longest, and no process shall end long after the other.
RUN_TESTS = $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help install demo test test-long test-cluster test-fast test-spark test-floor test-deploy paper coverage check fmt notebooks docs reference wheel zip clean preflight preflight-python preflight-java

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

preflight: preflight-python preflight-java

preflight-python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || { \
	  echo "make: Python must be 3.10, 3.11, 3.12 or 3.13. Got: $$($(PYTHON) --version 2>&1 || echo none)."; \
	  echo "  Install python3.11 with its venv module, or name one: make install PYTHON=/path/to/python3.11"; exit 2; }

preflight-java:
	@java=$${JAVA_HOME:+$$JAVA_HOME/bin/}java; \
	  version=$$($$java -version 2>&1 | sed -nE 's/.*version "(1\.)?([0-9]+).*/\2/p' | head -1); \
	  [ -n "$$version" ] && [ "$$version" -ge 17 ] || { \
	  echo "make: Java must be 17 or newer. Got: $${version:-none}."; \
	  echo "  Install OpenJDK 17 (Debian: apt install openjdk-17-jre-headless; macOS: brew install openjdk@17), or set JAVA_HOME."; exit 2; }

install: preflight $(STAMP) ## Make .venv with all that the demo and the tests need

$(STAMP): setup.cfg constraints.txt
	$(call VENV_WITH_UV,$(VENV))
	$(INSTALL) --editable '.[$(EXTRAS)]'
	$(BIN)/python -c 'from semdedup_spark import open_session; open_session().stop()'  # fetches Delta's jars
	touch $(FAST_STAMP) $@

$(FAST_STAMP): setup.cfg constraints.txt
	$(call VENV_WITH_UV,$(VENV))
	$(INSTALL) --editable '.[$(FAST_EXTRAS)]'
	touch $@

demo: install ## Deduplicate the docstrings of the installed libraries, offline, in a few minutes
	$(BIN)/semdedup demo

test: check ## What CI runs
	$(RUN_TESTS) -m "not long and not cluster"

test-long: install ## The tests of many whole jobs, of an object storage and of the notebooks
	$(RUN_TESTS) -m long

# One after the other: a cluster has processes enough.
test-cluster: install ## Jobs on a cluster of two workers, and by Spark Connect
	$(BIN)/python -m pytest -m cluster

test-fast: preflight-python $(FAST_STAMP) ## The tests that need no JVM; installs no Spark for them
	$(BIN)/python -m pytest -m "not spark"

# Versions of everything else are those of constraints.txt, as far as the Spark goes with them.
test-spark: preflight ## The transforms, and whole jobs with the same tables, on Spark VERSION: 3.5, 4.0, 4.1, 4.2
	@$(PYTHON) -m scripts.spark_pair $(VERSION) > /dev/null
	$(call VENV_WITH_UV,$(SPARK_VENV))
	$(PYTHON) -m scripts.spark_pair $(VERSION) > $(SPARK_VENV)/pair.txt
	$(call UV_INSTALL,$(SPARK_VENV)) --constraint $(SPARK_VENV)/pair.txt \
	  --editable '.[spark$(subst .,,$(VERSION)),text,images,dev]'
	$(SPARK_VENV)/bin/python -m pytest tests/transforms tests/jobs/test_whole_job.py tests/jobs/test_same_tables.py \
	  tests/jobs/test_platforms.py::test_an_output_may_be_a_catalog_schema \
	  tests/queries/test_cookbook.py::test_recall_by_sql_alone_agrees_with_the_scores

# The extras of LIGHT and `export` come afterwards, because they need a newer numpy and pyarrow.
FLOOR_INSTALL = $(call UV_INSTALL,$(FLOOR_VENV))
test-floor: preflight-python ## The tests that need no JVM, on the oldest versions that setup.cfg allows
	$(call VENV_WITH_UV,$(FLOOR_VENV))
	$(FLOOR_INSTALL) --resolution lowest-direct --editable '.[$(OPTIONAL)]'
	$(FLOOR_INSTALL) --editable '.[dev]'
	$(FLOOR_VENV)/bin/python -m pytest -m "not spark" --ignore tests/exports
	$(FLOOR_INSTALL) --resolution lowest-direct --editable '.[$(LIGHT)]'
	$(FLOOR_VENV)/bin/python -m pytest tests/encoders/text/test_static.py tests/encoders/text/test_onnx.py
	$(FLOOR_INSTALL) --resolution lowest-direct --editable '.[export]'
	$(FLOOR_VENV)/bin/python -m pytest -m "not spark" tests/exports tests/tables

test-deploy: preflight-python ## The files under deploy/: Databricks, EMR and Airflow, whose packages go into no other environment
	$(call VENV_WITH_UV,$(DEPLOY_VENV))
	$(call UV_INSTALL,$(DEPLOY_VENV)) --constraint tests/deploy/constraints.txt \
	  --requirement tests/deploy/requirements.txt --editable .
	$(DEPLOY_VENV)/bin/python -m pytest tests/deploy

coverage: install ## The tests of these rooms, with Spark; fails where they reach too little of the code
	$(BIN)/coverage run -m pytest $(addprefix tests/,$(filter-out config,$(COVERED))) tests/test_*.py
	@failed=0; for room in $(COVERED); do \
	  $(BIN)/coverage report --include="semdedup_spark/$$room/*" --fail-under=$(COVERAGE_FLOOR) || failed=1; \
	done; exit $$failed

check: install ## Format, lint, docstrings, types, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pydoclint --quiet semdedup_spark
	$(BIN)/mypy
	$(BIN)/mypy benchmarks
	$(BIN)/mypy notebooks
	$(BIN)/lint-imports

fmt: install ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

notebooks: install ## Run the notebooks on the data under DATA and render them, figures and all
	for name in texts lake dedup train; do \
	  SEMDEDUP_DATA=$(DATA) SEMDEDUP_OUT=$(CURDIR)/out/notebooks $(BIN)/jupytext --to ipynb --execute \
	    --output notebooks/$$name.ipynb notebooks/$$name.py \
	  && sed -i.bak 's#$(CURDIR)/##g' notebooks/$$name.ipynb && rm notebooks/$$name.ipynb.bak || exit 1; done

docs: preflight-python ## Build the documentation site in out/site
	$(call VENV_WITH_UV,$(VENV))
	$(INSTALL) 'zensical>=0.0.73' 'mkdocstrings-python>=2' ruff
	$(BIN)/zensical build --clean --strict
	cd docs && find . -name '*.md' | tar -cf - -T - | tar -xf - -C $(CURDIR)/out/site  # for llms.txt

# The optional fifth encoder: put its jar into the cache, see benchmarks/paper/README.md.
paper: install ## The paper's tables on a small scale, in out/paper: under half an hour
	$(INSTALL) --editable '.[$(EXTRAS),paper]'
	$(BIN)/python benchmarks/paper/all.py --small

reference: install ## Write docs/llms.txt and the pages of docs/reference that say what the code says
	$(BIN)/python -m scripts.reference_pages

wheel: preflight-python ## Build the wheel in dist/
	$(call VENV_WITH_UV,$(VENV))
	rm -rf build  # what was deleted since would come along
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

zip: preflight-python ## Build dist/semdedup_spark.zip, for spark-submit --py-files
	$(PYTHON) -m scripts.package_zip dist/semdedup_spark.zip

clean: ## Remove what make made
	rm -rf $(VENV) .venv-* out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage*
