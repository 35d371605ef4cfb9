# The targets are implemented in tools/, which also works without make.
.DEFAULT_GOAL := help
.PHONY: help run test test-fast format chaos fuzz setup lint docs build bench bench-quick clean distclean

PORT ?= 8000
BIND ?= 127.0.0.1
export PORT BIND

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1	\2/p' Makefile | \
		while IFS='	' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

run: ## Set up and run the web chat (PORT=8000 BIND=127.0.0.1)
	@tools/run.sh

test: ## Set up everything and run all checks and tests
	@tools/check.sh all

test-fast: ## Run the quick daily tests: in memory, without a browser, under 90 s
	@tools/check.sh fast

format: ## Format all Python code and apply the linter's automatic fixes
	@tools/check.sh format

chaos: ## Run random scenarios with faults for CHAOS_MINUTES (10) and check the results
	@tools/chaos.sh

fuzz: ## Attack a service with random bytes and packets for FUZZ_MINUTES (10), and print the findings
	@tools/fuzz.sh

setup: ## Set up everything for development and tests
	@tools/setup.sh dev

lint: ## Run the linters and type checks only
	@tools/check.sh lint

docs: ## Build the documentation into build/docs
	@tools/check.sh docs

build: ## Build wheel and sdist into build/dist
	@tools/check.sh build

bench: ## Compare the service with its peers, about 25 minutes
	@tools/bench.sh

bench-quick: ## Benchmark a subset, about 2 minutes
	@tools/bench.sh --quick

clean: ## Remove outputs and caches
	@tools/clean.sh

distclean: ## Also remove everything that set-up installed
	@tools/clean.sh all
