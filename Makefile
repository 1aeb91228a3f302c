# `make claims` and `make test` set up all they need; a virtual environment in .venv is made once.

PYTHON ?= python3
PROFILE ?= standard
SEED ?= 0
JOBS ?= 2
REPORT ?= report
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready

.PHONY: claims test coverage lint bench demo docs clean

claims: $(READY)
	$(RUN) -m claimbench run claims --with-controls --profile $(PROFILE) --seed $(SEED) --jobs $(JOBS) \
		--report $(REPORT) --junitxml $(REPORT)/junit.xml -p no:cacheprovider -q

test: $(READY)
	OMP_NUM_THREADS=1 $(RUN) -m pytest tests -n $(JOBS)

# Every branch of what makes a verdict of replicates must be taken by these tests. Coverage starts before pytest, whose plugin
# loads a part of it.
JUDGING := claimbench.statistics,claimbench.verdict,claimbench.running.judging
JUDGED := tests/statistics tests/unit/test_verdict.py tests/unit/test_judging.py
coverage: $(READY)
	OMP_NUM_THREADS=1 $(RUN) -m coverage run --branch --source=$(JUDGING) --data-file=build/coverage \
		-m pytest $(JUDGED) --hypothesis-seed=0 -p no:cacheprovider -q
	$(RUN) -m coverage report --data-file=build/coverage --show-missing --skip-covered --fail-under=100

# The peers come with the extra `bench`. QUICK=1 takes smaller shapes.
bench: $(READY)
	$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[bench]"
	$(RUN) -P benchmarks/bench.py $(if $(QUICK),--quick)

# A small language model learns to copy and loses it again: each of its checkpoints is judged, and the last one is held against the
# good one, which fails as it would in CI. This target succeeds where that gate failed (docs/demonstration.md).
SERIES := fixtures/series/language-demonstration
GATED := claims/load_bearing/test_heads.py
GOOD := 1200
BAD := 1500
demo: PROFILE = smoke
demo: $(READY)
	$(RUN) -m claimbench run $(GATED) --checkpoints $(SERIES) --profile $(PROFILE) --seed $(SEED) --jobs $(JOBS) \
		--fail-on never --report $(REPORT) -p no:cacheprovider -q
	@echo; echo "The gate: step $(BAD) in the place of step $(GOOD)"
	$(RUN) -m claimbench compare $(REPORT) $(REPORT) --match step-$(GOOD)=step-$(BAD); \
		code=$$?; echo "exit code $$code"; test $$code -eq 1

# The documentation as a site that opens from a folder: build/site/index.html
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --quiet

lint: $(READY)
	$(RUN) -m ruff check harness claims fixtures tests conftest.py
	$(RUN) -m mypy

clean:
	rm -rf $(VENV) .claimbench $(REPORT) build *.egg-info

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "claimbench needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt "torch==$$(sed -n 's/^torch==//p' constraints.txt)"
	$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $@
