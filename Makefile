# Two commands on a fresh machine: `make demo` runs the small study, `make test` the tests.
PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
DEMO := $(VENV)/bin/snakemake --cores all --configfile config/demo.yaml
DEMO_REPORT := results/demo/report.html

.PHONY: demo test gpu-test soak schedules check format docs drawings clean help

help:
	@echo "make demo    from photographs to results/demo/report.html, no GPU, no downloads of weights"
	@echo "make test    all tests"
	@echo "make soak    hours of killed runs, damaged files and made-up inputs"
	@echo "make schedules  after the demo: an avatar by each schedule of editing, beside its true edit"
	@echo "make check   linters, formatters and types, without changing anything"
	@echo "make format  let the formatters rewrite the code"
	@echo "make docs    the site of README.md and docs/, into site/; broken links are errors"

demo: $(INSTALLED)
	$(DEMO)
	@$(MAKE) --no-print-directory $(DEMO_REPORT)
	@echo "Open $(DEMO_REPORT) in a browser."

# The report embeds the figures and tables, so it is made again only when one of them is newer.
$(DEMO_REPORT): $(wildcard report/* results/demo/plots/* results/demo/plots/*/* results/demo/tables/*)
	$(DEMO) --report $@ --report-stylesheet report/report.css

# Files side by side, one test process a core, four at most: each takes up to 3 GB. One thread in
# each, as more would only wait for each other. In the order of tests/conftest.py.
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(VENV)/bin/pytest $(SIDE_BY_SIDE)

# On a machine with a CUDA device: what the CPU tests skip. gsplat compiles once, in a minute or two.
gpu-test: $(INSTALLED)
	$(VENV)/bin/pytest -m gpu $(SIDE_BY_SIDE)

# Hours of kills and damaged files; KILLS says how many kills. The counts are printed.
KILLS ?= 1000
soak: $(INSTALLED)
	HEADSTYLE_KILLS=$(KILLS) $(VENV)/bin/pytest -m soak -s tests/faults tests/slurm \
		tests/workflow/test_data_set_folders.py

# After the demo. It takes some minutes.
schedules: $(INSTALLED)
	$(VENV)/bin/python benchmarks/schedules.py results/demo/A/avatars/P3_low

check: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/snakefmt --check Snakefile workflow rules
	# A minute the first time; then only what has changed.
	$(VENV)/bin/mypy
	$(VENV)/bin/snakemake --lint --configfile config/demo.yaml

format: $(INSTALLED)
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .
	$(VENV)/bin/snakefmt Snakefile workflow rules

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict
	@echo "Open site/index.html in a browser."

# After a change of imports or rules: the drawings in docs/ are made from the code.
drawings: $(INSTALLED)
	$(VENV)/bin/python docs/draw_architecture.py

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| (echo "headstyle needs Python 3.11 or newer; call make PYTHON=python3.12" && exit 1)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	# What compiles when it is first used, jobs side by side would all compile.
	$(VENV)/bin/python -c 'import rembg'
	$(VENV)/bin/python -m headstyle.workflow.compile_kernels
	touch $(INSTALLED)

clean:
	rm -rf results .snakemake site
