# Everything this project does, as make targets. Continuous integration calls nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# What is old has no wheels for the newest Python and would be compiled: there uv takes another one, or downloads it.
OLD_PYTHON = $(shell $(PYTHON) -c 'import sys; print(sys.executable if sys.version_info < (3, 14) else ">=3.10,<3.14")')

# The stub compiler has an environment of its own, because an old protoc decides what users may run:
# grpcio-tools 1.66.2 writes code for protobuf >= 5.27.2 and grpcio >= 1.66.2; a newer one would raise both floors.
STUBS_VENV := .venv-stubs
STUBS_TOOLS := grpcio-tools==1.66.2 protobuf==5.29.5 googleapis-common-protos==1.75.0 mypy-protobuf==3.7.0 setuptools==80.10.2
STUBS_PACKAGE := spanner_grpc_sessions_pb
PROTOS := $(wildcard protos/google/spanner/v1/*.proto)

# The lowest versions that pyproject.toml allows; google-cloud-spanner asks for a higher protobuf, so it gets an
# environment of its own. Its grpcio-status is named, because the newest one would raise grpcio.
LOWEST_VENV := .venv-lowest
LOWEST_GOOGLE_VENV := .venv-lowest-google
LOWEST_GOOGLE := google-cloud-spanner==3.71.0 grpcio-status>=1.59.0

# What hangs on gRPC, protobuf and google-auth: the session RPCs, calls, tokens and conversions.
LOWEST_TESTS := tests/local tests/support $(foreach folder,auth calls discovery errors rest service transport,tests/unit/$(folder)) \
    tests/integration/stubs $(foreach name,life calls ends losses restart,tests/integration/pool/test_$(name).py) \
    tests/integration/multiplexed $(filter-out $(foreach name,benchmark_servers cancellations command_output commands doctor \
    documentation first_conversions heartbeat hostile_values interrupted_lines names signals wsgi_servers,tests/integration/test_$(name).py), \
    $(wildcard tests/integration/test_*.py))

# Other versions of Python, where they are installed, and the tests that depend on the version most.
PYTHONS := 3.12 3.13
# In continuous integration, of the older one what the newer one does not have: how it forks and cancels; and of the newer
# one no unit tests, which hardly depend on the version.
OLDER_TESTS := $(foreach name,pool/test_cancellations multiplexed/test_cancellations test_cancellations test_lifecycle \
    test_forks test_fork_table,tests/integration/$(name).py) -k 'not emulator'
PYTHONS_TESTS := tests/unit tests/integration/pool tests/integration/multiplexed $(foreach name,\
    sessions lifecycle forks fork_table copies streams failures cancellations interrupted_lines,tests/integration/test_$(name).py) \
    $(foreach pure,rest service pool/core,--ignore=tests/unit/$(pure)) -k 'not emulator'

# What `make matrix` runs on each Python, on the highest and on the lowest versions: a minute for each of a dozen. Sessions,
# threads, streams and ends over real servers, and what is nearest to gRPC. The targets above run more, on fewer.
MATRIX_TESTS ?= $(foreach name,sessions lifecycle streams copies,tests/integration/test_$(name).py) \
    $(foreach folder,pool transport,tests/unit/$(folder)) -k 'not emulator'
MATRIX_PYTHONS ?=

# What looks at a release has an environment of its own: pip-audit brings thirty packages.
RELEASE_VENV := .venv-release

# A client that nobody here wrote, for the tests of the local server.
NODE_PEER := @google-cloud/spanner@9.0.0

# The type checker of editors, which runs on Node too.
PYRIGHT_PACKAGE := pyright@1.1.414
PYRIGHT := build/pyright/node_modules/.bin/pyright

# Of `make simulate`: how many runs, and how long each is. `python -m tests.simulation seed 7 --days 30` repeats one.
SEEDS ?= 1000
DAYS ?= 30

PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
UV_INSTALL := $(BIN)/uv pip install --quiet
PYTEST_ARGS ?=
BENCH ?=
BENCH_ARGS ?=
REPORT_ARGS ?=
# Each worker starts the servers that its tests ask for, the emulator among them.
# More of them than cores, for they wait a lot.
PYTEST := -m pytest --numprocesses 4 --dist worksteal

# Hundreds of tests start processes, each of which would compile what it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install dev demo serve bench bench-report chaos soak fuzz chaos-short simulate sync check-sync lint types node-peer test coverage test-lowest test-pythons matrix test-wheel release-check audit check check-static check-tests environments docs build stubs check-stubs watch-contract clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

install: $(VENV)/.installed  ## make .venv with the library in it, as users have it

dev: $(VENV)/.dev  ## make .venv with all that developing takes

demo: install  ## show what the library does, against a local server
	$(BIN)/python -m spanner_grpc_sessions.cli.demo

serve: install  ## run the local server until it is interrupted
	$(BIN)/spanner-sessions serve

bench: dev node-peer  ## run the benchmarks, in less than ten minutes; BENCH="name ..." for some, BENCH_ARGS=--check to fail
	$(BIN)/python -m benchmarks $(BENCH_ARGS) $(BENCH)

bench-report: dev  ## write benchmarks/results/report.html and docs/benchmarks.md from the last run of all benchmarks
	$(BIN)/python -m benchmarks.report $(REPORT_ARGS)

chaos: dev  ## break things on purpose under load, and end in a table: 10 minutes; FAULT="name" SEED=n for one fault
	$(BIN)/python -m tests.chaos $(if $(FAULT),--fault '$(FAULT)') $(if $(SEED),--seed $(SEED))

soak: dev  ## work for MINUTES=30, and see memory, threads and descriptors stay
	$(BIN)/python -m tests.chaos.soak --minutes $(or $(MINUTES),30)

fuzz: dev  ## feed random input to each fuzz target in turn for SECONDS=600 in all, guided by coverage where atheris is
	-$(UV_INSTALL) --python $(BIN)/python --only-binary atheris --group fuzz
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),600)

# Side by side, for both wait most of the time.
chaos-short: dev  ## the short forms of chaos and soak, in less than a minute
	$(BIN)/python -m tests.chaos.soak --minutes 0.2 & soak=$$!; \
	$(BIN)/python -m tests.chaos --short; chaos=$$?; wait $$soak && exit $$chaos

simulate: dev  ## run 1,000 months of a service in virtual time (SEEDS= DAYS=), and then a fleet of 10,000 processes
	$(BIN)/python -m tests.simulation all --count $(SEEDS) --days $(DAYS)

sync: dev  ## write the sync twins of the asyncio modules
	$(BIN)/python scripts/unasync.py

check-sync: dev  ## fail if a sync twin is not what its asyncio module gives
	$(BIN)/python scripts/unasync.py --check

lint: dev  ## check style and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

# pyright fails where the type of a public name is not known. It lists all modules too: only the errors and the score are shown.
types: dev build/pyright/.installed  ## check the types of library, tests, benchmarks and examples, and that none is missing
	$(BIN)/mypy
	if ! [ -x $(PYRIGHT) ]; then echo "no pyright here: its checks are skipped"; exit; fi; \
	PATH="$$PWD/$(BIN):$$PATH"; \
	$(PYRIGHT) --pythonversion 3.10 tests/typing/api.py || exit 1; \
	$(PYRIGHT) --ignoreexternal --verifytypes spanner_grpc_sessions > build/pyright/report.txt; passed=$$?; \
	grep -B 1 -A 1 -e ' error: ' -e ' score: ' build/pyright/report.txt; exit $$passed

node-peer: build/node/.installed  ## install Google's client for Node, for the tests of the local server; nothing where npm is missing

test: dev $(STUBS_VENV)/.installed  ## run all tests; PYTEST_ARGS="-k name" for some
	$(BIN)/python $(PYTEST) $(PYTEST_ARGS)

# These set a trace function of their own, in the place of the one that sees what is reached, or look at what is imported
# and at how long the loop stands still, to which that adds.
TRACING_TESTS := tests/unit/test_house.py tests/integration/test_heartbeat.py tests/support/test_interrupting.py tests/unit/rest/test_first_use.py \
    tests/unit/runtime/test_threads.py::test_an_interruption_comes_before_the_function_or_after_it \
    $(foreach name,test_first_conversions test_interrupted_lines pool/test_interrupted_lines,tests/integration/$(name).py)

coverage: dev  ## run the tests and tell what they do not reach; fail below 95% of lines and branches together, or of branches alone
	rm -rf build/coverage
	mkdir -p build/coverage
	THOROUGH= $(BIN)/python -m coverage run $(PYTEST) $(TRACING_TESTS:%=--deselect=%) $(PYTEST_ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report
	$(BIN)/python -m coverage json --quiet -o build/coverage/report.json
	$(BIN)/python scripts/branches.py 95 < build/coverage/report.json

test-lowest: $(LOWEST_VENV)/.installed $(LOWEST_GOOGLE_VENV)/.installed $(STUBS_VENV)/.installed  ## run the tests on the lowest versions allowed
	THOROUGH= $(LOWEST_VENV)/bin/python $(PYTEST) $(LOWEST_TESTS) $(PYTEST_ARGS)
	THOROUGH= $(LOWEST_GOOGLE_VENV)/bin/python $(PYTEST) tests/coexistence tests/integration/google_cloud

test-pythons: $(PYTHONS:%=test-python-%)  ## run unit, pool and client tests on other Pythons, where they are

test-python-%: $(VENV)-%/.installed
	if [ -x $(VENV)-$*/bin/python ]; then \
	    THOROUGH= $(VENV)-$*/bin/python $(PYTEST) \
	        $(if $(and $(CI),$(filter $(firstword $(PYTHONS)),$*)),$(OLDER_TESTS),$(if $(CI),$(filter-out tests/unit,$(PYTHONS_TESTS)),$(PYTHONS_TESTS))) $(PYTEST_ARGS); \
	else echo "no Python $* here: its tests are skipped"; fi

