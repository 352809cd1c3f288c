# make repro      sets up .venv, then runs the whole pipeline and says where the report is
# make test       the same set-up with test tools, then ruff, mypy and pytest
# make backbones  trains the shipped frozen parts again (hours on two cores; not needed for anything above)
SHELL := /bin/bash
PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)
PWD := $(CURDIR)
include env.sh

.PHONY: repro test backbones install private
repro: .venv/.installed private
	dvc repro
	@echo
	@echo "Report:     file://$(CURDIR)/reports/index.html  (and reports/main.md)"
	@echo "MLflow UI:  .venv/bin/workbench ui    then open http://127.0.0.1:5000"

test: .venv/.tested private
	ruff check .
	mypy
	OMP_NUM_THREADS=1 pytest -n 2 --dist loadfile --no-loadscope-reorder

backbones: .venv/.installed private
	python -m workbench.stages.backbone_vision
	python -m workbench.stages.backbone_language --family t5
	python -m workbench.stages.backbone_language --family llama
	python -m workbench.stages.backbone_qformer
	python -m workbench.stages.pretrain --family t5
	python -m workbench.stages.pretrain --family llama
	dvc commit --force backbone_vision pretrain@t5 pretrain@llama

install: .venv/.installed private

.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=python3.x")'
	$(PYTHON) -m venv .venv
	touch $@

# torch alone and first: nothing that follows may pull another build of it in
.venv/.installed: .venv/.python constraints.txt pyproject.toml
	pip install --disable-pip-version-check -q "$$(grep '^torch==' constraints.txt)"
	pip install --disable-pip-version-check -q -c constraints.txt -e .
	touch $@

.venv/.tested: .venv/.installed
	pip install --disable-pip-version-check -q -c constraints.txt -e '.[test]'
	touch $@

# before DVC makes it public, or after
private:
	@mkdir -p .dvc/site && chmod 700 .dvc/site
