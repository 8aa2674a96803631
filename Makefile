# nsinspect: `make scan` audits this host, `make test` tests everything that can run here.

GO        ?= go
BIN       := bin/nsinspect
GOTESTSUM := gotest.tools/gotestsum@v1.13.0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCI  := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.8.0
TARGETS   := amd64 arm64 arm 386 riscv64 ppc64le s390x
FUZZTIME  ?= 60s

# Static, and the same bytes from the same commit on every machine.
export CGO_ENABLED := 0
BUILDFLAGS := -trimpath -buildvcs=auto -ldflags=-s\ -w
# Only root can see every process; sudo is asked for where there is need.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: build scan test bench lint fuzz cross clean

build:
	$(GO) build $(BUILDFLAGS) -o $(BIN) ./cmd/nsinspect

# Exit codes 1 and 3 are answers, not failures of make.
scan: build
	@$(SUDO) $(BIN) scan || [ $$? -ne 2 ]

test:
	@scripts/setup
	@mkdir -p bin && : > bin/engines
	@NSINSPECT_SUMMARY=$(CURDIR)/bin/engines \
	  $(GO) run $(GOTESTSUM) --format pkgname --format-hide-empty-pkg --post-run-command 'cat bin/engines' -- -count=1 -timeout 20m ./...

# The figures of docs/performance.md, which it writes; BENCHFLAGS=-quick prints some of them within a minute.
bench: build
	$(GO) build -o bin/measure ./scripts/bench/measure
	$(SUDO) bin/measure -o docs/performance.md $(BENCHFLAGS)

lint:
	@GO="$(GO)" STATICCHECK=$(STATICCHECK) GOLANGCI=$(GOLANGCI) GOVULNCHECK=$(GOVULNCHECK) scripts/lint

# Every fuzz target of every package, one after the other.
fuzz:
	@for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "== $$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; done

cross:
	@for arch in $(TARGETS); do echo "linux/$$arch"; \
	  GOOS=linux GOARCH=$$arch $(GO) vet ./... && GOOS=linux GOARCH=$$arch $(GO) build $(BUILDFLAGS) -o dist/nsinspect-linux-$$arch ./cmd/nsinspect || exit 1; done

clean:
	rm -rf bin dist
