# Two commands do everything on a fresh machine: `make demo` and `make test`. Each sets up what it needs, once.

# Python 3.11 to 3.14 that can make environments and compile modules: the system's python3 where it is one of these, else the
# newest that is installed. Where there is none, packages complete Debian's own.
is_usable = import ensurepip, os, sys, sysconfig, venv; \
	sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 14) and os.path.exists(sysconfig.get_path("include") + "/Python.h")))
PYTHON ?= $(or $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do $$p -c '$(is_usable)' 2>/dev/null && echo $$p && break; done),/usr/bin/python3)
PYTHON_PACKAGES = $(if $(filter /usr/bin/python3,$(PYTHON)),python3 python3-dev python3-venv)
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
CORE := $(STAMPS)/core

# What Debian brings: the compiler, the voice, what typesets cover sheets, and the peers that the tests talk to.
PACKAGES := gcc gcc-bpf libc6-dev libbpf-dev liburing-dev nettle-dev espeak-ng sip-tester baresip-core sipsak kamailio sipvicious postgresql \
	libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core 7zip chromium-headless-shell \
	dbconfig-sqlite3 glewlwyd iproute2 rsyslog rsyslog-openssl prometheus radosgw curl groff-base \
	portaudio19-dev pulseaudio pulseaudio-utils libasound2-plugins mmdebstrap
# Any npm will do: it brings two packages for the pages (deploy/web_assets), and is not needed to install a release.
NPM_PACKAGES = $(if $(shell command -v npm),,npm)

# Tests start hundreds of processes; where an image forbids Python to keep what it compiled, each would compile all again.
unexport PYTHONDONTWRITEBYTECODE
# Some images set this one too; the recorder is installed without it.
unexport PYTHONUNBUFFERED
# A second thread for linear algebra only spins in each of the tests' processes.
test test-all: export OPENBLAS_NUM_THREADS = 1

.PHONY: setup demo test test-cluster test-all screenshots docs check lock audit deb deb-test installed release bench leak kills fuzz fuzz-core fresh-root clean

setup: $(CORE)

