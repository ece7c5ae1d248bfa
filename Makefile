# Two commands are all that a newcomer needs: `make demo` shows it, `make test` proves it.
# Each installs what else it needs; see tests/gate.

.DEFAULT_GOAL := help
STEPS := tools fmt deny clippy doc build core faces server chart house package

# Where `make install` puts the library for C and C++; DESTDIR is put in front of it.
PREFIX ?= /usr/local
# Where cargo builds.
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))

.PHONY: help demo test trust-long fuzz bench bench-c install $(STEPS)

help:
	@echo "make demo     three nodes in this terminal, the leader killed, every key read back"
	@echo "make test     everything that the gate checks"
	@echo "make trust-long   the tests that take minutes, which the gate leaves out"
	@echo "make fuzz     the decoders, guided by coverage, SECONDS for each (60)"
	@echo "make bench    the load generator, on a release build"
	@echo "make install  the library for C and C++ below PREFIX, with header, pkg-config and CMake files"
	@echo "make bench-c  what a local get costs in C, against Rust"
	@echo "make chart    the chart checked, run in containers, and packaged into target/chart"
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

fuzz:
	python3 tests/fuzz.py --seconds $(or $(SECONDS),60)

bench:
	cargo run --locked --release -p kvraft-bench -- $(ARGS)

bench-c:
	cargo build --locked --release -p kvraft-ffi -p kvraft-bench
	cc -std=c99 -D_POSIX_C_SOURCE=200809L -O2 -I include bench/c/local_get.c -o $(TARGET)/release/local_get \
		-L $(TARGET)/release -lkvraft -Wl,-rpath,$(TARGET)/release/soname
	mkdir -p $(TARGET)/release/soname
	ln -sf ../libkvraft.so $(TARGET)/release/soname/$$(readelf -d $(TARGET)/release/libkvraft.so \
		| sed -n 's/.*soname: \[\(.*\)\]/\1/p')
	$(TARGET)/release/kvraft-bench $(ARGS) face $(TARGET)/release/local_get

install:
	cargo build --locked --profile dist -p kvraft-ffi
	DESTDIR="$(DESTDIR)" sh kvraft-ffi/package/install.sh "$(TARGET)/dist" "$(PREFIX)"

$(STEPS):
	@python3 tests/gate $@
