# `make run` and `make test` do all the set-up on a fresh machine: Python >= 3.11 with venv is enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := constraints-py311.txt
# The constraints hold for Python 3.11; newer ones resolve for themselves.
PINS = $$($(BIN)/python -c 'import sys; print("-c $(CONSTRAINTS)" if sys.version_info[:2] == (3, 11) else "")')
TORCH := torch==2.13.0
ENGINE ?= docker
export KEDRO_DISABLE_TELEMETRY := 1
# Processes of the tests find what the first of them compiled.
export PYTHONDONTWRITEBYTECODE :=
# One core a worker; files begin in their order, in which no long one is last.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: run test test-full test-extras test-faults test-notebooks lint lock viz docs wheel wheel-test image-test clean

run: $(VENV)/.core
	$(BIN)/scm run --pipeline annotation

test: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	@($(BIN)/mypy && $(BIN)/mypy --config-file benchmarks/mypy.ini) & types=$$!; $(PYTEST) -m "not slow"; tests=$$?; \
	  wait $$types || { echo "mypy found errors: see above"; exit 1; }; exit $$tests

# Every test and notebook; faults a few times each, which `make test-faults` counts in full.
test-full: $(VENV)/.dev
	$(PYTEST) --durations 50

# What is skipped without the extras metrics, perturbation and scvi: in an environment of its own on top of the
# development one, since scVI, where it is installed, joins the baselines of every run.
test-extras: $(VENV)/.extras
	OMP_NUM_THREADS=1 build/extras/bin/python -m pytest tests/metrics tests/methods/test_integration.py \
	  tests/tasks/multiomics/test_baselines.py -k "scib or cell_eval or scvi or totalvi"

# Every fault and property as often as is promised (`make test` tries each a few times): hours; writes benchmarks/results/faults.json.
test-faults: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/faults tests/bad_inputs tests/security tests/ops/test_kernels.py \
	  tests/training/test_launch.py tests/tasks/annotation/test_shared_query.py --faults full
	OMP_NUM_THREADS=1 $(BIN)/pytest -m promised --faults full

# Every notebook, one after the other.
test-notebooks: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/notebooks --durations=0

viz: $(VENV)/.dev
	$(BIN)/scm viz

# The site, in site/: every link and anchor is followed, a warning is an error (never with --quiet, which hides
# them from the count). The variable silences an advertisement.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# The wheel, in dist/; and the README's verbs with it alone, in an empty environment and an empty folder (minutes).
wheel: $(VENV)/bin/python
	rm -rf dist
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

wheel-test: wheel
	rm -rf build/wheel build/verbs && $(PYTHON) -m venv build/wheel
	build/wheel/bin/pip install --quiet --upgrade pip
	build/wheel/bin/pip install --quiet '$(TORCH)'
	build/wheel/bin/pip install --quiet $(PINS) dist/*.whl
	build/wheel/bin/python -I tests/installed.py README.md build/verbs

# The image for CPU: what it finds, and a pipeline of a new project on simulated cells. `make ENGINE=podman image-test`.
image-test:
	$(ENGINE) build --tag scm .
	$(ENGINE) run --rm scm doctor
	$(ENGINE) run --rm --entrypoint sh scm -c 'scm init /tmp/try && cd /tmp/try && scm run --pipeline annotation --env test'

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14) and "Python 3.11 to 3.14 is needed: make PYTHON=python3.12 run")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip

$(VENV)/.core: $(VENV)/bin/python pyproject.toml $(CONSTRAINTS)
	$(BIN)/pip install --quiet '$(TORCH)'
	$(BIN)/pip install --quiet $(PINS) -e .
	touch $@

$(VENV)/.dev: $(VENV)/.core
	$(BIN)/pip install --quiet $(PINS) -e '.[dev]'
	touch $@

$(VENV)/.docs: $(VENV)/.core
	$(BIN)/pip install --quiet $(PINS) -e '.[docs]'
	touch $@

$(VENV)/.extras: $(VENV)/.dev
	rm -rf build/extras && $(BIN)/python -m venv build/extras
	$(BIN)/python -c 'import site; print(site.getsitepackages()[0])' \
	  > $$(build/extras/bin/python -c 'import site; print(site.getsitepackages()[0])')/development.pth
	build/extras/bin/pip install --quiet $(PINS) -e '.[metrics,perturbation,scvi]'
	touch $@

# Resolve everything anew and write the constraints: names and versions only.
lock:
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet --upgrade pip
	.venv-lock/bin/pip install --quiet '$(TORCH)'
	.venv-lock/bin/pip install --quiet -e '.[dev,census,distributed,metrics,perturbation,scvi,tensorboard]'
	.venv-lock/bin/pip list --format=freeze --exclude-editable --exclude pip \
	  | sed 's/+cpu$$//' | LC_ALL=C sort -f > $(CONSTRAINTS)
	rm -rf .venv-lock

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
