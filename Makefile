SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

# nothing is found but what the project declares, whatever else this machine has
export PATH := $(or $(shell python3 -m hack path),$(error this needs Python 3.11 or newer as python3))

BIN := .venv/bin
MODEL ?=
PYTEST := $(BIN)/pytest
PACKAGES := tandem_contract tandem_operator tandem_orchestrator

.PHONY: help
help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Cluster, images, operator, one LLMService, a chat and a tool call (MODEL=org/name for one from Hugging Face)
	@python3 -m hack demo $(if $(MODEL),--model $(MODEL))

.PHONY: up
up: ## Start the local cluster (kind where Docker answers, else plain processes)
	@python3 -m hack up

.PHONY: down
down: ## Stop the local cluster and undo all that it changed on this machine
	@python3 -m hack down

.PHONY: images
images: ## Build the images and load them into the running cluster
	@python3 -m hack images

.PHONY: test
test: lint verify test-python test-compiled test-integration test-e2e ## Everything, on a real cluster at the end

.PHONY: test-fast
test-fast: venv ## Unit, golden and chart tests: no cluster, under 30 seconds
	@python3 -m hack tools helm openssl > /dev/null
	@$(PYTEST) -q -n logical --dist worksteal tests/unit tests/golden

.PHONY: test-python
test-python: venv
	@python3 -m hack tools chromium curl helm moto_server openssl redis-server > /dev/null
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q -n logical --dist worksteal tests/unit tests/golden tests/sockets
	@$(BIN)/coverage combine -q
	@echo "lines and branches that these tests pass, in percent (.venv/bin/coverage report -m lists the others):"
	@for package in $(PACKAGES); do \
	    $(BIN)/coverage report --include="*/$$package/*" --format=total --fail-under=0 | xargs echo "  $$package"; done
	@$(BIN)/coverage report --format=total | xargs echo "  all"

.PHONY: test-compiled
test-compiled: venv ## The orchestrator's tests once more, compiled as in its image
	@python3 -m hack tools chromium curl moto_server openssl redis-server > /dev/null
	@compiled=$$(python3 -m hack compiled) && PYTHONPATH=$$compiled $(PYTEST) -q -n logical --dist worksteal tests/sockets

.PHONY: test-integration
test-integration: venv ## The operator on a real API server (no root)
	@python3 -m hack tools etcd helm kube-apiserver kubectl openssl > /dev/null
	@$(PYTEST) -q -n 2 --dist loadfile --no-loadscope-reorder tests/integration

.PHONY: test-e2e
test-e2e: venv ## The demo path and its faults on the real cluster
	@python3 -m hack e2e

.PHONY: test-rollouts
test-rollouts: venv ## No request lost in 20 updates of an engine and 10 deaths; bad engines; what else is long: two hours
	@TANDEM_LONG_RUN=1 python3 -m hack e2e -- -k "no_request_lost or bad_engine or hang or model_cache or tool_calling"

.PHONY: bench
bench: venv ## How fast the orchestrator is, beside nginx: about 7 minutes on a quiet machine, writes bench/RESULTS.md
	@python3 -m hack tools nginx redis-server > /dev/null
	@$(BIN)/python -m bench

.PHONY: lint
lint: venv ## ruff, mypy and the import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy contract/tandem_contract operator/tandem_operator orchestrator/tandem_orchestrator examples hack tests
	@$(BIN)/lint-imports

.PHONY: format
format: venv ## Let ruff format and mend what it can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: generate
generate: venv ## Write again what is generated: CRD, install.yaml, reference
	@hack/generate

.PHONY: verify
verify: venv ## Fail where a generated file is stale
	@hack/verify

.PHONY: lock
lock: ## Pin the Python dependencies (hack/lock --upgrade renews them)
	@hack/lock

.PHONY: venv
venv:
	@hack/venv