matrix: dev  ## run MATRIX_TESTS= on each Python here from 3.10 to 3.15 (MATRIX_PYTHONS=), on highest and lowest versions; DOWNLOAD=1
	THOROUGH= $(BIN)/python scripts/matrix.py $(if $(DOWNLOAD),--download) $(addprefix --python ,$(MATRIX_PYTHONS)) -- \
	    --numprocesses 4 --dist worksteal $(MATRIX_TESTS) $(PYTEST_ARGS)

test-wheel: dev  ## install the wheel alone, away from the checkout, and try it
	$(BIN)/python -m pytest tests/packaging

# More draws take minutes: continuous integration goes without.
check: export THOROUGH := $(if $(CI),,1)
check: check-static check-tests  ## everything that has to pass, the quick ones first

check-tests: node-peer test chaos-short test-pythons test-lowest  ## all tests, on all versions

check-static: lint types check-sync check-stubs docs  ## everything that has to pass without running a test

environments: $(VENV)/.dev $(STUBS_VENV)/.installed $(LOWEST_VENV)/.installed $(LOWEST_GOOGLE_VENV)/.installed $(foreach version,$(PYTHONS),$(VENV)-$(version)/.installed) $(VENV)/.docs node-peer build/pyright/.installed  ## install all that `check` needs

