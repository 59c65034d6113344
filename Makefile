# make run      installs what serving needs (no torch) and opens the demo on http://127.0.0.1:8000 (kept in spinecare-data)
# make install  a development environment in .venv: base, training, tools
# make test     checks and the whole test suite (slow studies have their own commands)
# make check    ruff, mypy, the floors of the house
# make bundle   trains the default bundle anew on virtual patients and puts it into the package
# make results   studies, claims and checks on the real scans beside the checkout, then docs/results.md (two hours; resumable)
# make phantom-evidence   measures the simulator and writes docs/phantom.md (an hour; one topic: ONLY=speed)

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
VGG_WEIGHTS ?= ../shared/data/weights/vgg16_imagenet_conv.safetensors
SPINE_DXA ?= ../shared/data/spine_dxa/manifest.csv
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: run install test check bundle results phantom-evidence clean

run: .venv/base.stamp
	$(BIN)/spinecare serve --demo --host $(HOST) --port $(PORT) --data spinecare-data

install: .venv/full.stamp

test: check
	$(BIN)/python -m pytest -n auto

check: .venv/full.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bundle: .venv/full.stamp
	$(BIN)/spinecare default-train --out runs/default --vgg-weights $(VGG_WEIGHTS) --install

# Needs the run of `make bundle` in runs/default for the ablations that fine-tune. A study of real labels is a look:
# it wants a line in docs/looks.md.
results: .venv/full.stamp
	$(BIN)/spinecare dataset make $(SPINE_DXA) --out runs/spine_dxa.csv
	$(BIN)/spinecare study runs/spine_dxa.csv --config benchmarks/studies/headline.toml --out runs/headline --audit \
	  --ablate augmentation,learning_curve,pretraining --without vgg16_none,vgg16_virtual
	$(BIN)/spinecare claims runs/spine_dxa.csv --vgg-weights $(VGG_WEIGHTS) --out runs/claims
	$(BIN)/python -m benchmarks.phantom.model --n 2100 --report runs/virtual
	$(BIN)/python -m benchmarks.results --study runs/headline --audit runs/headline --ablate runs/headline \
	  --claims runs/claims --virtual runs/virtual --look runs/look

phantom-evidence: .venv/full.stamp
	$(BIN)/python -m benchmarks.phantom $(if $(ONLY),--only $(ONLY))

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'SpineCare needs Python 3.11 or newer: make PYTHON=python3.11 ...')"
	$(PYTHON) -m venv .venv

.venv/base.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e .
	touch $@

# torch is named first and exactly: anything else would let another package pull a build with CUDA.
.venv/full.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) "torch==2.13.0"
	$(PIP) -e ".[train,dev]"
	touch $@ .venv/base.stamp
