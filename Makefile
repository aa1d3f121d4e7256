# Every target sets up what it needs; `make` alone says what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo stop test lint docs bench clean
export OMP_NUM_THREADS := 1

help: ## say what there is
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1|/' | \
		while IFS='|' read -r target text; do printf '  make %-6s %s\n' "$$target" "$$text"; done

demo: ## T_c of atomic metallic hydrogen at 500 GPa from first principles, set-up included
	@scripts/bootstrap.sh demo
	@examples/hydrogen/demo.sh

stop: ## stop the demo's daemon; `make demo` resumes
	@source scripts/activate.sh && verdi -p clathrate daemon stop

test: ## the tests, with real Quantum ESPRESSO runs, without those that take many minutes
	@scripts/bootstrap.sh tests
	@.venv/bin/python -m pytest -m 'not slow' -rs

lint: ## ruff, mypy, codespell
	@scripts/bootstrap.sh dev
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/codespell

docs: ## the documentation, in docs/_build/html
	@scripts/bootstrap.sh dev
	.venv/bin/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo 'docs/_build/html/index.html'

bench: ## the benchmarks; PYTHON_SSCHA and CLATHRATE_PEERS name interpreters with the peers
	@scripts/bootstrap.sh tests
	@set -e; for name in eliashberg sscha; do echo "== $$name"; .venv/bin/python "benchmarks/$$name.py"; done
	@echo '== potential'; .venv/bin/python benchmarks/potential.py speed

clean: ## remove the environment, caches and builds; the profile and its results stay
	@rm -rf .venv build dist docs/_build docs/reference/api .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo 'Removed. The AiiDA profile with its results is in .aiida-clathrate: delete it yourself if you mean to.'
