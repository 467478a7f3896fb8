# Everything a contributor runs. `make` alone lists the targets, from the comments beside them.
# Nothing needs to be installed or activated first but Python 3.11+ and make: each target does its own set-up.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check
# Training data and FHIR samples, which are not part of the project (see CONTRIBUTING.md).
MHCDS_SHARED ?= $(abspath ../shared)
export MHCDS_SHARED
SURVEY := --nhanes "$(MHCDS_SHARED)/data/nhanes" --nhanes "$(MHCDS_SHARED)/data/nhanes-2017-2020"
# More words for pytest: make test ARGS="-k phq9 -x"
ARGS ?=
# A file to each process at a time: its servers start once. Long files come first (testpaths). The quick loop has a
# process a core; the whole suite one more, since its servers and browser are waited for.
SIDE_BY_SIDE := --dist loadfile --no-loadscope-reorder
ONE_MORE = $$($(BIN)/python -c 'import os; print(1 + (os.cpu_count() or 1))')
# Without compiled files every process that the tests start would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

# The virtual environment is made anew when the lock, the interpreter or its own place changes, the clients of others
# beside it (for the tests; never on the path of anything else) when their lock does, and the project is installed anew
# when pyproject.toml changes; by content, since a checkout touches every file's time.
DEPS_KEY = $$(cksum < requirements/dev.txt) $$($(PYTHON) -c 'import sys; print(sys.version_info[:3], sys.base_prefix)') $(CURDIR)
CLIENTS_KEY = $$(cksum < requirements/clients.txt)
HEALTHCHAIN_KEY = $$(cksum < requirements/benchmark.txt)
PROJECT_KEY = $$(cksum < pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast fuzz fuzz-http reading-shapes defects bench check format lock train drop-folds evaluate transport golden trial-simulation site-years messages translations pictures gallery wheel clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## the virtual environment in .venv, from the hashed lock (the targets below call it)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		found=$$(command -v $(PYTHON) >/dev/null && $(PYTHON) --version || echo "not installed"); \
		echo "make setup: Python 3.11 or newer is needed; '$(PYTHON)' is $$found."; \
		echo "Install one, or name another: make setup PYTHON=python3.12"; exit 1; } >&2
	@if [ "$$(cat $(VENV)/.deps 2>/dev/null)" != "$(DEPS_KEY)" ]; then \
		$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
			echo "make setup: $(PYTHON) lacks venv or ensurepip; on Debian and Ubuntu: apt-get install python3-venv"; \
			exit 1; } >&2; \
		echo "Making $(VENV) and installing the locked dependencies (about 350 MB to download, once) ..."; \
		$(PYTHON) -m venv --clear $(VENV) && \
		$(PIP_INSTALL) --require-hashes --only-binary :all: -r requirements/dev.txt && \
		echo "$(DEPS_KEY)" > $(VENV)/.deps || exit 1; \
	fi
	@if [ "$$(cat $(VENV)/.clients 2>/dev/null)" != "$(CLIENTS_KEY)" ]; then \
		rm -rf $(VENV)/clients && \
		$(PIP_INSTALL) --no-deps --no-compile --target $(VENV)/clients --require-hashes --only-binary :all: \
			-r requirements/clients.txt && \
		echo "$(CLIENTS_KEY)" > $(VENV)/.clients || exit 1; \
	fi
	@if [ "$$(cat $(VENV)/.project 2>/dev/null)" != "$(PROJECT_KEY)" ]; then \
		$(PIP_INSTALL) --no-deps --no-index --no-build-isolation --editable . && \
		echo "$(PROJECT_KEY)" > $(VENV)/.project || exit 1; \
	fi

demo: setup ## the service with a small demo EHR on loopback, and real cards; Ctrl-C ends it
	@$(BIN)/mhcds demo $(ARGS)

test-fast: setup ## the tests without servers and browser, about six minutes (ARGS="..." adds words for pytest)
	$(BIN)/python -m pytest -n auto $(SIDE_BY_SIDE) tests/property tests/contract tests/unit tests/clinical tests/architecture $(ARGS)

test: setup ## the whole test suite, about half an hour on two cores
	$(BIN)/python -m pytest -n $(ONE_MORE) $(SIDE_BY_SIDE) $(ARGS)

check: setup ## format, lint, types, import contracts, language, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q tests/architecture/test_language.py tests/architecture/test_spelling.py

format: setup ## rewrite the sources in the agreed format, with the lints that mend themselves
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

lock: ## choose versions anew into requirements/ (releases at least a week old)
	@test -x .venv-lock/bin/uv || { $(PYTHON) -m venv --clear .venv-lock && \
		.venv-lock/bin/python -m pip install --disable-pip-version-check --require-hashes --only-binary :all: \
			-r requirements/lock.txt; }
	.venv-lock/bin/uv pip compile --upgrade --quiet pyproject.toml --extra train --extra monitor --extra noise --group dev -o requirements/dev.txt
	.venv-lock/bin/uv pip compile --upgrade --quiet pyproject.toml -c requirements/dev.txt -o requirements/serve.txt
	.venv-lock/bin/uv pip compile --upgrade --quiet --no-deps --group clients -o requirements/clients.txt
	.venv-lock/bin/uv pip compile --upgrade --quiet --group benchmark -o requirements/benchmark.txt
	.venv-lock/bin/uv pip compile --upgrade --quiet --group lock -o requirements/lock.txt