docs: $(VENV)/.docs  ## build the documentation into build/docs; a warning is an error
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs build/docs

build: dev  ## build wheel and sdist into dist/
	rm -rf dist
	$(BIN)/uv build --quiet

release-check: build test-wheel $(RELEASE_VENV)/.installed $(if $(OFFLINE),,audit)  ## check wheel, sdist, workflows and dependencies; OFFLINE=1 without `audit`
	$(RELEASE_VENV)/bin/twine check --strict dist/*
	$(RELEASE_VENV)/bin/zizmor --offline --quiet .github/workflows
	$(if $(OFFLINE),@echo "dependencies are not audited")

audit: $(RELEASE_VENV)/.installed  ## look up known vulnerabilities of the dependencies; fails where the index does not tell
	$(RELEASE_VENV)/bin/python scripts/audit.py

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP_INSTALL) --editable '.[cli]'
	touch $@

$(VENV)/.dev: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP_INSTALL) uv
	$(UV_INSTALL) --python $(BIN)/python --editable . --group dev
	touch $(VENV)/.installed $@

$(VENV)/.docs: $(VENV)/.dev
	$(UV_INSTALL) --python $(BIN)/python --group docs
	touch $@

build/pyright/.installed: Makefile
	mkdir -p build/pyright
	if command -v npm > /dev/null && npm install --silent --no-fund --no-audit --prefix build/pyright $(PYRIGHT_PACKAGE); then \
	    touch $@; else echo "npm cannot install pyright here"; fi

build/node/.installed: Makefile
	mkdir -p build/node
	if command -v npm > /dev/null; then npm install --silent --no-fund --no-audit --prefix build/node $(NODE_PEER) && touch $@; fi

# $(1): requirements beside our own. They are installed first and then kept, so that the test tools cannot raise them.
define install_lowest
	$(BIN)/uv venv --quiet --clear --python '$(OLD_PYTHON)' $(@D)
	$(UV_INSTALL) --python $(@D)/bin/python --resolution lowest-direct --editable '.[cli]' \
	    $(foreach requirement,$(1),'$(requirement)')
	$(UV_INSTALL) --python $(@D)/bin/python --group test
	touch $@
endef

$(LOWEST_VENV)/.installed: pyproject.toml Makefile | $(VENV)/.dev
	$(call install_lowest)

$(LOWEST_GOOGLE_VENV)/.installed: pyproject.toml Makefile | $(VENV)/.dev
	$(call install_lowest,$(LOWEST_GOOGLE))

# pyenv's Pythons are not on the PATH. A version that is not installed leaves no environment, and is looked for again.
$(VENV)-3.%/.installed: pyproject.toml Makefile | $(VENV)/.dev
	for python in "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.$*.*/bin/python "$$(command -v python3.$*)"; do \
	    if "$$python" -c '' 2> /dev/null; then \
	        $(BIN)/uv venv --quiet --clear --no-python-downloads --python "$$python" $(@D) && \
	        $(UV_INSTALL) --python $(@D)/bin/python --editable . --group dev && touch $@; exit; \
	    fi; \
	done

