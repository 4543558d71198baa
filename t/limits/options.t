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
                ngx.say(key, "=", (tostring(value):gsub("^-nan", "nan")), ": ", ok and "taken" or err)
            end
            for _, key in ipairs { "max_callouts", "max_contexts", "max_log_lines", "max_written_body" } do
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
join "", map {
    my $number = $_ eq "max_written_body" ? "a number of bytes" : "a number";
    "$_=1: taken\n$_=2147483647: taken\n" .
    (join "", map { my $value = $_; "KEY=$value: option \"KEY\" must be $number from 1 on\n" } 0, -1, 2147483648, "nan")
        =~ s/KEY/$_/gr .
    "$_=1: option \"$_\" must be a number\n"
} qw(max_callouts max_contexts max_log_lines max_written_body)
