# Two commands are all that a newcomer needs: `make demo` shows it, `make test` proves it.
# Each installs what else it needs; see tests/gate.

.DEFAULT_GOAL := help
STEPS := tools fmt deny clippy doc build core faces server chart house package

.PHONY: help demo test trust-long bench $(STEPS)

help:
	@echo "make demo     three nodes in this terminal, the leader killed, every key read back"
	@echo "make test     everything that the gate checks"
	@echo "make trust-long   the tests that take minutes, which the gate leaves out"
	@echo "make bench    the load generator, on a release build"
	@echo "make <step>   one step of the gate with what it needs: $(STEPS)"

demo:
	cargo run --locked -p kvraft-server -- demo

test:
	@python3 tests/gate

trust-long:
	cargo build --locked -p kvraft --example member
	cargo test --locked -p kvraft --tests -- --ignored
	@python3 tests/gate tools build
	.venv/bin/python -m pip -q install .
	KVRAFT_TRUST_LONG=1 .venv/bin/python -m pytest kvraft-py/tests/test_process.py

bench:
	cargo run --locked --release -p kvraft-bench -- $(ARGS)

$(STEPS):
	@python3 tests/gate $@
