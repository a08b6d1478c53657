# Everything a developer does here. `make` alone lists it.

SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
GRAPHIQL := graphql_api/transport/graphiql
PAGE := $(GRAPHIQL)/dist/index.html
PAGE_SOURCES := $(wildcard $(GRAPHIQL)/*.* $(GRAPHIQL)/examples/*) $(GRAPHIQL)/package-lock.json
NODE_CHECK := [a, b] = process.versions.node.split(`.`); process.exit(+(a == 20 ? b < 19 : a == 22 ? b < 12 : a < 22))
# Three test processes for two processors, because many tests wait for programs that they have started.
PYTEST := $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder
COVERAGE := --cov --cov-report=term
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links $(UPGRADE)

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: setup
setup: ## Make .venv from the lock file and build GraphiQL; does nothing when both are up to date
	@$(MAKE) --no-print-directory graphiql & $(MAKE) --no-print-directory $(READY); made=$$?; wait; exit $$made

$(READY): requirements-dev.lock pyproject.toml
	@python=$$(for name in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	    $$name -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; \
	done) || { echo 'Python 3.11 or newer (with venv) is needed: none was found on the PATH.' >&2; exit 1; }; \
	echo "Filling $(VENV) with $$($$python -V); the first time takes a minute"; \
	$$python -m venv $(VENV)
	@$(PIP) install --require-hashes --requirement requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: graphiql
graphiql: ## Build the GraphiQL page, when npm is here and its sources have changed
	@if $(MAKE) --question $(PAGE) 2>/dev/null; then exit 0; fi; \
	if ! command -v npm >/dev/null || ! node -e '$(NODE_CHECK)' 2>/dev/null; then \
	    echo 'GraphiQL is not built: that needs npm and Node.js 20.19, 22.12 or newer. A plain console stands in.'; \
	elif ! $(MAKE) --no-print-directory $(PAGE); then \
	    echo 'GraphiQL could not be built, see above. A plain console stands in.'; \
	fi

$(PAGE): $(PAGE_SOURCES)
	@echo 'Building GraphiQL'
	@cd $(GRAPHIQL) && npm ci --no-audit --no-fund --silent && npm run build --silent -- --logLevel warn
	@touch $@

.PHONY: run
run: setup ## Set up, then serve the API with demonstration data, its own PostgreSQL and Valkey
	@DEMO=$${DEMO:-true} exec $(BIN)/graphql-api serve

.PHONY: migrate
migrate: setup ## Bring the database to the newest schema
	@$(BIN)/graphql-api migrate

.PHONY: test
test: setup ## Run all tests with branch coverage
	@$(PYTEST) $(COVERAGE)

.PHONY: test-fast
test-fast: setup ## Run the tests that need no browser, no server process and no killed server
	@$(PYTEST) --quiet --ignore=tests/faults --ignore=tests/examples --ignore=tests/transport/test_graphiql.py

.PHONY: format
format: setup ## Format the code
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --quiet --fix .

.PHONY: lint
lint: setup ## Check format and rules
	@$(BIN)/ruff format --check . && $(BIN)/ruff check .

.PHONY: types
types: setup ## Check types
	@$(BIN)/mypy

.PHONY: imports
imports: setup ## Check the directions of imports
	@$(BIN)/lint-imports --no-cache

.PHONY: schema
schema: setup ## Write schema.graphql anew
	@$(BIN)/graphql-api export-schema

.PHONY: schema-check
schema-check: setup ## Check that schema.graphql is what the code says
	@$(BIN)/graphql-api export-schema --check

.PHONY: translations
translations: setup ## Bring the catalogues up to date with the messages of the code, and list what is to be translated
	@$(BIN)/python -m tests.services.translation_catalogue

# Not $(READY): a lock file that does not agree with pyproject.toml must not stop its renewal.
$(BIN)/uv:
	@$(MAKE) --no-print-directory $(READY)

.PHONY: lock
lock: $(BIN)/uv ## Pin all dependencies anew from pyproject.toml; UPGRADE=--upgrade takes the newest
	@$(LOCK) --output-file requirements.lock
	@$(LOCK) --extra dev --output-file requirements-dev.lock

.PHONY: lock-check
lock-check: setup ## Check that the lock files name no package index and agree with pyproject.toml
	@$(BIN)/pytest --quiet tests/architecture/test_locks.py

.PHONY: check
check: setup ## Everything that must pass before a change is taken
	@$(MAKE) --no-print-directory -j 2 types lint imports schema-check
	@$(PYTEST)

.PHONY: bench
bench: setup ## Run the benchmarks and print the table
	@$(BIN)/python -m benchmarks

.PHONY: clean
clean: ## Remove what the other targets make; data in var/ stays
	@rm -rf $(VENV) $(GRAPHIQL)/dist $(GRAPHIQL)/node_modules tests/clients/node_modules benchmarks/subscriptions/node_modules .mypy_cache .ruff_cache .pytest_cache \
	    .import_linter_cache .hypothesis .coverage .coverage.* *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
