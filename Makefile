# Each target does all of its own set-up: nothing has to be typed first.

PYTHON ?= python3
# more than cores: many tests wait for other processes
JOBS ?= 3
ARGS ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help run test test-long lint bench lock clean

help:
	@echo "make run    serve a sample operator at http://127.0.0.1:8080/simulator (PORT=..., ARGS='--operator examples/qatar.toml')"
	@echo "make test   the whole suite (ARGS='-k layout' narrows it)"
	@echo "make test-long   the tests that take minutes each: ordeals, seeded by the thousand"
	@echo "make lint   ruff, mypy --strict, import-linter"
	@echo "make bench  the measurements; results go to docs/benchmarks"
	@echo "make lock   pin the dependencies anew from requirements*.in (needs uv)"

# A virtual environment, made once; without ensurepip (bare Debian) it would be made without pip.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Rasid needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv .venv

# What is installed is remembered as a copy of the list it came from. The development list holds the other one.
.PHONY: production development
production: $(BIN)/python
	@cmp -s requirements.txt .venv/installed.txt || cmp -s requirements-dev.txt .venv/installed-dev.txt \
		|| { echo "Installing what Rasid runs on (once, a minute or two) ..." \
		&& $(PIP) install --require-hashes -r requirements.txt && cp requirements.txt .venv/installed.txt; }

development: $(BIN)/python
	@cmp -s requirements-dev.txt .venv/installed-dev.txt \
		|| { echo "Installing what the tests need (once, some minutes) ..." \
		&& $(PIP) install --require-hashes -r requirements-dev.txt && cp requirements-dev.txt .venv/installed-dev.txt; }

run: production
	@exec $(BIN)/python manage.py demo $(ARGS)

# Tests start the product's programs again and again, which is twice as fast from compiled files.
test test-long: export PYTHONDONTWRITEBYTECODE =

test: development
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

test-long: development
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m long $(ARGS)

lint: development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: development
	$(BIN)/python -m bench $(ARGS)

lock:
	uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
		requirements.in --output-file requirements.txt
	uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
		requirements-dev.in --output-file requirements-dev.txt

clean:
	rm -rf .venv .rasid .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
