# `make` alone lists the targets: each is described behind its name.

VENV := .venv
BIN := $(VENV)/bin
# The newest Python is not always the default one; 3.11 is what everything is tested with.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PIP := $(BIN)/pip --disable-pip-version-check
ARGS ?=
# Processes that share the tests.
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup check fix test-deps test test-kill fuzz demo up bench bench-ingest bench-hl7 bench-draft check-quality golden docs demo-checkpoint evaluate-demo evaluate-adapter clean
.DELETE_ON_ERROR:

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/ready ## Build the environment in .venv (again only when its recipe changes)

$(VENV)/ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo 'Python 3.11 or newer is needed: apt-get install python3 python3-venv' >&2; exit 1; }
	@test -x $(BIN)/python || echo "making $(VENV) with $(PYTHON): a few minutes, once"
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@$(PIP) install -qq --constraint constraints.txt --editable '.[all,dev]'
	@touch $@

check: setup ## Lint, format, types and import rules: what every change must pass
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: setup ## Mend what ruff can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

test-deps: ## Install the foreign peers that the tests talk to (apt and npm)
	@deploy/test-deps.sh

test: setup test-deps ## Run the tests; ARGS="tests/unit -k lifecycle" for some of them, ARGS="-n 0" in one process
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal --reruns 1 -raR $(ARGS)

test-kill: setup ## Kill the node's processes while instances arrive; ARGS="--seeds 20 --instances 5000"
	PYTHONPATH=tests $(BIN)/python -m service.test_node_kill $(ARGS)

fuzz: setup ## Damaged associations for FUZZ_SECONDS=60 or more; ARGS="--replay FILE" for one again
	PYTHONPATH=tests $(BIN)/python -m fuzz.associations $(ARGS)

demo: setup ## A film goes in, a bilingual draft comes back; ARGS="--dicom PATH --out DIR"
	@$(BIN)/taqrir demo $(ARGS)

up: setup ## Run every part on this machine; ARGS="--config taqrir.toml"
	@$(BIN)/taqrir up $(ARGS)

bench: setup ## Measure: each file of tests/bench prints its figures
	@set -e; for file in tests/bench/bench_*.py; do \
		test -e "$$file" || { echo 'tests/bench holds no bench_*.py yet'; break; }; \
		echo "== $$file"; PYTHONPATH=tests $(BIN)/python -m "bench.$$(basename "$$file" .py)" $(ARGS); done

bench-ingest: setup ## Measure receiving beside DCMTK, Orthanc and pynetdicom; ARGS="--quick"
	@PYTHONPATH=tests $(BIN)/python -m bench.bench_ingest $(ARGS)

bench-hl7: setup ## Measure HL7 beside hl7apy's server and python-hl7's endpoint; ARGS="--quick"
	@PYTHONPATH=tests $(BIN)/python -m bench.bench_hl7 $(ARGS)

bench-draft: setup ## Measure drafting beside transformers' generate; ARGS="--cuda" on a GPU
	@PYTHONPATH=tests $(BIN)/python -m bench.bench_draft $(ARGS)

check-quality: setup ## Print precision and recall of each check of a draft over the written pairs
	@PYTHONPATH=tests/unit:. $(BIN)/python -m check_pairs.quality

golden: setup ## Write the golden files of the documents anew, after a change that was meant
	@PYTHONPATH=tests:tests/unit:. $(BIN)/python -m unit.document_forms $(ARGS)

docs: setup ## Check the pages against the code, and their links
	$(BIN)/pytest --quiet tests/unit/test_house.py $(ARGS)

demo-checkpoint: setup ## Make the demonstration checkpoint again
	nice -n 10 $(BIN)/python -m model.train.demo $(ARGS)

evaluate-demo: setup ## Measure the demonstration checkpoint on 500 phantoms; ARGS="--shown blank"
	@$(BIN)/taqrir model evaluate phantoms model/demo/checkpoint $(ARGS)

ADAPTER ?= var/site-adapter
HELD_OUT ?= 100
evaluate-adapter: setup ## Train an adapter on 200 reports of another manner and measure what it moves; HELD_OUT=100
	rm -rf $(ADAPTER)
	$(BIN)/taqrir phantom --style site --pictures --count 200 --size 160 --seed 900 --out $(ADAPTER)/data
	$(BIN)/taqrir model train --adapter --base model/demo/checkpoint --data $(ADAPTER)/data/conversations.jsonl \
		--variants 6 --epochs 6 --batch 16 --rate 7e-3 --rank 16 --alpha 32 --mixed-precision bf16 --out $(ADAPTER)/adapter
	$(BIN)/taqrir phantom --style site --unseen --count $(HELD_OUT) --seed 901 --out $(ADAPTER)/held-out
	for which in model/demo/checkpoint $(ADAPTER)/adapter; do \
		$(BIN)/taqrir model evaluate phantoms $$which --style site --seed 901 --count $(HELD_OUT) \
			--drafts $(ADAPTER)/$$(basename $$which).jsonl || exit; done
	$(BIN)/taqrir model evaluate reports $(ADAPTER)/held-out/truth.jsonl $(ADAPTER)/adapter.jsonl \
		--against $(ADAPTER)/checkpoint.jsonl

clean: ## Remove the environment and every cache
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis fuzz-failure.json
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
