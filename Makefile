# Everything from nothing: the environment is made on first use and remade when pyproject.toml or constraints.txt change.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PDF ?= examples/R-intro.pdf
Q ?= Which function draws a histogram?
INDEX ?= .sharedllm-docs
TASK ?= pdfqa
LIMIT ?= 20
EVALUATE_ARGS ?=
QUICK ?=
BENCH_OUT ?= .cache/bench$(if $(QUICK),-quick)
BENCH_ARGS ?=
PYTEST_ARGS ?=
FUZZ_FORMATS ?=
FUZZ_SECONDS ?= 600
FUZZ_COUNT ?=
FUZZ_SEED ?= 0
FUZZ_OUT ?= .cache/fuzz
FAULT_KILLS ?= 1000
FAULT_EVERY ?= 1
FAULT_SEED ?= 0
# test workers, one thread each; WORKERS=0 runs everything in one process, as a debugger wants it
WORKERS ?= 2
PYTEST := -m pytest -n $(WORKERS) --dist worksteal

LLAMA_INDEX := integrations/llama-index-llms-sharedllm
LANGCHAIN := integrations/langchain-sharedllm
DATA := packages/sharedllm-docs-data

# no target leaves a process behind that keeps a model in memory; `make ask SHAREDLLM_DOCS_STAY=10m` does
export SHAREDLLM_DOCS_STAY ?= 0

.PHONY: help env ask serve test test-fast test-data test-integrations fuzz faults notebooks lint types docs site figures bench train-tiny evaluate clean

help:
	@echo "make ask [PDF=file] [Q=question]  ask a PDF: environment, model, ingestion, cited answer"
	@echo "make serve [PDF=file]              the page, with a PDF to ask: environment, model, server"
	@echo "make test                         all tests (environment and models fetched on first use)"
	@echo "make test-fast                    tests without the real models"
	@echo "make test-data                    tests of the data distribution alone (make test runs them too)"
	@echo "make test-integrations            tests of the LlamaIndex and LangChain distributions"
	@echo "make fuzz [FUZZ_FORMATS=pdf,docx] [FUZZ_SECONDS=600 | FUZZ_COUNT=n] [FUZZ_SEED=0]  mutated files for the readers"
	@echo "make faults [FAULT_KILLS=1000] [FAULT_EVERY=1]  kills ingestion, flips every byte of an index"
	@echo "make notebooks                    execute all notebooks"
	@echo "make lint types                   ruff, mypy"
	@echo "make docs                         generate docs/cli.md"
	@echo "make site                         build the documentation site into site/"
	@echo "make figures                      measure the README's figures"
	@echo "make bench [QUICK=1] [BENCH_ARGS=...]  time, memory and disk side by side with peers (docs/performance.md)"
	@echo "make train-tiny                   a tiny random model learns passkey retrieval through injection"
	@echo "make evaluate [TASK=pdfqa] [LIMIT=20] [EVALUATE_ARGS=...]  a table of systems"

env: $(VENV)/.complete

$(VENV)/.complete: pyproject.toml constraints.txt $(LLAMA_INDEX)/pyproject.toml $(LANGCHAIN)/pyproject.toml $(DATA)/pyproject.toml
	@echo "Making the environment in $(VENV): torch and the other packages take some minutes." >&2
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--editable '.[dev]' --editable '$(LLAMA_INDEX)' --editable '$(LANGCHAIN)[test]' --editable '$(DATA)'
	@touch $@

# editable installs note the version, which stands here
$(VENV)/.complete: sharedllm_docs/version.py

ask: env
	@$(BIN)/sharedllm-docs ask "$(Q)" --file "$(PDF)" --index "$(INDEX)"

serve: env
	@$(BIN)/sharedllm-docs add "$(PDF)" --index "$(INDEX)" --lazy
	@$(BIN)/sharedllm-docs serve --index "$(INDEX)" --open

test: env
	$(BIN)/python $(PYTEST) $(PYTEST_ARGS)

test-fast: env
	$(BIN)/python $(PYTEST) -m "not e2e and not slow" $(PYTEST_ARGS)

test-data: env
	cd $(DATA) && $(abspath $(BIN))/python -m pytest $(PYTEST_ARGS)

test-integrations: export OMP_NUM_THREADS = 1
test-integrations: env
	$(BIN)/python $(PYTEST) $(LLAMA_INDEX)/tests $(PYTEST_ARGS)
	cd $(LANGCHAIN) && $(abspath $(BIN))/python $(PYTEST) $(PYTEST_ARGS)

# failures are kept in FUZZ_OUT; python tools/fuzz.py --replay FILE reads one again
fuzz: env
	$(BIN)/python tools/fuzz.py --formats "$(FUZZ_FORMATS)" --seconds $(FUZZ_SECONDS) --seed $(FUZZ_SEED) \
		--out "$(FUZZ_OUT)" $(if $(FUZZ_COUNT),--count $(FUZZ_COUNT))

faults: export OMP_NUM_THREADS = 1
faults: env
	$(BIN)/python tools/faults.py kills --count $(FAULT_KILLS) --seed $(FAULT_SEED)
	$(BIN)/python tools/faults.py flips --every $(FAULT_EVERY) --seed $(FAULT_SEED)

notebooks: env
	$(BIN)/python notebooks/run.py --check --at-once 2

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: env
	$(BIN)/mypy
	cd $(LLAMA_INDEX) && $(abspath $(BIN))/mypy
	cd $(LANGCHAIN) && $(abspath $(BIN))/mypy
	cd $(DATA) && $(abspath $(BIN))/mypy

docs: env
	$(BIN)/python -m sharedllm_docs.cli.help docs/cli.md

# the banner that is switched off is noted in docs/dependencies.md
site: env
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

figures: env
	$(BIN)/python benchmarks/readme_figures.py

# a call that is stopped goes on where it was; QUICK=1 takes under five minutes
bench: env
	$(BIN)/python benchmarks/bench.py --out "$(BENCH_OUT)" $(if $(QUICK),--quick) $(BENCH_ARGS)
ifeq ($(QUICK)$(BENCH_ARGS),)
	$(BIN)/python benchmarks/bench.py --out "$(BENCH_OUT)" --tables m,beta,depth
	$(BIN)/python benchmarks/bench.py --out "$(BENCH_OUT)" --growth
endif

train-tiny: env
	@$(BIN)/sharedllm-docs train-tiny

evaluate: env
	$(BIN)/sharedllm-docs evaluate $(TASK) --limit $(LIMIT) $(EVALUATE_ARGS)

clean:
	rm -rf $(VENV) site .mypy_cache .ruff_cache .pytest_cache
