# What a person or a machine runs here. `make help` lists it.
SHELL := bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# One target folder for everything; downloads that outlive a clone lie in the user's cache folder.
export CARGO_TARGET_DIR ?= $(CURDIR)/target
CACHE := $(or $(THROUGHLINE_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/throughline)
# The interpreter that the foreign publisher runs in, with Confluent's client; `make setup` makes it.
export THROUGHLINE_PYTHON ?= $(CACHE)/python/bin/python
# Programs of others that the connectors and sandboxes are measured by; `make setup` installs them.
export THROUGHLINE_JUDGES ?= $(CACHE)/judges

# The stack that `up` and `down` mean, and further arguments for the command behind a target.
DATA ?= .throughline
ARGS ?=

# Optimised like a release, without the whole-program pass that only benchmarks are worth waiting for.
FAST := cargo build --locked --profile fast --workspace --bins
THROUGHLINE := "$(CARGO_TARGET_DIR)/fast/throughline"

STARTED := $(shell date +%s)
step = @printf '\n[+%4d s] %s\n' $$(( $$(date +%s) - $(STARTED) )) '$(1)'

.PHONY: help setup demo up down test check fmt rules schemas docs bench clean simulate mutants chaos fuzz libfuzzer

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\n  ARGS="…" is passed on (make demo ARGS=--once); DATA=DIR is the folder of up and down.\n'

demo: ## Everything in one process, embedded; stays up until Ctrl-C (ARGS=--once: ends with a summary)
	@$(FAST)
	@$(THROUGHLINE) demo $(ARGS)

up: ## Start a stack of real parts in DATA: Apache Kafka, PostgreSQL, registry, ERP stand-in, services
	@$(FAST)
	@$(THROUGHLINE) up --data "$(DATA)" --detach $(ARGS)

down: ## Stop the stack in DATA
	@$(FAST) --quiet
	@$(THROUGHLINE) down --data "$(DATA)" $(ARGS)

setup: ## Install what the real parts, the foreign publisher and the judges need (apt-get as root, else prints the line)
	@scripts/setup "$(CACHE)"

test: setup check ## What CI runs: setup, check, then every test, end to end on real parts
	$(call step,build)
	@cargo build --locked --workspace --all-targets
	$(call step,examples in the documentation)
	@cargo test --locked --workspace --doc --quiet
	$(call step,simulation)
	@"$(CARGO_TARGET_DIR)/debug/simulate" --seeds $(or $(SEEDS),10000)
	$(call step,tests)
	@cargo test --locked --workspace --lib --bins --tests --no-fail-fast $(ARGS)

check: ## Format, dependency rules, lints as errors, drift of what is generated
	$(call step,format)
	@cargo fmt --all --check
	@$(MAKE) rules STARTED=$(STARTED)
	$(call step,schemas)
	@cargo build --locked --quiet --workspace --bin schemagen
	@"$(CARGO_TARGET_DIR)/debug/schemagen" check
	$(call step,lints)
	@cargo clippy --locked --workspace --all-targets -- -D warnings
	$(call step,documents)
	@cargo test --locked --quiet --workspace --test documents

rules: ## Only the dependency rules: our own test, and cargo-deny where it is installed
	$(call step,dependency rules)
	@cargo test --locked --quiet --workspace --test arrows
	@if command -v cargo-deny > /dev/null; then cargo deny --locked check bans licenses sources; \
	else echo 'cargo-deny is not installed: licences and sources are not checked here (cargo install --locked cargo-deny)'; fi

schemas: ## Regenerate types, pages and golden records from schemas/, refusing incompatible changes
	@cargo build --locked --quiet --workspace --bin schemagen
	@"$(CARGO_TARGET_DIR)/debug/schemagen" generate

docs: ## Regenerate the documents that follow from code (docs/errors.md)
	@UPDATE_DOCS=1 cargo test --locked --quiet --workspace --test documents

bench: ## Measure, with ratios against peers in the same run (ARGS: what to measure)
	@cargo build --locked --release --workspace --bins
	@"$(CARGO_TARGET_DIR)/release/bench" $(ARGS)

simulate: ## Run SEEDS=N schedules of faults (default 10000, a minute or two) against runs without faults
	@cargo build --locked --quiet -p proof --bin simulate
	@"$(CARGO_TARGET_DIR)/debug/simulate" --seeds $(or $(SEEDS),10000) $(ARGS)

mutants: ## Put deliberate bugs into a copy of the runtime and have the simulation find each (a build, then minutes)
	@cargo build --locked --quiet -p proof --bin mutants
	@"$(CARGO_TARGET_DIR)/debug/mutants" --work "$(CARGO_TARGET_DIR)/mutants" --page docs/mutants.md $(ARGS)

fuzz: ## Give every reader of foreign bytes and every handler mutated input for SECONDS=N (default 300)
	@cargo build --locked --quiet -p fuzz
	@"$(CARGO_TARGET_DIR)/debug/fuzz" --seconds $(or $(SECONDS),300) $(ARGS)

# Counters and comparisons of our code and all it uses, without a sanitizer, so that the stable toolchain builds it.
COVERED := --cfg fuzzing -Ccodegen-units=16 -Cdebug-assertions -Coverflow-checks -Cpasses=sancov-module \
	-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
	-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares
LIBFUZZER := $(CARGO_TARGET_DIR)/libfuzzer
TARGET ?= datum

libfuzzer: ## Fuzz TARGET=datum guided by coverage for SECONDS=N (default 300); its first build takes ten minutes and needs a C++ compiler
	@cargo build --locked --quiet -p fuzz --bin fuzz
	@"$(CARGO_TARGET_DIR)/debug/fuzz" --only $(TARGET) --write-inputs "$(LIBFUZZER)/inputs"
	$(call step,build with instrumentation)
	@host=$$(rustc -vV | sed -n 's/^host: //p'); RUSTFLAGS="$(COVERED)" cargo build --locked --quiet --profile fast --target "$$host" \
		--target-dir "$(LIBFUZZER)" -p fuzz --features guided --bin guided && ln -sfn "$$host" "$(LIBFUZZER)/host"
	$(call step,libFuzzer)
	@mkdir -p "$(LIBFUZZER)/kept/$(TARGET)" "$(LIBFUZZER)/found"
	@FUZZ_TARGET=$(TARGET) "$(LIBFUZZER)/host/fast/guided" -max_total_time=$(or $(SECONDS),300) -print_final_stats=1 \
		-artifact_prefix="$(LIBFUZZER)/found/$(TARGET)-" $(ARGS) "$(LIBFUZZER)/kept/$(TARGET)" "$(LIBFUZZER)/inputs/$(TARGET)"

CHAOS := $(CARGO_TARGET_DIR)/chaos
# What dies at points, and what these need beside them.
POINTED := erp-sync crm-sync provisioning order-flow throughline-registry throughline-sandbox

chaos: ## Break a stack of real parts in every way there is a case for (about an hour; Ctrl-C, and the same command goes on)
	@mkdir -p "$(CHAOS)"
	$(call step,build with failpoints)
	@cargo build --locked --quiet --workspace --features telemetry/failpoints $(POINTED:%=--bin %)
	@cd "$(CARGO_TARGET_DIR)/debug" && cp $(POINTED) "$(CHAOS)"
	$(call step,build with a further migration of the ledger)
	@mkdir -p "$(CHAOS)/migrated"
	@cargo build --locked --quiet --workspace --features ledger/further-migration --bin erp-sync
	@cp "$(CARGO_TARGET_DIR)/debug/erp-sync" "$(CHAOS)/migrated"
	$(call step,build)
	@cargo build --locked --quiet --workspace --bins
	@"$(CARGO_TARGET_DIR)/debug/chaos" --failpoints "$(CHAOS)" --migrated "$(CHAOS)/migrated" --state "$(CHAOS)/state.ndjson" --page docs/chaos.md $(ARGS)

fmt: ## Format the code
	@cargo fmt --all

clean: ## Remove what was built here (not the downloads in the user's cache folder)
	@cargo clean
