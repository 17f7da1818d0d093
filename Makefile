# `make help` says what there is. Everything runs in .venv, which set-up makes from locks/; nothing is installed elsewhere
# but, as root, missing Debian packages.
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help setup setup-otel setup-dev setup-tests page demo test test-drawing test-clients fuzz bench soak docs test-as-user test-other-kernel wheel test-install test-image test-service check format reference lock clean
export PYTHON

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand --tabs=26

setup: ## make .venv/bin/belljar ready to use, with the runtime that code runs on, and its page
	@scripts/setup
	@scripts/page offer

setup-otel: ## the same, with what sends spans to an OpenTelemetry collector
	@scripts/setup otel
	@scripts/page offer

setup-dev:
	@scripts/setup dev

setup-tests:
	@scripts/setup tests

page: ## build the server's page at / from web/ (needs Node 20.19 or newer with npm)
	@scripts/page

# The demo speaks through the official SDK, which the server itself does without.
demo: setup-dev ## set up, start a server and send it the requests of examples/
	@.venv/bin/python examples/demo.py

# Folders whose files take longest come first: what is left for one processor at the end is then short.
test: setup-dev ## set up and run the tests of the jail and the server (a quarter of an hour; PYTEST_ARGS="-k name" for some)
	@scripts/page offer
	scripts/run-tests --ignore=tests/sandbox/drawing tests/sandbox tests/gateway tests/fuzz tests/store tests/unit $(PYTEST_ARGS)

test-drawing: setup-dev ## run the tests of what libraries draw: each kind of chart, figures in every format, text in every script
	scripts/run-tests tests/sandbox/drawing $(PYTEST_ARGS)

test-clients: setup-tests ## run the tests from without: the command, SDKs, MCP, adapters, the page in a browser, what docs/ tells to do
	@scripts/page offer
	scripts/run-tests tests/page tests/command tests/sdk tests/mcp tests/docs tests/adapters $(PYTEST_ARGS)

fuzz: setup-dev ## run the tests of tests/fuzz, of which `make test` takes few examples, with many
	.venv/bin/pytest tests/fuzz --hypothesis-profile=many $(PYTEST_ARGS)

bench: ## measure beside cold python, bubblewrap and Jupyter, and print tables (BENCH_ARGS=--quick for a short one)
	@scripts/setup bench
	.venv/bin/python bench/compare.py $(BENCH_ARGS)

SESSIONS ?= 10000
soak: setup-dev ## run SESSIONS sessions, and show that the keeper does not grow (10,000 take some ten minutes)
	.venv/bin/python bench/soak.py --sessions $(SESSIONS)

test-as-user: ## run the tests of the jail as an ordinary user, then without namespaces; root runs them on a copy
	scripts/test-as-user

# Not part of `make test`: it needs QEMU and a kernel, says what to install where they lack, and takes some ten minutes.
test-other-kernel: setup-dev ## run tests of the jail in a virtual machine with cgroup version 2 (KERNEL=linux-image-*.deb)
	scripts/other-kernel "$(KERNEL)" $(if $(PYTEST_ARGS),-- $(PYTEST_ARGS))

# The page goes into it: `make page` builds that, in a checkout that has its source.
wheel: $(if $(wildcard web/package.json),page) ## build dist/*.whl, which pip installs, and dist/*.tar.gz
	@scripts/build-wheel

test-install: setup-dev wheel ## install the wheel as a user would, and try it; nginx and systemd read their files (some 4 minutes)
	.venv/bin/pytest -o faulthandler_timeout=600 tests/install/check_*.py $(PYTEST_ARGS)

# Docker itself is not needed: scripts/check-image says what it does instead, and what it leaves out.
IMAGE ?= $(CURDIR)/dist/image
test-image: setup-dev wheel ## run the Dockerfile's lines in trees of Debian's, and the server in what they make (as root; some 5 minutes)
	.venv/bin/python scripts/check-image --keep "$(IMAGE)" $(IMAGE_ARGS)

# On what `make test-image` has left, in a virtual machine.
test-service: setup-dev ## run packaging/belljar.service under systemd, after test-image (KERNEL=linux-image-*.deb; some 4 minutes)
	.venv/bin/python scripts/other-kernel --unit "$(IMAGE)/stage-1/opt/belljar" "$(KERNEL)"

docs: ## build the documentation as a site in dist/site; a link or anchor that leads nowhere is an error
	@scripts/setup docs
	@.tools/docs/bin/zensical build --strict

check: setup-dev ## lint, formatting, types and the arrows between the folders
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	@scripts/page check

format: setup-dev ## bring the code into its form
	.venv/bin/ruff check --fix-only
	.venv/bin/ruff format

reference: setup-dev ## write what docs/reference.md and docs/command.md have from the code anew
	.venv/bin/python scripts/make-reference
	.venv/bin/python scripts/make-command-page

lock: ## write locks/ anew after a change of dependencies (LOCK_ARGS=--upgrade for the newest)
	scripts/lock $(LOCK_ARGS)

clean: ## remove the environments and caches
	rm -rf .venv .venv-sdk .venv-adapters tests/sdk/node_modules web/node_modules src/belljar/page .tools demo-output dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
