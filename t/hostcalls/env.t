# What compilers import beside the host functions (src/hostcalls/env.rs).

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: compilers: the helpers of emscripten and AssemblyScript are there, abort says why
--- plugin_guest: import_emscripten
--- plugin
--- error_code: 503
--- error_log
p: pthread_equal: 01
p: abort: why at a.ts:3:14
the guest aborted
