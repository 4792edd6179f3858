# Everything here sets up what it needs; nothing but python3 (3.11 or newer), pip, git and make is expected.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help
help: ## Show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

$(VENV)/.ready: constraints.txt pyproject.toml dev/bootstrap.py
	$(PYTHON) dev/bootstrap.py $(VENV) constraints.txt

.PHONY: setup
setup: $(VENV)/.ready ## Make the virtual environment

.PHONY: demo
demo: setup ## Run the example DAGs in a real Airflow against the sandbox
	$(RUN) dev/demo.py

.PHONY: test
test: check ## Check, and run all tests with coverage
	$(RUN) -m pytest --numprocesses 2 --dist worksteal --cov --cov-report term-missing:skip-covered

.PHONY: check
check: setup ## Lint, check formatting and types
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy

.PHONY: bench
bench: setup ## Measure imports and calls against HttpOperator and requests
	$(RUN) -m benchmarks --figure docs/images/benchmark.svg

.PHONY: e2e
ifeq ($(AIRFLOW),3.4)
e2e:
	$(PYTHON) -m dev.e2e.install .venv-e2e-3.4 dev/matrix/constraints-airflow-3.4.0b2.txt
	.venv-e2e-3.4/bin/python -m dev.e2e.waiting_run
else
e2e: ## Run the built wheel in a whole Airflow, and look at its pages; ENGINE=celery, AIRFLOW=3.4: what is special there
	$(PYTHON) -m dev.e2e.install .venv-e2e
	.venv-e2e/bin/python -m dev.e2e$(if $(filter celery,$(ENGINE)),.celery_run)
endif

.PHONY: mutants
mutants: setup ## Break the package in many ways, and see a test fail for each
	$(RUN) dev/mutants.py

.PHONY: docs
docs: setup ## Build the documentation into build/docs; a warning is an error
	$(RUN) -m sphinx --fail-on-warning --keep-going --quiet -d build/doctrees docs build/docs

.PHONY: docs-preview
docs-preview: docs ## Build the documentation, and show it on http://127.0.0.1:8000
	$(RUN) -m http.server --bind 127.0.0.1 --directory build/docs 8000

.PHONY: lock
lock: ## Renew constraints.txt (for maintainers; pip install uv)
	uv pip compile pyproject.toml --extra testing --group dev --universal --no-header --no-annotate \
		--python-version 3.11 --upgrade --output-file constraints.txt

.PHONY: matrix
matrix: setup ## Run the tests on every supported Airflow and Python (some: ROWS="3.1.0-py3.11 ...")
	$(RUN) -m nox $(if $(ROWS),--session $(ROWS) table)

.PHONY: pins
pins: ## Renew the pins of `make matrix` (for maintainers; pip install uv)
	$(PYTHON) -m dev.matrix.pins

.PHONY: clean
clean: ## Remove everything that the commands above have made
	rm -rf $(VENV) .venv-* .airflow-* .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -rf build/docs build/doctrees
