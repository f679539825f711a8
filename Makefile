# The one front door. `make` alone lists what there is.
#
# run, demo and ui need Rust and Node 20; test and bench install what else they need (Debian-like systems).

SHELL := /bin/bash
.DEFAULT_GOAL := help

# Kept outside the checkout in CI, so that the next run finds it. See scripts/env.sh.
.PHONY: help run demo test test-fast lint ui e2e bench fuzz setup clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ui ## build the page and the program, and start everything on local addresses
	@scripts/run.sh

demo: ## drive a running weir with realistic traffic (DEMO="--rate 50 --count 1000")
	@scripts/demo.sh $(DEMO)

test: ## install what tests need, then run everything: lints, unit, property, end-to-end, browser
	@scripts/test.sh

test-fast: ## Rust tests only
	@scripts/cargo.sh test --workspace

lint: ## formatting, clippy, dependency rules, types of the page
	@scripts/lint.sh

ui: ## build the page into ui/dist
	@scripts/ui.sh build

e2e: ## the page in Chromium against a real weir
	@scripts/e2e.sh

bench: ## benchmarks, and CPU per request beside nginx and haproxy
	@scripts/bench.sh

fuzz: ## hostile input for a minute per target (FUZZ_SECONDS=60)
	@scripts/fuzz.sh

setup: ## install what tests and benchmarks need, nothing else
	@scripts/setup.sh test bench

clean: ## remove what was built (the data folder stays)
	@scripts/cargo.sh clean
	@rm -rf ui/dist ui/node_modules
