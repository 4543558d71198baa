# The options of limits and what they take.

use lib 't/lib';
use TestProxyWasm 'no_plan';

no_long_string();
run_tests();

__DATA__

=== TEST 1: options: numbers from 1 on
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            local function try(key, value)
                local ok, err = pcall(proxy_wasm.load, "p", "$GUESTS/export_nothing.wasm", { [key] = value })
                ngx.say(key, "=", (tostring(value):gsub("^-nan", "nan")), ": ",
                        ok and "taken" or (err:gsub("-nan", "nan")))
            end
            for _, key in ipairs { "max_callouts", "max_contexts", "max_log_lines", "max_table_elements",
                                   "max_written_body", "max_written_headers", "max_callout_bytes",
                                   "max_callout_response", "max_shared_value", "max_shared_bytes" } do
                try(key, 1)
                try(key, 2^31 - 1)
                try(key, 0)
                try(key, -1)
                try(key, 2^31)
                try(key, 0/0)
                try(key, "1")
            end
        }
    }
--- response_body eval
CORE::join "", map {
    my $must = qq(plugin "p": option "$_" must be);
    my $number = /callouts|contexts|lines|elements/ ? "a number" : "a number of bytes";
    "$_=1: taken\n$_=2147483647: taken\n" .
    (CORE::join "", map { "KEY=$_: $must $number from 1 to 2147483647, not $_\n" } 0, -1, 2147483648, "nan")
        =~ s/KEY/$_/gr .
    qq($_=1: $must a number, not "1"\n)
} qw(max_callouts max_contexts max_log_lines max_table_elements max_written_body max_written_headers
     max_callout_bytes max_callout_response max_shared_value max_shared_bytes)



=== TEST 2: options: the key of shared data, bytes up to what a dict takes
--- config
    location = /t {
        content_by_lua_block {
            local proxy_wasm = require "resty.proxy_wasm"
            for _, bytes in ipairs { 1, 32768, 32769, 0, 0/0 } do
                local ok, err = pcall(proxy_wasm.load, "p", "$GUESTS/export_nothing.wasm", { max_shared_key = bytes })
                ngx.say(ok and "taken" or (err:gsub("-nan", "nan")))
            end
        }
    }
--- response_body
taken
taken
plugin "p": option "max_shared_key" must be a number of bytes from 1 to 32768, not 32769
plugin "p": option "max_shared_key" must be a number of bytes from 1 to 2147483647, not 0
plugin "p": option "max_shared_key" must be a number of bytes from 1 to 2147483647, not nan
