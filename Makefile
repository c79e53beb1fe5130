# Everything runs in a virtual environment of its own, .venv; the targets install what is missing.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed
DEV_INSTALLED = $(VENV)/.dev-installed

.PHONY: demo install test lint format bench bench-ingestion bench-speed bench-serving eval clean

demo: $(INSTALLED)  ## ask the sample documents a question in Chinese and one in English
	$(BIN)/kb demo

install: $(INSTALLED)  ## only set up .venv

test: $(DEV_INSTALLED)  ## run all tests
	$(BIN)/python -m pytest -m "not alone" --numprocesses 2 --dist loadfile --no-loadscope-reorder
	$(BIN)/python -m pytest -m alone

lint: $(DEV_INSTALLED)  ## style, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --verbose

format: $(DEV_INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV_INSTALLED)  ## the figures that the README names
	$(BIN)/python tests/benchmarks/foundation.py

bench-ingestion: $(DEV_INSTALLED)  ## the tables of docs/ingestion.md; takes a quarter of an hour
	$(BIN)/python tests/benchmarks/ingestion.py

bench-speed: $(DEV_INSTALLED)  ## docs/speed.md: language models beside the plain libraries; takes half an hour
	$(BIN)/python tests/benchmarks/speed.py

bench-serving: $(DEV_INSTALLED)  ## a running server: search beside an answer, memory, its end; takes two minutes
	$(BIN)/python tests/benchmarks/serving.py

eval: $(DEV_INSTALLED)  ## docs/quality.md: how good retrieval, answers and refusals are; takes some minutes
	$(BIN)/python tests/benchmarks/quality.py

clean:
	rm -rf $(VENV)

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(BIN)/pip install --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

$(DEV_INSTALLED): $(INSTALLED)
	$(BIN)/pip install --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $@
