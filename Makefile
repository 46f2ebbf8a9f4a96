# make report [PROFILE=quick]   set up, fetch, train what is missing, run the notebooks, build the PDF
# make test                     unit tests, the whole pipeline on made-up images, the notebooks
# make lab                      JupyterLab
# make publish [PROFILE=quick]  copy a profile's results to where they are committed
# make clean                    remove build/: every result but the committed ones

PROFILE ?= quick
PYTHON ?= python3
$(if $(filter $(PROFILE),smoke quick full),,$(error PROFILE=$(PROFILE): choose from smoke, quick, full))

# The environment of environment.yml, where it is active; else a virtual environment in .venv.
ifeq ($(CONDA_DEFAULT_ENV),cifar-helpers)
BIN := $(CONDA_PREFIX)/bin
SETUP :=
else
BIN := $(CURDIR)/.venv/bin
SETUP := .venv/installed
endif
export PATH := $(BIN):$(PATH)
# Notebooks that do not need each other run side by side.
MAKEFLAGS += --jobs=2 --no-print-directory

RUN := python -m cifar_helpers
# A file per finished step, since a step of the full profile writes into its own source's folder.
STEPS := build/$(PROFILE)/steps
NOTEBOOKS := $(basename $(notdir $(wildcard notebooks/[0-9]*.ipynb)))
CODE := $(wildcard cifar_helpers/*.py cifar_helpers/*.json cifar_helpers/models/*.py)
PDF := $(if $(filter full,$(PROFILE)),,build/$(PROFILE)/)report/report.pdf

.PHONY: report test lab publish clean
.DELETE_ON_ERROR:

report: $(PDF)

$(PDF): $(NOTEBOOKS:%=$(STEPS)/%) report/report.tex report/references.bib report/original_results.json
	@if report/install_latex.sh; then $(RUN) pdf --profile $(PROFILE); \
	else echo "No PDF, all else is done: install latexmk texlive-latex-recommended texlive-latex-extra lmodern" \
	     "(Debian's names) and run make report again"; fi

# After the trainings, which run alone: their seconds are results.
$(STEPS)/%: notebooks/%.ipynb $(CODE) $(STEPS)/table_1
	$(RUN) notebook $* --profile $(PROFILE)
	@touch $@

# Records are found by their config: this trains only what is missing.
$(STEPS)/table_1: $(CODE) $(STEPS)/data
	$(RUN) train table_1 --profile $(PROFILE)
	@touch $@

$(STEPS)/data: $(SETUP)
	@mkdir -p $(STEPS)
	$(RUN) data --profile $(PROFILE)
	@touch $@

.venv/installed: pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --constraint requirements.lock --editable '.[test]'
	@touch $@

# One after the other: tests that measure, and two CPU cores.
test: $(SETUP)
	pytest
	$(MAKE) report PROFILE=smoke
	CIFAR_PROFILE=smoke pytest --nbval-lax --nbval-current-env notebooks

lab: $(SETUP)
	jupyter lab notebooks

publish: $(SETUP)
	$(RUN) publish --profile $(PROFILE)

clean:
	rm -rf build
