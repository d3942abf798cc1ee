# The front door: `make demo` and `make test` need Python 3.11 or newer and nothing else.
# Every target prepares what it needs first (tools/setup.py); the second time that costs nothing.

# Tests start hundreds of processes: where byte code is not kept, each compiles all that it imports.
export PYTHONDONTWRITEBYTECODE =

PYTHONS = $(PYTHON) python3.13 python3.12 python3.11 python3
BIN = .venv/bin
UV = uv
# Most tests wait for servers and browsers: as many at a time as there is memory for, eight at most (tests/spread.py). The
# files that take longest come first because no file is moved up for its number of tests.
PYTEST = $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder
# These compute more than they wait: each core has a command of its own, which collects only its share of the files and
# hands no result on to another process. More than eight end no sooner: some files stay together (tests/spread.py).
SHARES = $(shell cores=$$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN); echo $$((cores < 8 ? cores : 8)))
UNIT = $(shell seq -s + $(SHARES) | sed 's/[0-9][0-9]*/unit-&/g; s/+$$//')
CONNECTED = tests/integration tests/lab tests/notebooks
# The copies in tests/reference are the notebooks with outputs; nbval compares nothing where there are none. It waits
# for the lab most of the time, so that it runs beside the other tests; its kernels are forks, which start sooner.
NBVAL = JUPYTER_DEFAULT_PROVISIONER_NAME=runbook-warm $(BIN)/python tools/fresh_lab.py $(BIN)/pytest -p nbval.plugin --nbval --nbval-sanitize-with tests/reference/sanitize.cfg

.DEFAULT_GOAL = help
.PHONY: help setup demo lab test test-long check compiled lint types pytest unit connected nbval bench bench-quick reference \
	pictures words docs lock clean

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)$$/make \1	\2/p' Makefile | expand -t 20

setup: ## Make .venv with the locked dependencies and find a browser
	@[ "$$PREPARED_IN" != '$(CURDIR)' ] || exit 0; \
	for python in $(PYTHONS); do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			exec $$python tools/setup.py; \
		fi; \
	done; \
	echo 'No Python 3.11 or newer was found (looked for: $(PYTHONS)).' >&2; \
	echo 'Install one (Debian, Ubuntu: apt-get install python3 python3-venv) or name one: make PYTHON=/path/to/python3' >&2; \
	exit 2

demo: setup ## Repair the incident end to end in the embedded lab
	$(BIN)/runbook demo

lab: setup ## Open JupyterLab on 00_start_here with the lab running
	$(BIN)/runbook lab jupyter

test: setup ## Everything that CI runs; a part that fails keeps no other from running
	@$(BIN)/python tools/every_part.py $(MAKE) lint $(UNIT)+types+docs+compiled connected+nbval

test-long: setup ## The tests as `make test` runs them, and what takes hours: every place to die, long stories, 5,000 sites
	RUNBOOK_TEST_LONG=1 $(PYTEST) -o timeout=14400 tests

check: setup ## While working: lint, types, and what is tested without a lab, a browser and a kernel
	@$(BIN)/python tools/every_part.py $(MAKE) lint $(UNIT)+types

compiled: setup ## Compile the tests of `connected` once, before the processes that share them begin
	@$(BIN)/pytest -q --collect-only $(CONNECTED) >/dev/null 2>&1 || true

lint: setup ## ruff: rules and layout
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## mypy --strict
	$(BIN)/mypy

pytest: setup ## Every test of pytest
	@$(BIN)/python tools/every_part.py $(MAKE) $(UNIT) connected

unit: setup ## Tests without a lab, a browser and a kernel
	@$(BIN)/python tools/every_part.py $(MAKE) $(UNIT)

unit-%: setup
	$(BIN)/pytest -n 0 --share $*/$(SHARES) tests/unit

connected: setup ## Tests with a lab, a browser or a kernel
	$(PYTEST) $(CONNECTED)

nbval: setup ## Run every notebook in a fresh lab and compare what it shows
	$(NBVAL) tests/reference

bench: setup ## Measure a whole repair, its browser part, a fleet, and the log diagnosis against ripgrep and grep (needs rg, 15 GB of disk, hours)
	$(BIN)/python tools/bench.py
	$(BIN)/python tools/bench_repair.py --write
	$(BIN)/python tools/bench_web.py --write
	$(BIN)/python tools/bench_web.py --skin dojo --write
	$(BIN)/python tools/bench_fleet.py --write
	$(BIN)/python tools/bench_triage.py --write
	$(BIN)/python tools/bench_history.py

bench-quick: setup ## In under five minutes: a whole repair and its browser part beside bare scripts, and how commands start
	$(BIN)/python tools/bench_repair.py --quick
	$(BIN)/python tools/bench_web.py --skin dojo --runs 2

reference: setup ## Make the copies of the notebooks with outputs: for nbval, and for the docs site
	$(BIN)/python tools/reference.py

pictures: setup ## Make the pictures in docs/images anew: one repair of the lab in JupyterLab, light and dark
	$(BIN)/python tools/pictures.py

words: setup ## Bring the catalogue of Chinese words and the Chinese notebooks up to date; names what is not translated
	$(BIN)/python tools/words.py

docs: setup ## Build the docs site into build/docs, in English and Chinese, with the notebooks as they ran
	$(BIN)/python tools/docs.py

# The site's lock leaves out what is installed already, and that is not what only older releases of Python get.
lock: setup ## Resolve the dependencies anew (needs uv) and pin them with hashes
	$(UV) pip compile --universal --upgrade --generate-hashes --no-emit-index-url --no-annotate \
		--custom-compile-command 'make lock' --python-version 3.11 --extra fleet --group dev pyproject.toml -o requirements.lock
	$(UV) pip compile --universal --upgrade --generate-hashes --no-emit-index-url --no-annotate \
		--custom-compile-command 'make lock' --python-version 3.11 --group docs --constraint requirements.lock \
		$$(sed -n '/; python_full_version </!s/^\([a-z0-9.-]*\)==.*/--no-emit-package \1/p' requirements.lock) pyproject.toml -o requirements-docs.lock

clean: ## Remove the environment, caches and the lab's state; records stay
	@if [ -d .lab ] && [ -x $(BIN)/runbook ]; then $(BIN)/runbook lab down; fi
	rm -rf .venv .lab .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
	find runbook_lib tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