fuzz: setup ## spoil and read 200,000 sample charts (ARGS=number)
	PYTHONPATH=. $(BIN)/python tests/mutations.py $(or $(ARGS),200000)

defects: setup ## plant defects one at a time and see which test notices (ARGS="words of one", --write for docs/generated/defects.md)
	PYTHONPATH=. $(BIN)/python tests/defects.py $(ARGS)

fuzz-http: setup ## make 100,000 HTTP calls, spoiled and drawn from /openapi.json (ARGS="number first-seed")
	PYTHONPATH=. $(BIN)/python -u tests/http_fuzz.py $(or $(ARGS),100000)

reading-shapes: setup ## write one answer about self-harm in 50,000 shapes, and see that none meets silence (ARGS="number seed")
	PYTHONPATH=. $(BIN)/python tests/reading_shapes.py $(or $(ARGS),50000)

bench: setup ## what a hook call costs beside a reference, on SQLite and PostgreSQL (ARGS="--quick", a minute; docs/benchmarks.md)
	@if [ "$$(cat $(VENV)/.healthchain 2>/dev/null)" != "$(HEALTHCHAIN_KEY)" ]; then \
		$(BIN)/python -m venv --clear $(VENV)/healthchain && \
		$(VENV)/healthchain/bin/python -m pip install --disable-pip-version-check --quiet --require-hashes \
			--only-binary :all: -r requirements/benchmark.txt && \
		$(VENV)/healthchain/bin/python -c 'import healthchain' && \
		echo "$(HEALTHCHAIN_KEY)" > $(VENV)/.healthchain || \
		{ echo "make bench: HealthChain cannot be installed here"; rm -rf $(VENV)/healthchain; }; \
	fi
	PYTHONPATH=.:tests $(BIN)/python -m benchmark $(ARGS)

train: setup ## train both models from $MHCDS_SHARED/data/nhanes and nhanes-2017-2020 into models/artifacts
	$(BIN)/mhcds train $(SURVEY) --out models/artifacts $(ARGS)

drop-folds: setup ## delete the folds of a shipped version that stays beside a newer one (VERSION=2.0.0)
	@PYTHONPATH=. $(BIN)/python -m models.training.drop_folds $(VERSION)

evaluate: setup ## figures of the shipped models on the same survey folders
	$(BIN)/mhcds evaluate $(SURVEY) $(ARGS)

transport: setup ## how the shipped models rank people of NSDUH and YRBS: models/reports/transport.json and its page (after a training)
	$(BIN)/mhcds transport $(SURVEY) --surveys "$(MHCDS_SHARED)/data" --json models/reports/transport.json $(ARGS)
	MHCDS_REWRITE_GOLDEN=1 $(BIN)/python -m pytest -q tests/unit/models/test_transport_page.py

golden: setup ## rewrite the pages that tests hold to be generated (review the difference before committing)
	MHCDS_REWRITE_GOLDEN=1 $(BIN)/python -m pytest tests/clinical/test_reference_page.py tests/architecture/test_safety_case.py tests/unit/cds_service/test_demo_patients.py tests/unit/models/test_figures.py tests/unit/models/test_transport_page.py tests/unit/explanations/test_plots.py tests/unit/cds_service/test_card_texts.py tests/contract/test_data_needs.py tests/contract/test_discovery.py tests/contract/test_conformance.py tests/integration/test_alert_burden.py $(ARGS)

trial-simulation: setup ## 1,000 trials of each design whose true effect is known: docs/generated/trial-simulation.md (five minutes)
	PYTHONPATH=.:tests $(BIN)/python tests/trial_simulation.py --write $(ARGS)

site-years: setup ## what criteria say of made-up site-years, and when: docs/generated/site-years.md (two minutes)
	PYTHONPATH=.:tests $(BIN)/python tests/site_years.py --write $(ARGS)

messages: setup ## gather the texts for translators in the .pot files of explanations/locale and smart_launch/locale
	PYTHONPATH=.:tests $(BIN)/python tests/message_templates.py

translations: setup ## merge those texts into the .po files of every language; what is like an earlier text is marked fuzzy
	PYTHONPATH=.:tests $(BIN)/python tests/message_templates.py --update $(ARGS)

pictures: setup ## take the pictures of README and docs anew, from this build (needs Chromium; ARGS="names")
	PYTHONPATH=.:tests $(BIN)/python tests/pictures.py $(ARGS)

gallery: setup ## docs/gallery.html: every card, picture, form and patient page, live in one file (ARGS=--check: axe over each, four minutes)
	PYTHONPATH=.:tests $(BIN)/python tests/gallery.py $(ARGS)

wheel: setup ## build the distribution into dist/
	$(BIN)/python -m pip wheel --disable-pip-version-check --no-deps --no-index --no-build-isolation --wheel-dir dist .

clean: ## remove what the targets above made (not models/artifacts)
	rm -rf $(VENV) .venv-lock dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find cds_service explanations fhir_adapters models smart_launch tests -name __pycache__ -type d -prune -exec rm -rf {} +
