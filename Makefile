# The front door: everything from a bare Debian 12 or 13 that has git and make. CMake (Ninja) does the work, in build/.
#
#   make run      build, then stream this host's TCP sockets to the terminal
#   make test     build, then all tests (as root: they make network namespaces)
#   make soak     build, then the long tests: 5,000 namespaces, ten minutes of churn, an hour of floods
#   make bench    build, then measure what collecting costs, in under three minutes; bench-full: more of everything.
#                 XTCP2_BENCH_RELAX=2 doubles the bounds, XTCP2_BENCH_ARGS="--help" tells what else there is
#   make fuzz     build with clang, then fuzz all that reads bytes from outside, each part for FUZZ_SECONDS (30)
#   make generated
#                 write anew what is made from tables: manual pages, the sample configuration, the documented contract,
#                 golden files of tests. git diff then shows what a change means for others
#   make asan, tsan, format, lint, clean

PRESET ?= default
# Tests at the same time: most of them wait more than they work. Those that measure time run alone.
JOBS ?= $(shell echo $$((2 * $$(nproc))))
FUZZ_SECONDS ?= 30

# The system's own tools, whatever else is on PATH: packages were installed for these.
export PATH := /usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin

# ThreadSanitizer knows where a program is mapped as long as that is not too random.
ifeq ($(PRESET),tsan)
ctest := $(shell setarch -R true 2>/dev/null && echo setarch -R) ctest
else
ctest := ctest
endif

build_dir := build$(if $(filter asan tsan fuzz,$(PRESET)),-$(PRESET))

.PHONY: help all build build-tests deps deps-build run test soak bench bench-full asan tsan fuzz generated format lint clean

all: build

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

deps:
	@tools/deps.sh test

deps-build:
	@tools/deps.sh build

# The programs alone: needs no test packages.
build: deps-build
	cmake --preset $(PRESET) -DBUILD_TESTING=OFF
	cmake --build --preset $(PRESET)

# The programs and the tests.
build-tests: deps
	cmake --preset $(PRESET) -DBUILD_TESTING=ON
	cmake --build --preset $(PRESET)

run: build
	@tools/run.sh

test: build-tests
	$(ctest) --preset $(PRESET) -j $(JOBS) --output-junit tests.xml --test-output-size-passed 1000000
	@tests/skips.py $(build_dir)/tests.xml tests/allowed_skips.txt

soak: export XTCP2_SOAK = 1
soak: build-tests
	$(ctest) --preset $(PRESET) --verbose --tests-regex '^integration_(scale|floods|honest)$$'

bench: build-tests
	cmake --build --preset $(PRESET) --target bench

bench-full: export XTCP2_BENCH = full
bench-full: bench

# The tests under a sanitizer.
asan tsan:
	$(MAKE) test PRESET=$@

# The corpora, then what libFuzzer finds in FUZZ_SECONDS for each target, in a table; an error when it finds anything.
fuzz:
	$(MAKE) test PRESET=fuzz
	tools/fuzz.sh $(FUZZ_SECONDS)

# Tests that compare a committed file with what is made from a table write it instead.
generated: export XTCP_UPDATE = 1
generated: build-tests
	$(ctest) --preset $(PRESET) --tests-regex '^(.*_manual_test|config_sample_test|wire_contract|client_socket_table_test|outputs_test)$$'

format: deps
	tools/format.sh

lint: build-tests
	cmake --build --preset $(PRESET) --target lint -- -k 0

clean:
	rm -rf build build-asan build-tsan build-fuzz
