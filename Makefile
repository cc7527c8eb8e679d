# Everything a newcomer needs: `make demo`, `make test`.  Needs Python 3.11 or 3.12, make and git; no compiler.

VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
STANDIN := third_party/fastecdsa-standin

# What `make demo` runs.
DEMO := $(BIN)/python examples/demo.py

# The newest supported interpreter found; `make PYTHON=/path/to/python3.12 ...` chooses another.
IS_SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
PYTHON ?= $(shell for python in python3.12 python3.11 python3; do \
	"$$python" -c '$(IS_SUPPORTED)' 2>/dev/null && { echo "$$python"; break; }; done)

.PHONY: demo test lint pytest test-slow setup gpu-cuda12 gpu-cuda13 gpu-cubin lock clean

demo: setup
	$(DEMO)

test: lint pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Tests are deterministic and share nothing, so they run on all cores; those marked slow start whole networks.
pytest: setup
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4

test-slow: setup
	$(BIN)/python -m pytest -m slow

setup: $(STAMP)

# The order matters: build tools, then the stand-in that keeps pip from compiling fastecdsa, then everything that
# is locked, then the project itself. Hashes are checked, nothing is resolved, and `pip check` confirms the result.
$(STAMP): setup.py requirements-build.lock requirements.lock $(wildcard $(STANDIN)/*.py $(STANDIN)/*/*.py)
	@test -n "$(PYTHON)" || { echo "Tilework needs Python 3.11 or 3.12; found: $$(python3 --version 2>&1)." \
	  "Install one of them, or name it: make PYTHON=/path/to/python3.12. (plyvel, the LevelDB binding, has no wheel" \
	  "for newer Pythons: there it needs a C++ compiler, the Python headers and libleveldb-dev.)" >&2; exit 1; }
	@"$(PYTHON)" -c '$(IS_SUPPORTED)' || { echo "$(PYTHON) is $$("$(PYTHON)" --version 2>&1); Tilework needs 3.11 or" \
	  "3.12: plyvel, the LevelDB binding, has no wheel for newer Pythons (there it needs a C++ compiler, the Python" \
	  "headers and libleveldb-dev). Try: make PYTHON=python3.12" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install -qq --no-deps --require-hashes -r requirements-build.lock
	$(BIN)/python -m pip install -qq --no-deps --no-build-isolation ./$(STANDIN)
	$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check
	@touch $@

# CuPy for the `cuda` engine, by the major version of CUDA the driver supports; `nvidia-smi` shows it.
gpu-cuda12 gpu-cuda13: setup
	$(BIN)/python -m pip install -qq --no-deps --require-hashes -r requirements-$@.lock
	$(BIN)/python -m pip check

# Machine code of the wgmma kernel (compute capability 9.0), for machines without nvcc; needs nvcc of CUDA 12 or later.
# It goes to ~/.cache/tilework, where the engine finds it; copy that directory to other machines of the same release.
gpu-cubin: setup
	$(BIN)/python -m compute.engines.cuda_cubin

# Rewrites the lock files from setup.py (needs the network): every package with its exact version and the hashes of all
# its files. `make lock UPGRADE=--upgrade` takes newer releases where setup.py allows them. fastecdsa is the stand-in.
COMPILE := build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(UPGRADE)
lock:
	"$(PYTHON)" -m venv --clear build/lock
	build/lock/bin/python -m pip install -qq uv==0.13.8
	$(COMPILE) setup.py --extra fast --extra demo --extra dev --no-emit-package fastecdsa --output-file requirements.lock
	printf 'setuptools\nwheel\n' | $(COMPILE) - --constraint requirements.lock --output-file requirements-build.lock
	for cuda in cuda12 cuda13; do grep -o "cupy-$${cuda}x==[0-9.]*" setup.py \
	  | $(COMPILE) - --constraint requirements.lock --output-file requirements-gpu-$$cuda.lock || exit 1; done

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .import_linter_cache .hypothesis .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
