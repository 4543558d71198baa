#!/bin/sh
# rustc for this crate and not for what it depends on (RUSTC_WORKSPACE_WRAPPER),
# with the instrumentation that the fuzzer is guided by, and with what makes
# mistakes panics. Stable compilers have all of it.

case " $* " in
# Run while building: nobody counts there.
*" build_script_build "*) exec "$@" ;;
esac
exec "$@" \
    -C passes=sancov-module \
    -C llvm-args=-sanitizer-coverage-level=3 \
    -C llvm-args=-sanitizer-coverage-inline-8bit-counters \
    -C debug-assertions=yes \
    -C overflow-checks=yes
