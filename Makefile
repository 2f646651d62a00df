# What people and CI call. `make` alone lists the verbs.
#
# Without cached bytecode every start takes twice as long, so a shell's wish to go without is not
# handed on.
unexport PYTHONDONTWRITEBYTECODE
# A shell's own virtual environment must not be taken for ours.
unexport VIRTUAL_ENV PYTHONHOME

BIN := .venv/bin
STAMP := .venv/.installed
MODELYARD := $(BIN)/modelyard

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo up down status logs test nightly lint format lock clean

help: ## List these verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## Make the environment in .venv, as requirements.lock says

$(STAMP): requirements.lock pyproject.toml .python-version scripts/install.sh
	@scripts/install.sh
	@touch $@

# Without a look at the lock: what runs must be stopped by what started it.
$(MODELYARD):
	@scripts/install.sh
	@touch $(STAMP)

demo: $(STAMP) ## Train, serve, predict and look for drift, with everything real; takes minutes
	@$(MODELYARD) demo

up: $(STAMP) ## Start Airflow, MLflow, Ray and Ray Serve, and wait until they are healthy
	@$(MODELYARD) up

down: $(MODELYARD) ## Stop them, and whatever they left behind
	@$(MODELYARD) down

status: $(MODELYARD) ## Show the services: state, health, address, age, memory
	@$(MODELYARD) status

logs: $(MODELYARD) ## Show the end of each service's log; follow with: .venv/bin/modelyard logs -f
	@$(MODELYARD) logs

test: $(STAMP) ## Run all tests, the whole way through Airflow included
	@scripts/install_postgres.sh
	@scripts/install_chromium.sh
	@scripts/install_prometheus.sh $(BIN) || echo "without Prometheus, whose tests are skipped"
	@scripts/test.sh $(PYTEST_ARGS)

nightly: $(STAMP) ## Run the long tests too: every spec through Airflow and its endpoint
	@scripts/install_chromium.sh
	@$(BIN)/pytest -m nightly $(PYTEST_ARGS)

lint: $(STAMP) ## Check style, types and import directions
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(MODELYARD) spec check

format: $(STAMP) ## Put the code in its usual form
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

lock: $(STAMP) ## Resolve the dependencies anew; run after a change of pyproject.toml
	@$(BIN)/uv pip compile pyproject.toml --group dev --python 3.12 --generate-hashes --no-emit-index-url --quiet -o requirements.lock
	@scripts/install.sh
	@$(BIN)/python scripts/cache_ludwig_schema.py
	@$(MODELYARD) spec schema > model_specs/schema.json
	@touch $(STAMP)

clean: ## Remove the environment and what tools cached; keeps data, runs and models
	@if [ -x $(MODELYARD) ]; then $(MODELYARD) down; fi
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage build dist