# Packages are asked for only when one is missing, so that a machine without root but with everything works.
$(STAMPS)/packages: Makefile
	@missing=""; for p in $(PACKAGES) $(PYTHON_PACKAGES) $(NPM_PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	echo "What the set-up does, once:"; \
	echo "- Python packages go into $(VENV), by pip and with about 0.8 GB. Python: $$($(PYTHON) -c 'import sys; print(sys.executable, sys.version.split()[0])' 2>/dev/null || echo "Debian's")"; \
	if [ -n "$$missing" ]; then \
	  echo "- apt-get installs these Debian packages and what they need, up to 1.6 GB for all of them,$${sudo:+ with sudo, which may ask for your password}:"; \
	  echo "  $$missing"; \
	else echo "- No Debian package is missing, and nothing is done as root."; fi; \
	echo "- $$(df -h --output=avail . | tail -n 1 | tr -d ' ') are free here."; \
	if [ -n "$$missing" ]; then \
	  $$sudo apt-get update -q && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -q --no-install-recommends $$missing || exit 1; \
	  for s in glewlwyd rsyslog prometheus; do case "$$missing " in *" $$s "*) \
	    if [ -d /run/systemd/system ]; then $$sudo systemctl disable --now $$s.service; \
	    elif [ -x /etc/init.d/$$s ]; then \
	      $$sudo update-rc.d $$s disable; ! pgrep -x $$s >/dev/null || $$sudo /etc/init.d/$$s stop; fi || \
	    echo "stop the service $$s, unless you want it: tests start one of their own";; \
	  esac; done; \
	fi
	@mkdir -p $(STAMPS) && touch $@

# Exactly the releases of the lock, with their hashes (docs/adr/0046-packages-and-the-lock.md).
LOCKED = -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation
$(STAMPS)/environment: pyproject.toml deploy/requirements/build.txt deploy/requirements/tested.txt | $(STAMPS)/packages
	@$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info[:2] <= (3, 14), "Python 3.11 to 3.14 is needed"'
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(BIN)/python $(LOCKED) --require-hashes -r deploy/requirements/build.txt
	$(BIN)/python $(LOCKED) --require-hashes -r deploy/requirements/tested.txt
	$(BIN)/python $(LOCKED) -e .
	@mkdir -p $(STAMPS) && touch $@

# Stylesheet and scripts of the console's pages, by the hashes of package-lock.json (docs/adr/0060-govuk-frontend.md).
ASSETS := $(STAMPS)/web-assets
$(ASSETS): $(wildcard deploy/web_assets/*) | $(STAMPS)/environment
	$(BIN)/python deploy/web_assets/fetch.py
	@touch $@

# Tools that no test needs: their releases are locked too.
TOOLS := $(VENV)/tools
$(TOOLS)/.done: deploy/requirements/release.txt
	@[ -x $(TOOLS)/bin/python ] || $(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python $(LOCKED) --require-hashes -r $<
	@touch $@

$(CORE): audio/_relay.pyx audio/_core.pxd setup.py $(wildcard audio/core/*.[ch] audio/core/bpf/*.[ch]) $(STAMPS)/environment | $(ASSETS)
	$(BIN)/python setup.py -q build_ext --inplace
	@touch $@

demo: $(CORE)
	$(BIN)/recorder demo $(if $(ONCE),--once) $(if $(PHONE),--phone $(PHONE)) $(if $(OUTPUT),--output $(OUTPUT))

# What a change can break, with short leak, crash and fuzz runs: six minutes on two cores. Most of what is left to
# wait for is telephones, so six at a time share two cores; who runs what is in tests/helpers/units.py.
TOGETHER = -q --workers auto
test: $(CORE)
	$(BIN)/python -m pytest $(TOGETHER) -m "not long and not installed"

# Several recorders behind Kamailio, on hosts of their own (network namespaces, so as root): one is killed, also with its disk, both are upgraded.
test-cluster: $(CORE)
	CLUSTER_CALLS=$(or $(CALLS),40) $(BIN)/python -m pytest -q -s -m cluster

# Everything: all examples, benchmarks, 500 calls with secrets, 1,000 kills, 5,000,000 rows; the summary is tests/all/summary.json.
# `make test-all ARGUMENTS="--only kills"` takes some of it; `--help` says which.
test-all: $(CORE)
	$(BIN)/python tests/all $(ARGUMENTS)

# Pictures of the pages for the guides and docs/console.md, over a sample site (tests/helpers/sample_site.py).
screenshots: $(CORE)
	rm -f docs/screenshots/*.png
	SCREENSHOTS=docs/screenshots $(BIN)/python -m pytest -q tests/browser/test_screenshots.py
	$(BIN)/python -m docs.make_screenshots

# The documentation site, into site/: every link, anchor and picture is checked (docs/adr/0068-documentation-site.md).
docs: $(CORE)
	$(BIN)/python -m mkdocs build --strict --quiet

check: $(CORE) docs
	$(BIN)/typos
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports
	$(BIN)/python -m mypy.stubtest audio._relay
	$(BIN)/python -m deploy.release.lock check

# Fits the lock to pyproject.toml and keeps each release that still fits; `make lock UPGRADE=1` takes the newest ones.
lock: $(CORE) $(TOOLS)/.done
	$(BIN)/python -m deploy.release.lock renew $(if $(UPGRADE),--upgrade)

bench: $(CORE)
	$(BIN)/python -m benchmarks.media --calls 200 --seconds 10
	$(BIN)/python -m benchmarks.calls --calls 200 --seconds 60 --bare

# Known vulnerabilities of what is locked; exits with 3 where no advisory service answers. CI: IF_REACHABLE=1.
audit: $(CORE) $(TOOLS)/.done
	$(BIN)/python -m deploy.release.audit $(if $(IF_REACHABLE),--if-reachable)

# The Debian package of this release and Python of Debian, into dist/ (docs/operations.md); DEB_VERSION=x.y.z for another version.
DEB_PACKAGES = build-essential debhelper fakeroot gcc-bpf libbpf-dev nettle-dev python3 python3-dev python3-venv $(NPM_PACKAGES)
deb:
	@missing=""; for p in $(DEB_PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	[ -z "$$missing" ] || { $$sudo apt-get update -q && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -q --no-install-recommends $$missing; } >&2
	@mkdir -p $(STAMPS) && $(MAKE) -s $(TOOLS)/.done >&2
	@/usr/bin/python3 deploy/release/deb.py $(if $(DEB_VERSION),--version $(DEB_VERSION))

# Tests the package in a new root of this Debian release (as root; needs mmdebstrap): install, call, upgrade in a call, purge.
deb-test: $(CORE)
	$(BIN)/python -m pytest -q tests/package/test_debian_package.py

# The package on machines of its own, in namespaces, each with its own systemd (as root; docs/testing.md, Installed):
# what an administrator counts on. SHORT=1 takes what CI runs for every change; ONLY=text takes tests by name.
installed: $(CORE)
	$(BIN)/python -m pytest -q -m "installed$(if $(SHORT), and not long)" $(if $(ONLY),-k "$(ONLY)") tests/installed

# A release into dist/x.y.z, with checksums, and its tag: `make release VERSION=x.y.z`; DRY=1 says what stands in the way.
release: $(CORE)
	$(BIN)/python -m deploy.release.publish $(VERSION) $(if $(DRY),--dry-run) $(if $(SIGN),--sign)

# The leak suite (docs/leak-suite.md): `make leak CALLS=500`, about ten minutes; `make leak SEED=S ONLY=N` makes one call again.
leak: $(CORE)
	$(BIN)/python tests/leak --calls $(or $(CALLS),500) $(if $(SEED),--seed $(SEED)) $(if $(MEDIA),--media $(MEDIA))$(if $(IN_KERNEL),$(error IN_KERNEL=1 is now MEDIA=kernel)) $(if $(SERVERS),--servers) $(addprefix --only ,$(ONLY)) $(if $(JSON),--json $(JSON))

# Crash tests (docs/durability.md): `make kills KILLS=1000`, about three minutes; POWER=simulated, ext4 or xfs cuts the power too.
kills: $(CORE)
	$(BIN)/python tests/crash/kills.py --kills $(or $(KILLS),1000) $(if $(SEED),--seed $(SEED)) $(if $(POWER),--power $(POWER)) $(if $(JSON),--json $(JSON))

# Every parser in turn (docs/fuzzing.md): `make fuzz SECONDS_EACH=60`; SEED=S makes a run again, ONLY=name takes one target.
FUZZ = $(BIN)/python tests/fuzz --seconds-each $(or $(SECONDS_EACH),60) $(if $(SEED),--seed $(SEED))
fuzz: $(CORE)
	$(FUZZ) $(addprefix --only ,$(ONLY))

# The media core alone, built with sanitizers; what it had last is build/fuzz/audio/last-script.bin.
fuzz-core: $(CORE)
	CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=all -O1 -fno-omit-frame-pointer" \
	  $(BIN)/python setup.py -q build_ext --force --build-lib build/fuzz --build-temp build/fuzz-objects
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so)" ASAN_OPTIONS=detect_leaks=0 \
	  $(FUZZ) --core $$(ls build/fuzz/audio/_relay*.so)

# A command in a new Debian root, in a clone of HEAD (as root; needs mmdebstrap): `make fresh-root RELEASE=bookworm
# COMMAND="make test"`. The root goes afterwards, unless ROOT=FOLDER keeps it; CACHE=FOLDER keeps downloaded packages.
fresh-root:
	python3 tests/fresh_root --release $(or $(RELEASE),trixie) $(if $(ROOT),--root $(ROOT)) $(if $(CACHE),--cache $(CACHE)) \
	  '$(or $(COMMAND),make demo ONCE=1)'

clean:
	rm -rf build dist site *.egg-info audio/_relay.c audio/*.so audio/*.bpf.o benchmarks/_load.c benchmarks/*.so demo-output recorder/web/static/vendor $(STAMPS)/core $(ASSETS)
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
