# make report                   set up, fetch, run the notebooks on the committed records, build the PDF
# make report PROFILE=quick     the same in miniature, trained on this machine
# make test                     unit tests, the whole pipeline on made-up images, the notebooks
# make test-attacks             kills, interruptions, lost workers: what a record, a search and the PDF survive
# make test-lab                 JupyterLab in a browser: all cells run, each control moved
# make test-recipes             docs/extend.md followed to the letter, through notebooks, report and site
# make lab                      JupyterLab, on a page that lists the notebooks
# make html                     the notebooks as a small site, from their stored outputs
# make badges                   badges and links for the address in pyproject.toml
# make clean                    remove build/: other profiles' results, checkpoints of unfinished trainings

PROFILE ?= full
PYTHON ?= python3
# A variable as it was given, between bars, so that a blank counts (build/smoke /steps would be two paths), and a $ is no
# command of make.
given = $(if $(filter 1,$(words |$(value $1)|)),|$(value $1)|,several words)
$(if $(filter-out |smoke| |quick| |full|,$(call given,PROFILE)),$(error \
  PROFILE="$(value PROFILE)": choose from smoke, quick, full))

# The environment of environment.yml, where it is active; else a virtual environment in .venv.
ifeq ($(CONDA_DEFAULT_ENV),cifar-helpers)
BIN := $(value CONDA_PREFIX)/bin
SETUP :=
TEST_SETUP :=
else
BIN := $(CURDIR)/.venv/bin
SETUP := .venv/installed
TEST_SETUP := .venv/installed-test
endif
export PATH := $(BIN):$(value PATH)
COMMA := ,
# Absolute, since a notebook of JupyterLab or nbval runs in its own folder. By its value: a $ in the name is no command.
ifneq ($(value CIFAR_DATA),)
override CIFAR_DATA := $(if $(filter /% ~%,$(firstword $(value CIFAR_DATA))),,$(CURDIR)/)$(value CIFAR_DATA)
export CIFAR_DATA
endif
# Notebooks that do not need each other run side by side.
MAKEFLAGS += --jobs=2 --no-print-directory

RUN := python -m cifar_helpers
# The full profile shows what was trained by hand: a record that is added, removed or completed changes the time of its
# experiment's folder.
RECORDS := $(if $(filter full,$(PROFILE)),$(wildcard runs/*/.))
# A file per finished step, since a step of the full profile writes into its own source's folder.
STEPS := build/$(PROFILE)/steps
# The two that take longest come first.
NOTEBOOKS := 08_grad_cam 07_filters $(filter-out 07_% 08_%, $(basename $(notdir $(wildcard notebooks/[0-9]*.ipynb))))
CORES := $(shell getconf _NPROCESSORS_ONLN)
CODE := $(shell find cifar_helpers -name "*.py" -o -name "*.json")
# Of about 2.5 GB each, on a GPU too.
ifeq ($(origin WORKERS),undefined)
WORKERS := $(shell echo $$(($(CORES) < 4 ? $(CORES) : 4)))
endif
$(if $(filter-out $(shell seq -f '|%g|' 999),$(call given,WORKERS)),$(error \
  WORKERS="$(value WORKERS)": a whole number from 1 to 999))
PDF := $(if $(filter full,$(PROFILE)),,build/$(PROFILE)/)report/report.pdf

.PHONY: report test test-attacks test-lab test-recipes lab html badges clean
.DELETE_ON_ERROR:

# Recipes add to MADE. They begin with exec, where they would need a shell: one that is killed leaves its child alive.
report: $(PDF)
	@echo "made: $(or $(MADE),nothing; all was there)"
	@echo "the PDF: $(if $(NO_LATEX),not made,$$(ls $(PDF))); the notebooks: $(PDF:report/report.pdf=)notebooks/"
ifeq ($(PROFILE),full)
	@git status --short figures notebooks report runs 2>/dev/null | sed 's/^/not as committed: /'
endif

$(PDF): $(NOTEBOOKS:%=$(STEPS)/%) report/report.tex report/references.bib report/original_results.json
	$(eval NO_LATEX := $(shell report/install_latex.sh >&2 || echo yes))
	$(if $(NO_LATEX),,$(eval MADE += the PDF))
	@$(if $(NO_LATEX),echo "No PDF$(COMMA) all else is done: install" \
	latexmk texlive-latex-recommended texlive-latex-extra lmodern "(Debian's names) and run make report again",exec $(RUN) pdf --profile $(PROFILE))

# After the trainings, so that these have the machine for themselves.
$(STEPS)/%: notebooks/%.ipynb $(CODE) $(STEPS)/trainings
	$(eval MADE += $*)
	@echo "notebook $(words $(MADE)) of $(words $(NOTEBOOKS)): $*"
	@exec env OMP_NUM_THREADS=$$((($(CORES) + 1) / 2)) $(RUN) notebook $* --profile $(PROFILE)
	@touch $@

# Records are found by their config: this trains only what is missing. A process per core does more than all cores in
# one process. The full profile shows what has been run: its trainings
# take hours, and each is started by name.
$(STEPS)/trainings: $(CODE) $(RECORDS) $(STEPS)/data
ifneq ($(PROFILE),full)
	@$(RUN) train --profile $(PROFILE) --workers $(WORKERS)
	@$(RUN) search --profile $(PROFILE) --workers $(WORKERS)
endif
	@touch $@

$(STEPS)/data: $(SETUP)
	@mkdir -p $(STEPS)
	@$(RUN) data --profile $(PROFILE)
	@touch $@

.venv/installed .venv/installed-test: pyproject.toml requirements.lock
	@echo "$(@D): installing the packages of pyproject.toml, once; this takes minutes"
	@$(PYTHON) -m venv .venv
	@exec .venv/bin/python -m pip install --constraint requirements.lock --editable \
	  '.$(if $(findstring test,$@),[test$(COMMA)site])'
	@touch .venv/installed $@

# A process per core, up to four: the cells of a notebook, and tests that share a browser, stay in one of them.
SIDE_BY_SIDE := exec env OMP_NUM_THREADS=1 pytest --numprocesses=$(WORKERS)
test: $(TEST_SETUP)
	ruff check . && ruff format --check . && mypy && lint-imports --no-logo
	$(SIDE_BY_SIDE) --dist=loadgroup
	$(MAKE) report PROFILE=smoke
	export CIFAR_PROFILE=smoke; $(SIDE_BY_SIDE) --dist=loadscope --nbval-lax --nbval-current-env notebooks

# Processes that are killed again and again, and waited for: minutes, so not a part of `make test`.
test-attacks: $(TEST_SETUP)
	$(SIDE_BY_SIDE) --dist=loadgroup -m attack tests

# JupyterLab in a headless Chromium: minutes, so not a part of `make test`.
test-lab: $(TEST_SETUP)
	pytest -m lab

# What docs/extend.md adds, through notebooks, report and site: minutes, too.
test-recipes: $(TEST_SETUP)
	pytest -m recipes

# Jupyter wants to be told that root, as in a container, is meant.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
lab: $(SETUP)
	jupyter lab --LabApp.app_settings_dir=site/lab --LabApp.default_url=/lab/tree/notebooks/README.md $(AS_ROOT)

html: $(TEST_SETUP)
	sphinx-build -q -W -c site -b html -d build/site-cache . build/site
	@echo build/site/index.html

badges:
	$(PYTHON) site/badges.py

clean:
	rm -rf build
