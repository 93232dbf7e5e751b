# progressd: build, check, install. "make help" lists the targets.

GO      ?= go
# The newest tag, commits since and -dirty; in a tree without git a file VERSION, if there is one.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || cat VERSION 2>/dev/null || echo unknown)

# Where things go. DESTDIR stages a package: then files are laid down and nothing else is done.
DESTDIR    ?=
PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
LIBDIR     ?= $(PREFIX)/lib
MANDIR     ?= $(PREFIX)/share/man
DOCDIR     ?= $(PREFIX)/share/doc/progressd
# The configuration of a system service is in /etc, wherever its binary is.
SYSCONFDIR ?= /etc
UNITDIR    ?= $(LIBDIR)/systemd/system
USERUNITDIR ?= $(LIBDIR)/systemd/user

# The binaries that are built, tested and installed: the daemon and everybody's client.
BINARY ?= bin/progressd
CLIENT ?= bin/progressctl
# How much each fuzz test tries: inputs, not seconds, since Go before 1.27 may call the end of the time
# a failure (go.dev/issue/75804). How long the soak runs.
FUZZTIME ?= 100000x
SOAKTIME ?= 90s
# How many lives are simulated, and by which seed: another one each time, if it isn't said. SIMLIFE plays
# one of them alone, SIMSTORY a story from a file; both print it.
SIMLIVES ?= 5000
SIMSEED  ?= 0
SIMLIFE  ?= 0
SIMSTORY ?=

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:

##@ Build
.PHONY: all build clean
build: ## the binaries, bin/progressd and bin/progressctl: static and reproducible
	$(call compile,$(BINARY)) ./cmd/progressd
	$(call compile,$(CLIENT)) ./cmd/progressctl

compile = CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-s -w -buildid= -X main.version=$(VERSION)' -o $(1)

all: build ## the same

clean: ## remove what was built
	rm -rf bin $(DIST)

##@ Try
.PHONY: demo
demo: build ## a made-up download on this machine, watched live: no network, no root, some 20 s
	$(GO) run ./internal/demo --progressd $(abspath $(BINARY))

##@ Check
.PHONY: test vet lint fmt fmt-check tidy-check fuzz scripts-check man-check unit-check e2e e2e-systemd e2e-daemon e2e-kubernetes e2e-packages e2e-clients e2e-nightly e2e-loaders e2e-exec sim sim-mutants soak bench check
# The race detector needs a C compiler with its headers. Without one the tests still run.
# It has each program that a test runs sleep for a second at its end, unless it is told not to.
# Those of cmd/ wait for a minute, as users do, and others for seconds: they take no turn from those that work.
test: ## every test, in random order, with the race detector where there is a C compiler
	@if printf '#include <stdlib.h>\n' | $$($(GO) env CC) -E - >/dev/null 2>&1; then \
		set -- -race; else echo 'no C compiler: testing without the race detector'; set --; fi; \
	export GORACE=atexit_sleep_ms=10; set -x; $(GO) test "$$@" -p=$$(($$(nproc) + 3)) -shuffle=on ./...

vet: ## go vet
	$(GO) vet ./...

lint: ## golangci-lint, pinned in tools/go.mod (the first time it builds for some minutes)
	$(GO) tool -modfile=tools/go.mod golangci-lint run

fmt: ## put every Go file in gofmt's form
	gofmt -w .

fmt-check: ## no file that gofmt would change
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "not in gofmt's form (make fmt):"; echo "$$out"; exit 1; fi

tidy-check: ## go.mod and go.sum are what the imports say
	$(GO) mod tidy -diff

fuzz: ## every fuzz test, FUZZTIME (100000x) inputs each
	@GO='$(GO)' test/fuzz.sh $(FUZZTIME)

