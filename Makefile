# Every habit has a name: `make help` lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
NOTEBOOKS = index.ipynb $(wildcard chapters/*.ipynb)
WORKERS ?= 2
PORT ?= 8000

# A progress bar writes to stderr, and what a chapter writes to stderr fails the build.
export TQDM_DISABLE := 1
# Two chapters run side by side, and products of small matrices gain nothing from more threads:
# they wait for one another.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

# What an editor leaves in a notebook's metadata and a reader has no use for.
NOISE := metadata.language_info.version metadata.language_info.codemirror_mode \
	metadata.language_info.file_extension metadata.language_info.mimetype \
	metadata.language_info.nbconvert_exporter metadata.vscode metadata.widgets \
	metadata.jupytext metadata.colab metadata.accelerator cell.metadata.execution \
	cell.metadata.colab cell.metadata.id cell.metadata.outputId cell.metadata.vscode

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help book test serve notebooks edit save bench experiments lint clean chapter-given

help: ## list these targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r name what; do printf '%-18s %s\n' "$$name" "$$what"; done

book: $(READY) ## build the site: _build/html/index.html
	@$(BIN)/python tools/build_book.py

test: book ## build the site, run every chapter and every test
	$(BIN)/python -m pytest --nbmake --nbmake-timeout=90 -n $(WORKERS) --durations=8 \
		index.ipynb chapters tests

serve: book ## show the built site at http://127.0.0.1:8000 (PORT=...)
	$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

notebooks: $(READY) ## take outputs and editors' traces out of the notebooks
	@$(BIN)/nbstripout --keep-id --extra-keys "$(NOISE)" $(NOTEBOOKS)

edit: chapter-given $(READY) ## write CHAPTER=chapters/x.ipynb as Markdown beside it
	@$(BIN)/jupytext --quiet --to md:myst $(CHAPTER)
	@echo "edit $(CHAPTER:.ipynb=.md), then: make save CHAPTER=$(CHAPTER)"

save: chapter-given $(READY) ## carry that Markdown back into CHAPTER=chapters/x.ipynb
	@$(BIN)/jupytext --quiet --update --to ipynb $(CHAPTER:.ipynb=.md)
	@$(BIN)/nbstripout --keep-id --extra-keys "$(NOISE)" $(CHAPTER)

bench: $(READY) ## time a training step beside torch: benchmarks/results (a quiet machine, minutes)
	$(BIN)/python benchmarks/cpu.py
	$(BIN)/python benchmarks/torch_layers.py

experiments: $(READY) ## train again what is too long for a chapter: experiments/results (five hours)
	$(BIN)/python experiments/irnn.py adding
	$(BIN)/python experiments/irnn.py text
	$(BIN)/python experiments/five_models.py
	$(BIN)/python experiments/hidden_units.py
	$(BIN)/python experiments/words.py
	$(BIN)/python experiments/digits.py
	$(BIN)/python experiments/phonemes.py
	$(BIN)/python experiments/maze.py
	$(BIN)/python experiments/glimpses.py

lint: $(READY) ## check the code, also inside the notebooks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ." >&2; exit 1; }
	@$(BIN)/nbstripout --keep-id --extra-keys "$(NOISE)" --verify $(NOTEBOOKS)

clean: ## delete what was built (not .venv)
	rm -rf _build assets/mathjax build *.egg-info .pytest_cache .ruff_cache .hypothesis

chapter-given:
	@test -n "$(CHAPTER)" || { echo "name the chapter: CHAPTER=chapters/x.ipynb" >&2; exit 2; }

$(READY): requirements.txt requirements-triton.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else \
		"The book needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is %d.%d. " % v + \
		"Name another one: make book PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) -r requirements.txt
	$(PIP_INSTALL) -r requirements-triton.txt || \
		echo "Triton could not be installed: its kernels will not be run" >&2
	@touch $@
