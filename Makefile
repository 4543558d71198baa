# `make help` lists what there is. The work is done by cargo and by scripts/,
# which also run without make.

PREFIX ?= /usr/local
LUA_VERSION ?= 5.1

# An OpenResty prefix has its own folder for what it did not bring itself;
# anywhere else, the folders that every LuaJIT searches under /usr/local.
ifneq ($(wildcard $(PREFIX)/lualib/resty/core.lua),)
LUA_LIB_DIR ?= $(PREFIX)/site/lualib
INST_LIBDIR ?= $(PREFIX)/site/lualib
else
LUA_LIB_DIR ?= $(PREFIX)/share/lua/$(LUA_VERSION)
INST_LIBDIR ?= $(PREFIX)/lib/lua/$(LUA_VERSION)
endif
INST_INCDIR ?= $(PREFIX)/include

CARGO ?= cargo
# On CI what is committed is what is built.
CARGO_FLAGS ?= $(if $(CI),--locked)
TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))
LIBRARY := $(TARGET_DIR)/release/libresty_proxy_wasm.so

INSTALL ?= install

# rustup's cargo, for shells that did not read its profile.
export PATH := $(PATH):$(HOME)/.cargo/bin

.DEFAULT_GOAL := build
.PHONY: help deps build header check-header guests test test-rust test-lua prove test-install \
	leaks reloads soak test-matrix test-trixie test-sid conformance fuzz valgrind asan demo demo-chroot bench \
	install lint fmt clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

deps: ## install what building and testing need (Debian; root only where something is missing)
	scripts/deps.sh test

build: ## the library: target/release/libresty_proxy_wasm.so
	$(CARGO) build --release $(CARGO_FLAGS)

header: ## regenerate the C header and lib/resty/proxy_wasm/cdef.lua
	scripts/header.sh

check-header: ## fail if these two are not what src/capi says
	scripts/check-header.sh

guests: ## the test plugins: .work/guests/*.wasm
	t/guests/build.sh

test: test-rust test-lua test-install ## everything but other Debian releases

test-rust: build guests ## cargo tests
	PROXY_WASM_LIB_DIR="$(TARGET_DIR)/release" PROXY_WASM_GUESTS="$(CURDIR)/.work/guests" \
		$(CARGO) test --release $(CARGO_FLAGS)

test-lua: build guests ## t/ in a real nginx; TEST="t/00-smoke.t …" for some of it
	scripts/prove.sh $(TEST)

prove: ## the same with whatever is built already
	scripts/prove.sh $(TEST)

soak: build guests ## ten minutes of plugins that fail in every way beside good ones, reloaded every 10 s; MINUTES=10
	MINUTES=$(or $(MINUTES),10) scripts/soak.sh

leaks: build guests ## 100,000 requests with callouts that fail, time out, are left: nothing of them may stay
	PROXY_WASM_LEAK_REQUESTS=100000 scripts/prove.sh t/callout/leaks.t

reloads: build guests ## 200 reloads under load, with plugins and without; RELOADS=n
	RELOADS=$(or $(RELOADS),200) scripts/prove.sh -v t/lifecycle/reload.t

test-install: build guests ## make install and luarocks make into fresh trees, and a plugin run from there
	scripts/test-install.sh

test-matrix: test-trixie test-sid ## t/ on other Debian releases, in chroots (root)

test-trixie: build guests
	scripts/matrix.sh trixie $(TEST)

# Moves under our feet: what it has today may not even install.
test-sid: build guests
	@scripts/matrix.sh sid $(TEST) || { status=$$?; \
		[ $$status -eq 75 ] && echo "sid: SKIPPED, its chroot could not be made today" || exit $$status; }

conformance: build guests ## the same requests and plugins on real Envoy, and what differs; CASES="metrics …"
	scripts/conformance.sh $(CASES)

demo: ## install, build, and show a plugin in nginx; KEEP=1 leaves it running
	@KEEP=$(KEEP) scripts/demo.sh

demo-chroot: ## prove the demo on a fresh Debian bookworm, in a chroot (root)
	scripts/demo-in-chroot.sh

fuzz: build guests ## fuzz targets, SECONDS=60 each, two at a time; FUZZ="pairs callouts …" for some
	SECONDS_EACH="$(or $(SECONDS),60)" scripts/fuzz.sh $(FUZZ)

valgrind: build guests ## valgrind over the cargo tests of the capi, host and shared rooms, and over nginx in some of t/
	scripts/valgrind.sh
	scripts/valgrind-nginx.sh $(TEST)

asan: guests ## AddressSanitizer over all cargo tests
	scripts/asan.sh

bench: build guests ## what a plugin costs beside plain Lua (wrk)
	scripts/bench.sh

install: ## PREFIX=/usr/local, or OpenResty's; LUA_LIB_DIR, INST_LIBDIR, INST_INCDIR, DESTDIR
	@test -e "$(LIBRARY)" || { echo "no $(LIBRARY): run make build first" >&2; exit 1; }
	$(INSTALL) -d "$(DESTDIR)$(LUA_LIB_DIR)/resty" "$(DESTDIR)$(INST_LIBDIR)" "$(DESTDIR)$(INST_INCDIR)"
	cd lib && find resty -name '*.lua' \
		-exec $(INSTALL) -D -m 644 "{}" "$(abspath $(DESTDIR)$(LUA_LIB_DIR))/{}" \;
	$(INSTALL) -m 755 "$(LIBRARY)" "$(DESTDIR)$(INST_LIBDIR)/"
	$(INSTALL) -m 644 include/resty_proxy_wasm.h "$(DESTDIR)$(INST_INCDIR)/"

lint: ## formatting, clippy, luacheck, shellcheck
	scripts/lint.sh

fmt: ## format the Rust sources
	$(CARGO) fmt

clean: ## remove what was built here
	$(CARGO) clean
	rm -rf .work t/servroot*
