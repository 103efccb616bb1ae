# Alone it lists what it can do. The work itself is in scripts/, so that a machine without make can do it too.
.DEFAULT_GOAL := list
.PHONY: list demo run test check bench docs lock

list: ## this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 8

demo: ## everything on this machine, to play with in a browser
	@sh scripts/demo $(ARGS)

run: ## the program with its worker, as it is set up by environment and TOML
	@sh scripts/run $(ARGS)

test: ## all tests; ARGS="tests/titles -x" for some of them
	@sh scripts/test $(ARGS)

check: ## format, lint, types, import contract, dependencies, templates
	@sh scripts/check

bench: ## measure against a floor in the same run; the table is in benchmarks/README.md
	@sh scripts/bench $(ARGS)

docs: ## write the generated parts of docs/ from the code
	@sh scripts/docs $(ARGS)

lock: ## write requirements/*.txt anew from pyproject.toml
	@sh scripts/lock $(ARGS)
