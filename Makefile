# SPDX-License-Identifier: Apache-2.0
# The two commands are `make demo` and `make test`; both set up what they need on a fresh Debian 12.
JOBS ?= $(shell nproc)
PROGRAMS := ledge ledge-hub ledge-agent ledge-serve
# A folder of data sets beside the checkout, when there is one (README, "Five minutes").
ifneq ($(wildcard ../shared/data),)
export LEDGE_DATA ?= $(abspath ../shared/data)
endif

.PHONY: help setup setup-test testenv console build build-all build-dev demo test test-long fuzz bench clean

help:
	@echo "make demo        set up, build, run the main job: train, deploy, predict, label, retrain, swap live"
	@echo "make test        set up, build, run all tests (unit tests under AddressSanitizer and UBSan)"
	@echo "make test-long   the slow suites: kill tests at full length, ThreadSanitizer, fuzzers for 60 s each"
	@echo "make build       optimised programs into build/release/bin"
	@echo "make fuzz        libFuzzer targets, FUZZ_SECONDS (60) each"
	@echo "make bench       speed and size figures of README's table"
	@echo "make clean       remove build/"

setup:
	@scripts/setup

setup-test:
	@scripts/setup --test

testenv: setup-test
	@scripts/testenv

console: setup
	@scripts/build_console

build: setup console
	@cmake --preset release >/dev/null
	@cmake --build --preset release --target $(PROGRAMS) -- -j$(JOBS)

build-all: setup-test console
	@cmake --preset release >/dev/null
	@cmake --build --preset release -- -j$(JOBS)

build-dev: setup-test console
	@cmake --preset dev >/dev/null
	@cmake --build --preset dev -- -j$(JOBS)

demo: build
	@build/release/bin/ledge demo $(DEMO_FLAGS)

test: build-all build-dev testenv
	@ctest --test-dir build/dev --output-on-failure -L unit -j$(JOBS)
	@ctest --test-dir build/release --output-on-failure -LE "unit|long"

test-long: test fuzz
	@cmake --preset tsan >/dev/null && cmake --build --preset tsan -- -j$(JOBS)
	@ctest --test-dir build/tsan --output-on-failure -R "^(serve|engine)/" -LE long
	@LEDGE_LONG=1 ctest --test-dir build/release --output-on-failure -L long

FUZZ_SECONDS ?= 60
fuzz: setup-test
	@cmake --preset fuzz >/dev/null && cmake --build --preset fuzz -- -j$(JOBS)
	@scripts/fuzz build/fuzz $(FUZZ_SECONDS)

bench: build-all testenv
	@bench/run

clean:
	@rm -rf build
