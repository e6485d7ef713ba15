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
# What the tests need besides: a real browser, Python's virtual environments for the checks of API and
# channels, and what is told something by real channels.
TEST_PACKAGES  := chromium python3-venv openssl prometheus-alertmanager prosody
BENCH_PACKAGES := wrk
FLEET_PACKAGES := iproute2 chromium

# The programs with the features that the tests have: others would build most of the packages once more.
TEST_BINS := $(CARGO) test --no-run --test house

# How many clients the fleet has, and what is measured with it.
CLIENTS   ?= 10000
SCENARIOS ?=
FLEET     := grow $(CLIENTS) flood latency 1000 restart $(CLIENTS) down api 1000 page $(CLIENTS) pull 100

# What the web page is made of.
PAGE := $(shell find frontend/src frontend/public frontend/index.html frontend/*.ts -type f 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help run release frontend test test-rust test-ui test-browser test-api lint fmt bench bench-fleet \
        clean install-deps

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: install-deps release ## build and start a real agent of this machine, all its files in ./dev; Ctrl-C stops it
	@scripts/dev-setup '$(DEV)' '$(PORT)' $(PROBES)
	@exec target/release/wigo --config $(DEV)/wigo.conf

release: frontend ## build target/release/{wigo,wigocli,wigo-probe,generate_cert}
	@$(CARGO) build --release --bins

frontend: frontend/dist/index.html ## build the web page, which the next build puts into wigo

frontend/dist/index.html: frontend/node_modules/.package-lock.json $(PAGE)
	@npm --prefix frontend run --silent build
	@touch $@

frontend/node_modules/.package-lock.json: frontend/package-lock.json
	@scripts/need-node
	@npm --prefix frontend ci --silent
	@touch $@

test: install-deps ## run all tests: test-rust test-ui test-api test-channels test-browser
	@MAKE='$(MAKE)' scripts/run-tests rust ui api channels browser

test-rust: install-deps frontend
	@$(CARGO) test --lib --bins --tests 2>&1 | scripts/sum-tests

test-ui: frontend
	@npm --prefix frontend run --silent test:unit

test-api: install-deps frontend
	@scripts/install-packages $(TEST_PACKAGES)
	@$(TEST_BINS)
	@scripts/check-api

test-channels: install-deps frontend
	@scripts/install-packages $(TEST_PACKAGES)
	@$(TEST_BINS)
	@scripts/check-channels

test-browser: install-deps frontend
	@scripts/install-packages $(TEST_PACKAGES)
	@$(TEST_BINS)
	@npm --prefix frontend run --silent test:browser

lint: frontend ## check the format and look for mistakes: clippy, ESLint, svelte-check
	@$(CARGO) fmt --check
	@$(CARGO) clippy --all-targets -- --deny warnings
	@npm --prefix frontend run --silent lint

fmt: frontend/node_modules/.package-lock.json ## format the source
	@$(CARGO) fmt
	@npm --prefix frontend run --silent format

bench: ## measure what the agent costs and how soon people are told (about 9 minutes; the machine should have nothing else to do)
	@scripts/install-packages $(BENCH_PACKAGES)
	@$(CARGO) bench --bench agent --bench notify

bench-fleet: frontend ## measure what a fleet costs its master; CLIENTS=N, SCENARIOS="steady 1000 flood" for some (about 10 minutes)
	@scripts/install-packages $(FLEET_PACKAGES)
	@$(CARGO) bench --bench fleet -- $(or $(SCENARIOS),$(FLEET))

clean: ## remove what was built and ./dev
	@$(CARGO) clean
	@rm -rf '$(DEV)' frontend/dist frontend/node_modules

install-deps:
	@scripts/install-packages $(PACKAGES)
