# Everything people do with this repository, each first thing on a fresh clone. `make` alone lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
# The tried set of versions. `make setup CONSTRAINTS=` takes what pip resolves from pyproject.toml instead.
CONSTRAINTS ?= constraints.txt
STUDY ?= digits
# Two tests at a time, those of a file one after the other: most wait for processes more than they compute.
BESIDE := -n 2 --dist loadfile
BIN := $(VENV)/bin
READY := $(VENV)/.ready

export SWEEP_HOME ?= runs
export RAY_USAGE_STATS_ENABLED ?= 0
export MLFLOW_DISABLE_TELEMETRY ?= true

.PHONY: help setup sweep claims plan trial ui report test chaos check bench lint types readme

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(READY) ## create .venv and install (done by the other targets when needed)

$(READY): pyproject.toml $(CONSTRAINTS)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(CONSTRAINTS),-c $(CONSTRAINTS)) -e '.[dev]'
	@touch $(READY)

sweep: $(READY) ## run a study, or go on with it (STUDY=name or path; default digits)
	@$(BIN)/python -m sweeps run $(STUDY) $(ARGS)

claims: $(READY) ## test the claims of the sources again (CLAIMS="Z1 C3"; default all), and write results/RESULTS.md
	@$(BIN)/python -m sweeps claims $(CLAIMS) $(ARGS)

plan: $(READY) ## what a study would run, and its cost
	@$(BIN)/python -m sweeps plan $(STUDY) $(ARGS)

trial: $(READY) ## one trial in this process (ALPHA=0.4 EPOCHS=5 WIDTH=.. DROPOUT=.. WEIGHT_DECAY=..)
	@$(BIN)/python -m sweeps trial $(if $(ALPHA),--set alpha=$(ALPHA)) $(if $(EPOCHS),--set epochs=$(EPOCHS)) \
	  $(if $(WIDTH),--set width=$(WIDTH)) $(if $(DROPOUT),--set dropout=$(DROPOUT)) \
	  $(if $(WEIGHT_DECAY),--set weight_decay=$(WEIGHT_DECAY)) $(ARGS)

ui: $(READY) ## serve MLflow on 127.0.0.1 and print the link of the study
	@$(BIN)/python -m sweeps ui $(STUDY) $(ARGS)

report: $(READY) ## rebuild the report of a study from the ledger
	@$(BIN)/python -m sweeps report $(STUDY) $(ARGS)

test: $(READY) ## the tests that need nothing but Python
	@$(BIN)/python -m pytest -q $(BESIDE)

chaos: $(READY) ## kill drivers, workers, machines and servers, five times as often as CI (needs root for networks)
	@CHAOS_ROUNDS=$${CHAOS_ROUNDS:-5} $(BIN)/python -m pytest -q -m chaos --timeout 2400 $(ARGS)

lint: $(READY)
	@$(BIN)/ruff check .

types: $(READY)
	@$(BIN)/mypy

check: lint types test ## lint, types and tests: what CI runs

bench: $(READY) ## this project beside its peers, same work, same run
	@$(BIN)/python -m benchmarks $(ARGS)

readme: $(READY) ## the numbers of README.md, from the last sweep and bench
	@$(BIN)/python -m benchmarks.readme