scripts-check: ## shellcheck on every script (Debian: shellcheck)
	shellcheck --external-sources --severity=warning .ci/run packaging/systemd/host.sh packaging/nfpm/*.sh packaging/nfpm/deb.* test/*.sh test/harness/*.sh test/e2e/*.sh
	shellcheck --severity=warning --shell=sh packaging/nfpm/rpm.*

man-check: ## the man pages, as mandoc reads them (Debian: mandoc)
	mandoc -T lint -W warning docs/man/*

# "security" counts tenths: 10 is an exposure of 1.0.
unit-check: $(BINARY) $(CLIENT) ## systemd-analyze verify, and an exposure of at most 1.0, 1.9 with a network, 0.3 of HTTP (systemd 252 or newer)
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	$(call unit,progressd.service,$(abspath $(dir $(BINARY)))) >"$$dir/progressd.service" && mkdir "$$dir/user" && \
	$(call unit,progressd.user.service,$(abspath $(dir $(BINARY)))) >"$$dir/user/progressd.service" && \
	cp packaging/systemd/progressd.socket "$$dir" && cp packaging/systemd/progressd.user.socket "$$dir/user/progressd.socket" && \
	$(call unit,examples/hf-download@.service,$(abspath $(dir $(BINARY)))) >"$$dir/hf-download@.service" && \
	$(call unit,progressd-http.service,$(abspath $(dir $(CLIENT)))) >"$$dir/progressd-http.service" && \
	cp packaging/systemd/progressd-http.socket "$$dir" && set -x && \
	systemd-analyze verify --man=no "$$dir/progressd.service" "$$dir/progressd.socket" "$$dir/hf-download@org-model.service" \
		"$$dir/progressd-http.service" "$$dir/progressd-http.socket" && \
	systemd-analyze security --offline=true --no-pager --threshold=3 "$$dir/progressd-http.service" && \
	XDG_RUNTIME_DIR="$$dir" systemd-analyze --user verify --man=no "$$dir/user/progressd.service" "$$dir/user/progressd.socket" && \
	systemd-analyze security --offline=true --no-pager --threshold=10 "$$dir/progressd.service" && \
	mkdir "$$dir/progressd.service.d" && cp packaging/systemd/examples/hub-lookup.conf "$$dir/progressd.service.d" && \
	systemd-analyze verify --man=no "$$dir/progressd.service" && \
	systemd-analyze security --offline=true --no-pager --threshold=19 "$$dir/progressd.service"

e2e: e2e-systemd e2e-daemon e2e-kubernetes e2e-clients e2e-exec ## the five below: the whole, as it is used

e2e-systemd: build ## install, hf download, reload, rotate, kill, uninstall in a real systemd (root, Debian, PyPI; SUITE=bookworm for that one)
	GO='$(GO)' test/e2e/run.sh $(SUITE)

# The older of the two is the same program under an older version.
e2e-packages: ## the Debian package: install, upgrade in the middle of a download, remove, purge (as e2e-systemd)
	for side in old:v0.0.1 new:v0.0.2; do \
		$(MAKE) --no-print-directory packages ARCHS=$$($(GO) env GOARCH) VERSION=$${side#*:} DIST='$(DIST)'/e2e/$${side%:*} || exit; done
	GO='$(GO)' test/e2e/run.sh --packages '$(DIST)/e2e' $(SUITE)

e2e-clients: build ## every release of the client in every way, with a real journald (root, PyPI, npm, crates.io; some 7 min)
	test/harness/journald-alone.sh $(GO) run ./test/clients --progressd $(abspath $(BINARY))

e2e-daemon: ## mount points that come and go, directories whose times stand still: the daemon alone, at the shipped timings (root; some 3 min)
	PROGRESSD_E2E=1 $(GO) test -count=1 -run='MountPoint|StandStill' ./cmd/progressd

e2e-kubernetes: build ## the real client in pods of a made-up node: cgroups, overlay file systems, the DaemonSet's configuration (root, PyPI; under a minute)
	GO='$(GO)' test/e2e/node.sh

# The plays end with eleven minutes of silence; the tests are done by then.
e2e-nightly: build ## the verdicts that wait for ten minutes, of real clients and of made-up ones of every kind (root, as e2e-clients; some 25 min)
	PROGRESSD_NIGHTLY=1 $(GO) test -count=1 -timeout=30m -run=TestEveryVerdictOnEveryClient ./cmd/progressd & tests=$$!; \
	test/harness/journald-alone.sh $(GO) run ./test/clients --progressd $(abspath $(BINARY)) --nightly; status=$$?; \
	wait $$tests && exit $$status

e2e-loaders: build ## real vLLM, transformers, diffusers and llama.cpp (root, PyPI, Debian; 6.4 GB the first time; some 20 min)
	test/harness/journald-alone.sh $(GO) run ./test/clients --progressd $(abspath $(BINARY)) --jobs 2 \
		--only 'vllm|transformers|diffusers|llama'

e2e-exec: build ## progressctl exec around the client of three generations, while all goes wrong that can (root, PyPI, tmux; some 4 min)
	@command -v tmux >/dev/null || { echo 'tmux is missing (Debian: tmux)' >&2; exit 1; }
	$(GO) run ./test/exec --progressctl $(abspath $(CLIENT))

sim: ## SIMLIVES (5000) made-up lives of the whole daemon in virtual time, compared with the truth (SIMSEED, SIMLIFE, SIMSTORY)
	$(GO) -C internal/sim test -count=1 -timeout 0 -run TestLives -sim.lives=$(SIMLIVES) -sim.seed=$(SIMSEED) \
		-sim.life=$(SIMLIFE) -sim.story=$(SIMSTORY)

sim-mutants: ## the daemon broken in forty ways, one after the other: simulated lives find out each
	$(GO) -C internal/sim test -count=1 -timeout 0 -run 'TestMutants|TestEveryRuleIsBroken' -sim.mutants=150

soak: build ## SOAKTIME (90s) of made-up downloads while everything is killed at random, compared with the truth
	$(GO) run ./internal/soak --progressd $(abspath $(BINARY)) --for $(SOAKTIME)

bench: build ## costs, against the peers (python3, du); BENCHFLAGS=--quick for orientation
	$(GO) run ./bench --progressd $(abspath $(BINARY)) $(BENCHFLAGS)

check: build fmt-check tidy-check vet lint scripts-check man-check unit-check test ## what .ci/run does, but for fuzz, soak and e2e

##@ Install
.PHONY: install uninstall
# A unit with the paths of this installation. $(1) is its file, $(2) the directory of the binary.
unit = sed -e 's|/usr/local/bin/|$(2)/|' -e 's|/etc/progressd/|$(SYSCONFDIR)/progressd/|' packaging/systemd/$(1)

EXAMPLES = $(notdir $(wildcard packaging/systemd/examples/*))
PAGES    = $(notdir $(wildcard docs/man/*))
MANDIRS  = $(foreach section,$(sort $(subst .,,$(suffix $(PAGES)))),'$(DESTDIR)$(MANDIR)/man$(section)')

# Files of the administrator: laid down once, never overwritten.
define keep
	@if [ -e '$(DESTDIR)$(2)' ]; then echo 'kept as it is: $(DESTDIR)$(2)'; \
	else set -x; install -D -m 644 $(1) '$(DESTDIR)$(2)'; fi
endef

$(BINARY) $(CLIENT):
	@echo 'there is no $@: run "make" first, as yourself (this target compiles nothing)' >&2; exit 1

# Shells look for completions in directories of their own.
BASHCOMPDIR = $(PREFIX)/share/bash-completion/completions
ZSHCOMPDIR  = $(PREFIX)/share/zsh/site-functions
FISHCOMPDIR = $(PREFIX)/share/fish/vendor_completions.d

install: $(BINARY) $(CLIENT) ## lay down binaries, units, configuration, man pages, completions; without DESTDIR also make the user
	install -D -m 755 $(BINARY) '$(DESTDIR)$(BINDIR)/progressd'
	install -D -m 755 $(CLIENT) '$(DESTDIR)$(BINDIR)/progressctl'
	install -D -m 644 packaging/completions/progressctl.bash '$(DESTDIR)$(BASHCOMPDIR)/progressctl'
	install -D -m 644 packaging/completions/progressctl.zsh '$(DESTDIR)$(ZSHCOMPDIR)/_progressctl'
	install -D -m 644 packaging/completions/progressctl.fish '$(DESTDIR)$(FISHCOMPDIR)/progressctl.fish'
	install -d '$(DESTDIR)$(UNITDIR)' '$(DESTDIR)$(USERUNITDIR)'
	$(call unit,progressd.service,$(BINDIR)) >'$(DESTDIR)$(UNITDIR)/progressd.service'
	$(call unit,progressd.user.service,$(BINDIR)) >'$(DESTDIR)$(USERUNITDIR)/progressd.service'
	chmod 644 '$(DESTDIR)$(UNITDIR)/progressd.service' '$(DESTDIR)$(USERUNITDIR)/progressd.service'
	$(call unit,progressd-http.service,$(BINDIR)) >'$(DESTDIR)$(UNITDIR)/progressd-http.service'
	chmod 644 '$(DESTDIR)$(UNITDIR)/progressd-http.service'
	install -m 644 packaging/systemd/progressd-http.socket '$(DESTDIR)$(UNITDIR)/progressd-http.socket'
	install -m 644 packaging/systemd/progressd.socket '$(DESTDIR)$(UNITDIR)/progressd.socket'
	install -m 644 packaging/systemd/progressd.user.socket '$(DESTDIR)$(USERUNITDIR)/progressd.socket'
	install -D -m 644 packaging/systemd/progressd.sysusers '$(DESTDIR)$(LIBDIR)/sysusers.d/progressd.conf'
	install -D -m 644 packaging/systemd/progressd.catalog '$(DESTDIR)$(LIBDIR)/systemd/catalog/progressd.catalog'
	install -d $(MANDIRS)
	for page in $(PAGES); do install -m 644 docs/man/$$page '$(DESTDIR)$(MANDIR)'/man$${page##*.}/ || exit; done
	install -d '$(DESTDIR)$(DOCDIR)/examples'
	install -m 644 LICENSE config.example.toml '$(DESTDIR)$(DOCDIR)'
	for example in $(EXAMPLES); do $(call unit,examples/$$example,$(BINDIR)) >'$(DESTDIR)$(DOCDIR)/examples/'$$example || exit; done
	chmod 644 '$(DESTDIR)$(DOCDIR)/examples/'*
	install -d '$(DESTDIR)$(DOCDIR)/prometheus'
	install -m 644 packaging/prometheus/progressd.rules.yml packaging/prometheus/grafana.json '$(DESTDIR)$(DOCDIR)/prometheus'
	$(call keep,packaging/systemd/config.toml,$(SYSCONFDIR)/progressd/config.toml)
	$(call keep,packaging/logrotate/progressd,$(SYSCONFDIR)/logrotate.d/progressd)
ifeq ($(DESTDIR),)
	packaging/systemd/host.sh installed '$(LIBDIR)'
endif

uninstall: ## take away what install laid down; configuration, logs and state stay
ifeq ($(DESTDIR),)
	packaging/systemd/host.sh stop
endif
	rm -f '$(DESTDIR)$(BINDIR)/progressd' '$(DESTDIR)$(BINDIR)/progressctl'
	rm -f '$(DESTDIR)$(BASHCOMPDIR)/progressctl' '$(DESTDIR)$(ZSHCOMPDIR)/_progressctl' '$(DESTDIR)$(FISHCOMPDIR)/progressctl.fish'
	rm -f '$(DESTDIR)$(UNITDIR)/progressd.service' '$(DESTDIR)$(USERUNITDIR)/progressd.service'
	rm -f '$(DESTDIR)$(UNITDIR)/progressd.socket' '$(DESTDIR)$(USERUNITDIR)/progressd.socket'
	rm -f '$(DESTDIR)$(UNITDIR)/progressd-http.service' '$(DESTDIR)$(UNITDIR)/progressd-http.socket'
	rm -f '$(DESTDIR)$(LIBDIR)/sysusers.d/progressd.conf' '$(DESTDIR)$(LIBDIR)/systemd/catalog/progressd.catalog'
	rm -f $(foreach page,$(PAGES),'$(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(page)))/$(page)')
	rm -f $(addprefix '$(DESTDIR)$(DOCDIR)'/,LICENSE config.example.toml $(addprefix prometheus/,progressd.rules.yml grafana.json) $(addprefix examples/,$(EXAMPLES)))
	rmdir '$(DESTDIR)$(DOCDIR)/examples' '$(DESTDIR)$(DOCDIR)/prometheus' '$(DESTDIR)$(DOCDIR)' 2>/dev/null || true
	@if cmp -s packaging/logrotate/progressd '$(DESTDIR)$(SYSCONFDIR)/logrotate.d/progressd'; \
	then set -x; rm -f '$(DESTDIR)$(SYSCONFDIR)/logrotate.d/progressd'; fi
ifeq ($(DESTDIR),)
	packaging/systemd/host.sh removed
endif
	@echo 'kept: $(SYSCONFDIR)/progressd, /var/log/progressd, /var/lib/progressd and the user progressd;'
	@echo 'to be rid of them too: rm -r $(SYSCONFDIR)/progressd /var/log/progressd /var/lib/progressd; userdel progressd'

##@ Release
.PHONY: packages packages-check release releasable image sbom kubernetes-check
# Where packages and releases are made, and for which processors (Go's names).
DIST  ?= dist
ARCHS ?= amd64 arm64
# The time that everything in a package has: that of the commit, so that two builds are the same to the byte.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || stat --format=%Y CHANGELOG.md)

packages: $(addprefix package-,$(ARCHS)) ## deb and rpm for ARCHS (amd64 arm64) in dist/, of what "make install" lays down

# Of one processor: what is built for it, staged and packed.
built = $(abspath $(DIST))/build/$*
package-%: nfpm
	rm -rf '$(built)'
	GOARCH=$* $(MAKE) --no-print-directory build BINARY='$(built)/progressd' CLIENT='$(built)/progressctl'
	$(MAKE) --no-print-directory --silent install DESTDIR='$(built)/stage' PREFIX=/usr BINARY='$(built)/progressd' CLIENT='$(built)/progressctl'
	GO='$(GO)' packaging/licenses.sh >'$(built)/third-party-licenses'
	NFPM='$(abspath $(DIST))/build/nfpm' VERSION='$(VERSION)' SOURCE_DATE_EPOCH='$(SOURCE_DATE_EPOCH)' \
		packaging/nfpm/build.sh '$*' '$(built)/stage' '$(built)/third-party-licenses' '$(abspath $(DIST))'

# The second build starts from nothing but the sources, in another place.
packages-check: packages ## the packages again: same bytes, what "make install" lays down, lintian, rpmlint (Debian: lintian rpmlint rpm cpio)
	$(MAKE) --no-print-directory packages DIST='$(DIST)/again'
	$(GO) -C tools/release test ./...
	packaging/nfpm/check.sh '$(abspath $(DIST))' '$(abspath $(DIST))/again'

.PHONY: nfpm
nfpm:
	$(GO) build -modfile=tools/nfpm/go.mod -o '$(DIST)/build/nfpm' github.com/goreleaser/nfpm/v2/cmd/nfpm

image: packages ## a container image with both binaries and nothing else, as an OCI layout in one file, without a container engine
	rm -f '$(DIST)'/*.oci.tar
	$(GO) -C tools/release run ./image --out '$(abspath $(DIST))/progressd-$(VERSION:v%=%).oci.tar' --version '$(VERSION:v%=%)' \
		--created '$(SOURCE_DATE_EPOCH)' $(foreach arch,$(ARCHS),'$(arch)=$(abspath $(DIST))/build/$(arch)')

# From the binaries: what is in them, not what might be.
sbom: packages ## what the binaries are made of, as CycloneDX
	rm -f '$(DIST)'/*.cdx.json
	for program in progressd progressctl; do \
		$(GO) tool -modfile=tools/release/go.mod cyclonedx-gomod bin -json -std -noserial -notimestamp -version '$(VERSION:v%=%)' \
			-output "$(DIST)/$$program-$(VERSION:v%=%).cdx.json" "$(DIST)/build/$(firstword $(ARCHS))/$$program" || exit; done

kubernetes-check: ## the manifests, as kustomize builds them
	@for directory in deploy/kubernetes/base deploy/kubernetes/example; do \
		$(GO) tool -modfile=tools/kustomize/go.mod kustomize build $$directory >/dev/null && echo "$$directory: kustomize builds it" || exit; done

releasable:
	@echo '$(VERSION)' | grep -Eqx 'v[0-9]+\.[0-9]+\.[0-9]+(-rc[0-9]+)?' || \
		{ echo 'make release: "$(VERSION)" is no release: commit everything, then "git tag -a v1.2.3"' >&2; exit 1; }
	@grep -q '^## \[$(patsubst v%,%,$(firstword $(subst -, ,$(VERSION))))\] - 20' CHANGELOG.md || \
		{ echo 'make release: CHANGELOG.md has no heading "## [$(patsubst v%,%,$(firstword $(subst -, ,$(VERSION))))] - DATE"' >&2; exit 1; }

release: releasable packages image sbom ## everything that is published of a tag: packages, image, CycloneDX, and SHA256SUMS of all, in dist/
	cd '$(DIST)' && sha256sum -- *.deb *.rpm *.oci.tar *.cdx.json >SHA256SUMS && cat SHA256SUMS

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
