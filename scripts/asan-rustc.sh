#!/bin/sh
# rustc for this crate and not for what it depends on (RUSTC_WORKSPACE_WRAPPER),
# with AddressSanitizer, which stable compilers bring but do not offer.

case " $* " in
# Run while building: nobody looks there.
*" build_script_build "*) exec "$@" ;;
esac
# -rdynamic: the instrumented library that LuaJIT loads finds the sanitizer in the
# executable.
RUSTC_BOOTSTRAP=1 exec "$@" -Z sanitizer=address -C link-arg=-rdynamic
