# make demo   builds both programs and runs a whole installation on this machine
# make test   runs everything that must be true
# make lab    plays stories of faults on hosts in network namespaces (Linux, root)
# make build  builds both programs into bin/

GO      ?= go
ARGS    ?=
VERSION ?= $(shell git rev-parse --short=8 HEAD 2>/dev/null || echo dev)
LDFLAGS  = -s -w -X main.version=0.1.0-$(VERSION)

export GOFLAGS = -mod=readonly
export CGO_ENABLED = 0

.PHONY: build demo lab test setup format vet race sim cross elsewhere fuzz bench

build:
	@echo "== building bin/catenary and bin/catenary-client"
	@$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

demo: build
	@bin/catenary demo $(ARGS)

# All stories of the laboratory: real hosts in network namespaces (Linux, root).
lab: setup build
	@bin/catenary lab run $(ARGS)

test: setup format vet race sim elsewhere
	@echo "== all passed"

# Debian packages whose tools the tests compare our sensors with.
setup:
	@scripts/setup

format:
	@echo "== gofmt"
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "not formatted:"; echo "$$out"; exit 1; }

# vet, staticcheck and the tests share one build, that of the race detector
# (which needs cgo): on a machine with an empty cache, building is most of the
# time.
RACE = CGO_ENABLED=1 GOFLAGS='-mod=readonly -race'

vet: bin/staticcheck
	@echo "== go vet, staticcheck"
	@$(RACE) $(GO) vet ./...
	@$(RACE) bin/staticcheck ./...

bin/staticcheck: tools/go.mod
	@echo "== building the linter"
	@$(GO) build -modfile=tools/go.mod -o $@ honnef.co/go/tools/cmd/staticcheck

race:
	@echo "== tests with the race detector"
	@$(RACE) $(GO) test -vet=off -timeout 15m ./...
	@unshare --mount --net --pid --uts true 2>/dev/null && command -v ip nft nsenter >/dev/null || \
		echo "   skipped: the laboratory, which needs root, namespaces, iproute2 and nftables"

sim:
	@echo "== the simulator, 2,000 seeds"
	@$(GO) test -vet=off ./internal/sim -run 'TestStorms|TestControls' -runs 2000

# What cannot run here must at least compile and be vetted. `make test` takes
# one of each system, `make cross` all that are supported.
ELSEWHERE ?= windows/amd64 darwin/arm64

cross:
	@$(MAKE) --no-print-directory elsewhere ELSEWHERE="linux/arm64 windows/amd64 windows/arm64 darwin/amd64 darwin/arm64"

elsewhere:
	@echo "== the client on other systems"
	@for t in $(ELSEWHERE); do echo "   $$t"; \
		GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) vet ./cmd/catenary-client ./internal/client/... ./internal/link || exit 1; done

# Ten minutes for each decoder and parser.
fuzz:
	@scripts/fuzz $(or $(TIME),10m)

bench: build
	@bench/run
