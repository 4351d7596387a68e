# Everything here runs inside .venv, which make builds on first use.
# Another interpreter: make test PYTHON=python3.13

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
T ?= 60
MINUTES ?= 30
N ?= 1500
SEED ?= 1
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
# These tests have real sockets, real processes and real time: they run when nothing else does.
APART := tests/adapters/test_contract.py tests/adapters/test_tls.py tests/e2e tests/fuzz/test_live.py tests/gateway \
	tests/interop tests/reliability/test_ledger.py tests/reliability/test_real_sockets.py \
	tests/reliability/test_secrets_on_real_sockets.py
# They wait more than they work.
BY_FILE := -n 2 --dist loadfile
TOGETHER := -n auto --maxprocesses=4 $(APART:%=--ignore=%)

MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-lowest check format docs fuzz bench bounds soak mutate clean

help:
	@echo "make demo     place a call through the local gateway and let it talk to a small agent"
	@echo "make test     all checks, all tests on asyncio and trio, and the coverage gate"
	@echo "make test-lowest   the same tests with the lowest versions that pyproject.toml allows"
	@echo "make check    lint, formatting, types, and generated pages (no tests)"
	@echo "make format   format the code and apply the safe lint fixes"
	@echo "make docs     render the generated pages of docs/"
	@echo "make fuzz     throw bytes at every parser for T=60 seconds in all; fails if something was found"
	@echo "make bench    measure the speed beside the vendor's clients and write docs/reports/speed; about 15 minutes"
	@echo "make bounds   measure what is promised about the worst case, beside the official client; about nine minutes"
	@echo "make soak     hold twenty calls in bad weather for MINUTES=30; fails if anything grows or a call is lost track of"
	@echo "make mutate   change the core in N=1500 small ways and see that a test notices; N=all for every way"
	@echo "make clean    remove .venv and everything else make has made"
	@echo
	@echo "Needs Python 3.11 or newer; choose one with PYTHON=python3.13"

demo: $(VENV)/.ready-to-run
	@echo "==> running the demo"
	@$(BIN)/python -m telcoflow_anyio demo

test: check
	@$(BIN)/coverage erase
	@echo "==> running the tests of the core and of simulated networks, as many at a time as there are cores"
	@$(BIN)/coverage run -m pytest $(TOGETHER)
	@echo "==> running the tests on real sockets, a file at a time on each of two"
	@$(BIN)/coverage run -m pytest $(BY_FILE) $(APART)
	@echo "==> measuring coverage"
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage json -q -o coverage.json
	@$(BIN)/python tools/coverage_gate.py coverage.json

# A .venv of its own: the lowest versions must not leak into the one people work in.
test-lowest:
	@$(MAKE) .venv-lowest/.exists VENV=.venv-lowest
	@echo "==> installing the lowest versions"
	@.venv-lowest/bin/python tools/lowest.py > .venv-lowest/constraints.txt
	@.venv-lowest/bin/python -m pip --disable-pip-version-check -q install 'pip>=25.1'
	@.venv-lowest/bin/python -m pip -q install -c .venv-lowest/constraints.txt -e '.[gateway,trio]' --group dev
	@echo "==> running the tests with the lowest versions"
	@.venv-lowest/bin/python -m pytest -q $(TOGETHER)
	@.venv-lowest/bin/python -m pytest -q $(BY_FILE) $(APART)

check: $(VENV)/.ready-to-develop
	@echo "==> linting (ruff check)"
	@$(BIN)/ruff check -q
	@echo "==> checking the format (ruff format)"
	@$(BIN)/ruff format -q --check || { echo "run 'make format' to fix this"; exit 1; }
	@echo "==> checking types (mypy)"
	@$(BIN)/mypy --no-error-summary
	@echo "==> checking types (basedpyright)"
	@$(BIN)/basedpyright --warnings
	@echo "==> checking the generated pages"
	@$(BIN)/python tools/render_tables.py --check
	@$(BIN)/python tools/render_parity.py --check
	@$(BIN)/python tools/render_relay.py --check
	@$(BIN)/python tools/render_reliability.py --check

format: $(VENV)/.ready-to-develop
	@echo "==> formatting"
	@$(BIN)/ruff check -q --fix-only
	@$(BIN)/ruff format -q

docs: $(VENV)/.ready-to-develop
	@echo "==> rendering the state tables, the table of the two adapters, RELAY's methods and the page on reliability"
	@$(BIN)/python tools/render_tables.py
	@$(BIN)/python tools/render_parity.py
	@$(BIN)/python tools/render_relay.py
	@$(BIN)/python tools/render_reliability.py

fuzz: $(VENV)/.ready-to-develop
	@echo "==> fuzzing for $(T) seconds in all"
	@$(BIN)/python -m fuzz run --seconds $(T)

bench: $(VENV)/.ready-to-develop
	@echo "==> measuring the speed"
	@$(BIN)/python -m benchmarks --report

bounds: $(VENV)/.ready-to-develop
	@echo "==> measuring the bounds"
	@$(BIN)/python -m benchmarks.bounds

soak: $(VENV)/.ready-to-develop
	@echo "==> holding twenty calls in bad weather for $(MINUTES) minutes"
	@$(BIN)/python -m benchmarks.soak --minutes $(MINUTES)

mutate: $(VENV)/.ready-to-develop
	@echo "==> judging $(N) mutants of the core, seed $(SEED)"
	@nice -n 10 $(BIN)/python -m tools.mutation -n $(N) --seed $(SEED)

clean:
	@echo "==> cleaning up"
	@rm -rf $(VENV) .venv-lowest build dist demo coverage.json .coverage .coverage.* htmlcov
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .mutation fuzz/findings
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is touched last, so an interrupted install starts over.

$(VENV)/.exists:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		found=$$($(PYTHON) --version 2>/dev/null) || found="not a Python that runs here"; \
		echo "telcoflow-proto needs Python 3.11 or newer, but $(PYTHON) is $$found." >&2; \
		echo "Choose another one, for example: make $(MAKECMDGOALS) PYTHON=python3.13" >&2; exit 1; }
	@echo "==> creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# What the demo needs: no test tools, no type checkers.
$(VENV)/.ready-to-run: pyproject.toml | $(VENV)/.exists
	@echo "==> installing telcoflow-proto and its gateway"
	@$(PIP) install -e '.[gateway]'
	@touch $@

# What a change needs. Dependency groups came with pip 25.1; Python 3.11 brings an older one.
$(VENV)/.ready-to-develop: pyproject.toml | $(VENV)/.exists
	@echo "==> installing telcoflow-proto and its development tools"
	@$(PIP) install 'pip>=25.1'
	@$(PIP) install -e '.[gateway,trio]' --group dev
	@touch $(VENV)/.ready-to-run $@
