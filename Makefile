# Wigo. `make help` lists what can be made.

SHELL       := /bin/bash
.SHELLFLAGS := -o pipefail -ec

CARGO    ?= cargo
DEV      := dev
# Where the agent of `make run` listens; without it, what ./dev/wigo.conf says (4000 at first).
PORT     ?=
# Probes that any user can run on any Linux host.
PROBES   := hardware_load_average hardware_memory hardware_disks check_uptime ifstat iostat

# What the build, the examples and the measurements need of Debian.
PACKAGES       := gcc libc6-dev make perl python3
BENCH_PACKAGES := wrk
FLEET_PACKAGES := iproute2

# How many clients the fleet has, and what is measured with it.
CLIENTS   ?= 10000
SCENARIOS ?=
FLEET     := grow $(CLIENTS) flood latency 1000 restart $(CLIENTS) down api 1000 pull 100

.DEFAULT_GOAL := help
.PHONY: help run release test lint fmt bench bench-fleet clean install-deps

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: install-deps release ## build and start a real agent of this machine, all its files in ./dev; Ctrl-C stops it
	@scripts/dev-setup '$(DEV)' '$(PORT)' $(PROBES)
	@exec target/release/wigo --config $(DEV)/wigo.conf

release: ## build target/release/{wigo,wigocli,wigo-probe,generate_cert}
	@$(CARGO) build --release --bins

test: install-deps ## run all tests
	@$(CARGO) test --lib --bins --tests 2>&1 | scripts/sum-tests

lint: ## check the format and let clippy look for mistakes
	@$(CARGO) fmt --check
	@$(CARGO) clippy --all-targets -- --deny warnings

fmt: ## format the source
	@$(CARGO) fmt

bench: ## measure what the agent costs (about 6 minutes; the machine should have nothing else to do)
	@scripts/install-packages $(BENCH_PACKAGES)
	@$(CARGO) bench --bench agent

bench-fleet: ## measure what a fleet costs its master; CLIENTS=N, SCENARIOS="steady 1000 flood" for some (about 10 minutes)
	@scripts/install-packages $(FLEET_PACKAGES)
	@$(CARGO) bench --bench fleet -- $(or $(SCENARIOS),$(FLEET))

clean: ## remove what was built and ./dev
	@$(CARGO) clean
	@rm -rf '$(DEV)'

install-deps:
	@scripts/install-packages $(PACKAGES)
