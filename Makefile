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

.PHONY: build scan test bench lint race cover storm fuzz corpus cross clean

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

# The race detector needs cgo, and a C compiler with it.
race:
	CGO_ENABLED=1 $(GO) test -race -timeout 40m ./cmd/... ./nsinspect/... ./scripts/hostile

# What the tests go through of all that only computes; fails below 90 %.
cover:
	@scripts/cover 90

# All 10 000 scans of a host on which processes come and go.
STORM ?= 10000
storm:
	NSINSPECT_STORM_SCANS=$(STORM) $(GO) test -count 1 -timeout 60m -run 'TestStorm$$' -v ./scripts/hostile

# Every fuzz target of every package, one after the other.
fuzz:
	@for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "== $$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$pkg || exit 1; \
	  done; done

# Adds to the committed inputs what the fuzzer has found on this machine, where it goes through what no other one does.
corpus:
	$(GO) run ./scripts/corpus ./nsinspect/... ./cmd/...

# Every architecture builds and is vetted. All tests of the library and the program run for 386 too, whose int has 32 bits. Those
# of what only computes, and of numbers that 32 bits do not hold, run for the others where qemu's user emulation is
# installed (Debian: qemu-user-static). Nothing is installed here; what is missing is said at the end.
PURE := $(addprefix ./nsinspect/,cgroup container audit render explain report locale internal/parallel)
MIXED := $(addprefix ./nsinspect/,proc ipc namespace) ./nsinspect ./cmd/nsinspect
COMPUTES := Parse|Fuzz|Dirent|Link|AppendPIDs|Wide|IDMap|^TestReach$$|^TestSignalAndPtrace$$|Tally|^TestAttach$$|Limits$$|Stories|Golden
QEMU := arm64:aarch64 arm:arm riscv64:riscv64 ppc64le:ppc64le s390x:s390x
EMULATED ?= $(foreach pair,$(QEMU),$(if $(shell command -v qemu-$(word 2,$(subst :, ,$(pair)))-static),$(pair)))
cross:
	@for arch in $(TARGETS); do echo "linux/$$arch"; \
	  GOOS=linux GOARCH=$$arch $(GO) vet ./... && GOOS=linux GOARCH=$$arch $(GO) build $(BUILDFLAGS) -o dist/nsinspect-linux-$$arch ./cmd/nsinspect || exit 1; done
	@echo "tests for 386"; GOARCH=386 $(GO) test ./nsinspect/... ./cmd/...
	@for pair in $(EMULATED); do arch=$${pair%%:*} qemu=qemu-$${pair##*:}-static; echo "tests for $$arch, by $$qemu"; \
	  GOARCH=$$arch $(GO) test -exec $$qemu $(PURE) || exit 1; \
	  GOARCH=$$arch $(GO) test -exec $$qemu -run '$(COMPUTES)' $(MIXED) || exit 1; done
	@for pair in $(filter-out $(EMULATED),$(QEMU)); do echo "tests for $${pair%%:*}: skipped, there is no qemu-$${pair##*:}-static (Debian: qemu-user-static)"; done

clean:
	rm -rf bin dist
