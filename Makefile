# Everything a developer does. Each target sets up what it needs; none of them needs root.
#
#   make install             .venv with the command .venv/bin/gatepost
#   make demo [ARGS=--check] a mail server and gatepost in front of it, on this machine
#   make test [ARGS=...]     all tests; ARGS go to pytest
#   make conformance         what sslyze, testssl.sh and command-injection-tester say about us
#   make fuzz [TARGET=imap_client] [SECONDS=60]   look for inputs that break something
#   make lint                formatter, linter, types
#   make docs                the directive reference and the manual pages, from the directives themselves
#   make sbom                build/sbom.json: a bill of materials of what is installed, OpenSSL included (CycloneDX)
#   make lock [ARGS=--upgrade]   requirements/*.txt: versions and hashes of all that these targets install
#   make bench [QUICK=1]     what a login, a GiB and an idle connection cost, beside the servers that are installed
#   make compiled            build/compiled: an install whose hot modules are compiled
#   make soak [SECONDS=1200] [CONNECTIONS=2000] [SEED=1]   a long night, and what is left of it
#
# PYTHON=/path/to/python3.13 chooses the interpreter; otherwise the newest of 3.11 to 3.14 is taken.

VENV ?= .venv
BIN := $(VENV)/bin
SETUP := sh tools/make-venv $(VENV)
COMPILED := build/compiled/.made
FROM_OUTSIDE := tests/functional tests/faults tests/security

.PHONY: install demo test programs conformance fuzz lint docs sbom lock bench soak native compiled clean

install: $(VENV)/.installed
	@echo 'gatepost is $(BIN)/gatepost'

demo: $(VENV)/.installed-demo
	$(BIN)/python demo/run.py $(ARGS)

# With ARGS once, against the sources; without, what looks at gatepost from outside also against the compiled form.
test: programs $(VENV)/.installed-dev native $(if $(ARGS),,compiled)
	$(BIN)/python -m pytest $(ARGS)
ifndef ARGS
	@if [ -e build/compiled/gatepost ]; then \
	    PYTHONPATH=$(CURDIR)/build/compiled $(BIN)/python -m pytest $(FROM_OUTSIDE); fi
endif

programs:
	@sh tools/need-programs dovecot curl groff haproxy mandoc openssl softhsm2-util strace swaks $$([ "$$(id -u)" != 0 ] || echo postfix)

conformance: $(VENV)/.installed-conformance native
	@sh tools/need-programs testssl
	$(BIN)/python -m conformance

fuzz: $(VENV)/.installed-fuzz native
	$(BIN)/python -m fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(TARGET)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

docs: $(VENV)/.installed
	$(BIN)/python -m gatepost.cli.documents

sbom: $(VENV)/.installed
	@mkdir -p build
	$(BIN)/python tools/sbom.py build/sbom.json

lock: $(VENV)/.installed-lock
	$(BIN)/python tools/lock.py $(ARGS)

bench: $(VENV)/.installed-dev native compiled
	$(BIN)/python -m bench $(if $(QUICK),--quick) $(ARGS)

soak: $(VENV)/.installed-dev native
	$(BIN)/python -m soak $(if $(SECONDS),--seconds $(SECONDS)) $(if $(CONNECTIONS),--connections $(CONNECTIONS)) $(if $(SEED),--seed $(SEED))

# The compiled form of the TLS binding, where there are a compiler and headers; else the tests use the form without.
native: $(VENV)/.native
$(VENV)/.native: $(VENV)/.installed-dev src/gatepost/tls/_decl.py src/gatepost/tls/build.py
	@if $(BIN)/python -m gatepost.tls.build; then touch $@; else echo 'gatepost: going on without the compiled TLS binding'; fi

# An install of its own with compiled modules (docs/why/0016): the sources stay what ``make test`` and everybody runs.
compiled: $(COMPILED)
$(COMPILED): $(VENV)/.installed-dev setup.py pyproject.toml tools/make-compiled $(shell find src -name '*.py' -o -name '[a-z]*' -type d)
	sh tools/make-compiled $(VENV) build/compiled

$(VENV)/.installed: pyproject.toml tools/make-venv requirements/install.txt
	$(SETUP)
$(VENV)/.installed-demo: pyproject.toml tools/make-venv requirements/demo.txt
	$(SETUP) demo
$(VENV)/.installed-dev: pyproject.toml tools/make-venv requirements/dev.txt
	$(SETUP) dev
$(VENV)/.installed-conformance: pyproject.toml tools/make-venv requirements/conformance.txt
	$(SETUP) conformance
$(VENV)/.installed-fuzz: pyproject.toml tools/make-venv requirements/fuzz.txt
	$(SETUP) fuzz
$(VENV)/.installed-lock: pyproject.toml tools/make-venv requirements/lock.txt
	$(SETUP) lock

clean:
	find src -name '*.so' -delete
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
