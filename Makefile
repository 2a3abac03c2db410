# SPDX-License-Identifier: Apache-2.0

# `make test` is the whole check, from a fresh machine to go test's own summary.
# `go test ./...` alone is the same without the linters and the fuzz burst.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

GO ?= go
BIN := $(CURDIR)/.bin

# As xcaddy and Caddy's own tests build: without databases that nobody here uses.
export GOFLAGS := $(strip $(shell $(GO) env GOFLAGS) -tags=nobadger,nomysql,nopgx)

GOLANGCI_LINT_VERSION := v2.15.0
GOVULNCHECK_VERSION := v1.9.0
BENCHSTAT_VERSION := v0.0.0-20260908200009-22c9c6c9d4da

# Tools live in a folder named after their version: raising a version above is enough to get the new one.
GOLANGCI_LINT := $(BIN)/$(GOLANGCI_LINT_VERSION)/golangci-lint
GOVULNCHECK := $(BIN)/$(GOVULNCHECK_VERSION)/govulncheck
BENCHSTAT := $(BIN)/$(BENCHSTAT_VERSION)/benchstat

# How long each fuzz target runs in `make fuzz`, and how long they all may run together in `make test`.
FUZZTIME ?= 30s
FUZZBURST ?= 55

# Which benchmarks `make bench` runs, and how often, so that benchstat can compare two outputs.
BENCH ?= .
BENCHCOUNT ?= 10

# Which scenarios `make load` runs and by which factor they take longer; how long `make soak` takes; and where the gate keeps
# transactions in both: memory or redis.
LOAD ?=
LOADTIME ?= 1
SOAKTIME ?= 10m
STORE ?= memory

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: test
test: prepare lint fuzz-burst go-test ## everything: set-up, linters, a fuzz burst, all tests with the race detector

.PHONY: go-test
go-test:
	@echo "== go test -race ./..."
	@# -count=1: some tests start the go command, and the cache does not see what that reads.
	@# showtests prints what go test prints, and fails when anything that a test prints, of those that pass too, is secret.
	@$(GO) test -json -race -count=1 -timeout 20m ./... | $(GO) run -race ./scripts/showtests

.PHONY: prepare
prepare: ## install what the tests need and is missing (Debian packages; root or sudo)
	@scripts/prepare

.PHONY: lint
lint: $(GOLANGCI_LINT) ## vet, linters and formatting
	@echo "== golangci-lint $(GOLANGCI_LINT_VERSION)"
	@# -race: it then reads what the tests compile anyway, and a cold run compiles Caddy once less.
	@GOFLAGS="$(GOFLAGS) -race" $(GOLANGCI_LINT) run ./...

.PHONY: format
format: $(GOLANGCI_LINT) ## rewrite the files as the linters want them formatted
	@$(GOLANGCI_LINT) fmt ./...

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (30s)
	@scripts/fuzz $(FUZZTIME)

.PHONY: fuzz-burst
fuzz-burst:
	@echo "== fuzz burst"
	@scripts/fuzz -total $(FUZZBURST)

.PHONY: chaos
chaos: prepare ## break things at random and check what came of it (CHAOS_SEED=7 CHAOS_TIME=30m CHAOS_PEOPLE=10 CHAOS_MIX='kill -9=200' CHAOS_RUN=TestChaosOfManyNodes CHAOS_FOLDER=/tmp)
	@$(GO) test -race -count=1 -timeout 24h -v -run '^$(or $(CHAOS_RUN),TestChaos)' ./e2e/chaos

.PHONY: cover
cover: ## coverage of the packages' own tests, in coverage.html
	@$(GO) test -coverprofile=coverage.out -coverpkg=./... $$($(GO) list ./... | grep -v /e2e$$)
	@$(GO) tool cover -html=coverage.out -o coverage.html
	@$(GO) tool cover -func=coverage.out | tail -n 1

.PHONY: bench
bench: $(BENCHSTAT) ## benchmarks, summed up by benchstat (BENCH=regexp BENCHCOUNT=n)
	@$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(BENCHCOUNT) ./... | tee bench.out
	@$(BENCHSTAT) bench.out

.PHONY: load
load: ## what the gate holds on this machine, in load.md (LOAD=L1,L5 LOADTIME=factor STORE=redis)
	@$(GO) run ./scripts/load -scenarios '$(LOAD)' -scale '$(LOADTIME)' -store '$(STORE)' -out load.md

.PHONY: soak
soak: ## everything at once for SOAKTIME (10m), in soak.md (STORE=redis)
	@$(GO) run ./scripts/load -soak '$(SOAKTIME)' -store '$(STORE)' -out soak.md

.PHONY: vuln
vuln: $(GOVULNCHECK) ## known vulnerabilities in what we call
	@$(GOVULNCHECK) ./...

.PHONY: demo
demo: ## gate, legacy app, emulator and IDV partner on localhost
	@$(GO) run ./cmd/caddy run --config examples/demo/Caddyfile

$(GOLANGCI_LINT):
	@echo "== building golangci-lint $(GOLANGCI_LINT_VERSION)"
	@GOFLAGS= GOBIN=$(@D) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)

$(GOVULNCHECK):
	@GOFLAGS= GOBIN=$(@D) $(GO) install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)

$(BENCHSTAT):
	@GOFLAGS= GOBIN=$(@D) $(GO) install golang.org/x/perf/cmd/benchstat@$(BENCHSTAT_VERSION)