$(RELEASE_VENV)/.installed: pyproject.toml | $(VENV)/.dev
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(RELEASE_VENV)
	$(UV_INSTALL) --python $(RELEASE_VENV)/bin/python --group release
	touch $@

$(STUBS_VENV)/.installed: Makefile | $(VENV)/.dev
	$(BIN)/uv venv --quiet --clear --python '$(OLD_PYTHON)' $(STUBS_VENV)
	$(UV_INSTALL) --python $(STUBS_VENV)/bin/python $(STUBS_TOOLS)
	touch $@

# $(1): the folder that receives the package. Two substitutions make the output live beside any other
# google.spanner.v1 in one process: the proto package is renamed in a scratch copy, and the service path that
# servers know is put back into the gRPC file. A third says of which type a mapping is that a constructor takes.
define compile_stubs
	rm -rf build/protos $(1)/$(STUBS_PACKAGE)
	mkdir -p build/protos $(1)/$(STUBS_PACKAGE)
	for proto in $(PROTOS); do \
	    sed -e 's|^package google\.spanner\.v1;|package $(STUBS_PACKAGE);|' \
	        -e 's|"google/spanner/v1/|"$(STUBS_PACKAGE)/|' $$proto > build/protos/$${proto##*/} || exit 1; \
	done
	include=$$($(STUBS_VENV)/bin/python -c 'import google.rpc; print(google.rpc.__path__[0] + "/../..")') && \
	PATH="$(STUBS_VENV)/bin:$$PATH" $(STUBS_VENV)/bin/python -m grpc_tools.protoc \
	    -I $(STUBS_PACKAGE)=build/protos -I $$include --python_out=$(1) --pyi_out=$(1) \
	    $(patsubst protos/google/spanner/v1/%,$(STUBS_PACKAGE)/%,$(PROTOS)) && \
	PATH="$(STUBS_VENV)/bin:$$PATH" $(STUBS_VENV)/bin/python -m grpc_tools.protoc \
	    -I $(STUBS_PACKAGE)=build/protos -I $$include --grpc_python_out=$(1) --mypy_grpc_out=$(1) \
	    $(STUBS_PACKAGE)/spanner.proto
	sed -i -e "s|'/$(STUBS_PACKAGE)\.Spanner/|'/google.spanner.v1.Spanner/|" \
	    -e "s|'$(STUBS_PACKAGE)\.Spanner'|'google.spanner.v1.Spanner'|" $(1)/$(STUBS_PACKAGE)/spanner_pb2_grpc.py
	sed -i -e 's|_Mapping\]|_Mapping[str, object]]|g' $(1)/$(STUBS_PACKAGE)/*_pb2.pyi
	touch $(1)/$(STUBS_PACKAGE)/__init__.py $(1)/$(STUBS_PACKAGE)/py.typed
endef

stubs: $(STUBS_VENV)/.installed  ## compile protos/ into generated/
	$(call compile_stubs,generated)

check-stubs: $(STUBS_VENV)/.installed  ## fail if generated/ is not what protos/ compiles to
	$(call compile_stubs,build/stubs)
	diff -r --exclude=__pycache__ build/stubs/$(STUBS_PACKAGE) generated/$(STUBS_PACKAGE)

watch-contract: $(STUBS_VENV)/.installed  ## compare protos/ with the newest ones that Google publishes
	$(STUBS_VENV)/bin/python scripts/watch_contract.py

clean:  ## remove what the targets build
	rm -rf build dist $(VENV) $(STUBS_VENV) $(RELEASE_VENV) $(LOWEST_VENV) $(LOWEST_GOOGLE_VENV) $(addprefix $(VENV)-,$(PYTHONS)) .mypy_cache .ruff_cache .pytest_cache .hypothesis
