# `make help` lists the targets. CI runs `make check` and nothing else.
# Plain enough for the make of every system (GNU make 3.81 and up).
SHELL         := bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

GO       ?= go
GO_MIN   := 1.26
NODE_MIN := 20
# Runs, not seconds: at the end of its seconds Go now and then calls a run that found nothing failed ("context deadline exceeded").
FUZZTIME ?= 10000x
PREFIX   ?= /usr/local
CROSS    := linux/arm64 darwin/arm64 windows/amd64
STEPS    := setup fmt-check lint-only cross test-only fuzz

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: build ## build and run the server; ARGS="--addr 127.0.0.1:9000" passes flags
	@exec bin/roomcast serve $(ARGS)

.PHONY: build
build: need-go ## build bin/roomcast
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/roomcast ./cmd/roomcast

.PHONY: capi install
capi: need-go ## build the C library into bin/capi: libroomcast.so and .a, snow_ws.h, a pkg-config file
	@GO='$(GO)' capi/build.sh bin/capi
install: capi ## install the C library below PREFIX (/usr/local); DESTDIR is put in front of it
	@mkdir -p '$(DESTDIR)$(PREFIX)' && cp -RPf bin/capi/. '$(DESTDIR)$(PREFIX)/'

.PHONY: check
check: export CI := 1
check: export DEBIAN_FRONTEND := noninteractive
check: export npm_config_audit := false
check: export npm_config_fund := false
check: ## exactly what CI runs: set-up, format, lint, cross-build, tests, short fuzz runs
	@for step in $(STEPS); do \
	  name=$${step%-only}; start=$$SECONDS; \
	  printf '\n==> %s\n' "$$name"; \
	  $(MAKE) --no-print-directory "$$step" || { echo "check: $$name failed" >&2; exit 1; }; \
	  printf '    %s: ok, %d s\n' "$$name" $$((SECONDS - start)); \
	done; \
	printf '\ncheck: ok\n'

.PHONY: setup
setup: need-go need-node ## install what the tests need (Node packages, a Chromium)
	@bash scripts/setup-e2e.sh

.PHONY: test test-only
test: setup test-only ## set up, then run all tests with the race detector in random order
test-only: need-go need-cc
	@CGO_ENABLED=1 $(GO) test -race -shuffle=on ./...

.PHONY: fuzz
fuzz: need-go ## a short run of every fuzz function; FUZZTIME=10000x each
	@set -eo pipefail; \
	$(GO) test -list '^Fuzz' ./... | \
	awk '/^Fuzz/ {f[n++] = $$1} /^ok/ {for (i = 0; i < n; i++) print $$2, f[i]} /^(ok|\?)/ {n = 0}' | \
	while read -r pkg name; do \
	  echo "$$name ($$pkg)"; \
	  $(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x -parallel 2 "$$pkg" </dev/null; \
	done

.PHONY: chaos
chaos: need-go ## the fault suite, ten minutes at most; CHAOS_TIME=4m of faults, CHAOS_SEED=N repeats a plan, CHAOS_LOGS=DIR keeps the logs
	@CHAOS_TIME=$${CHAOS_TIME:-4m} $(GO) test -count=1 -timeout 10m -v ./internal/chaos

.PHONY: fmt fmt-check
fmt: need-go ## format the Go code
	@gofmt -w .
fmt-check: need-go
	@bad=$$(gofmt -l .); [ -z "$$bad" ] || { printf 'not formatted, run make fmt:\n%s\n' "$$bad" >&2; exit 1; }

.PHONY: lint lint-only
lint: setup fmt-check lint-only ## gofmt, go vet, staticcheck, tsc
lint-only: need-go need-node
	@$(GO) vet ./...
	@$(GO) tool staticcheck ./...
	@cd bench && $(GO) vet ./... && $(GO) test ./cmd/...
	@internal/e2e/node_modules/.bin/tsc -p internal/e2e
	@internal/e2e/node_modules/.bin/tsc -p client/js --noEmit

.PHONY: cross
cross: need-go ## build and vet for the other systems and processors
	@for target in $(CROSS); do \
	  echo "$$target"; \
	  export GOOS=$${target%/*} GOARCH=$${target#*/} CGO_ENABLED=0; \
	  $(GO) build ./... && $(GO) vet ./... || exit 1; \
	done

.PHONY: bench-core
bench-core: build ## the 1,000-member room against the load generator in FANLOAD_DIR (Linux, 2 cores)
	@bench/core.sh

.PHONY: bench-protocol
bench-protocol: build ## what the protocol costs: server CPU per delivery against the raw relay (Linux, 2 cores)
	@bench/protocol.sh

.PHONY: bench-http
bench-http: build ## HTTP publishes per second, single and batch (Linux, 2 cores)
	@$(GO) build -C bench -o bin/publish ./cmd/publish && bench/http.sh $(ARGS)

.PHONY: bench-cluster
bench-cluster: build ## several nodes: deliveries, history, recovery, presence; ARGS="-parts recovery -rounds 1" (Linux, 2 cores)
	@CGO_ENABLED=0 $(GO) build -trimpath -o bench/bin/nats-server github.com/nats-io/nats-server/v2 && $(GO) build -C bench -o bin/cluster ./cmd/cluster && \
	taskset -c 1 bench/bin/cluster $(ARGS)

.PHONY: bench-capi
bench-capi: need-go ## a broadcast called from C against the same from Go (Linux)
	@cd bench && $(GO) run ./cmd/boundary

.PHONY: bench bench-setup
bench: build ## Roomcast and nine other relays in turn, with the generator in FANLOAD_DIR; writes bench/RESULTS.md
	@$(GO) build -C bench -o bin/run ./cmd/run && bench/bin/run -bench bench -write $(ARGS)
bench-setup: need-go need-node ## build the other relays, install those from npm
	@cd bench && $(GO) build -o bin/ ./peers/... && cd peers && npm ci --ignore-scripts --no-audit --no-fund

.PHONY: clean
clean: ## remove what was built
	@rm -rf bin

# What a machine must have; each says what to do when it has not.

.PHONY: need-go need-node need-cc
need-go:
	@command -v $(GO) >/dev/null || { echo 'Go is missing: install Go $(GO_MIN) or newer, https://go.dev/dl/' >&2; exit 1; }; \
	have=$$($(GO) env GOVERSION) || exit 1; \
	$(call at-least,$${have#go},$(GO_MIN)) || { echo "Go $(GO_MIN) or newer is needed, this is $$have: https://go.dev/dl/" >&2; exit 1; }

need-node:
	@command -v node >/dev/null && command -v npm >/dev/null || \
	  { echo 'Node is missing: install Node $(NODE_MIN) or newer with npm, https://nodejs.org/' >&2; exit 1; }; \
	have=$$(node --version); \
	$(call at-least,$${have#v},$(NODE_MIN)) || { echo "Node $(NODE_MIN) or newer is needed, this is $$have: https://nodejs.org/" >&2; exit 1; }

need-cc:
	@cc=$$($(GO) env CC); command -v "$${cc%% *}" >/dev/null || \
	  { echo "The race detector needs a C compiler ($$cc): install gcc (apt-get install gcc) or clang" >&2; exit 1; }

# $(call at-least,have,want): compares dotted numbers, two places are enough.
at-least = awk -v have="$(1)" -v want="$(2)" 'BEGIN {split(have, h, "."); split(want, w, "."); exit !(h[1]+0 > w[1]+0 || h[1]+0 == w[1]+0 && h[2]+0 >= w[2]+0)}'
