# Upstreams that answer before they have the whole request, and read no more of it.

use lib 't/lib';
use SlowServer;
use TestProxyWasm 'no_plan';

our $UPSTREAMS = "upstreams = {
    early = { '127.0.0.1:$SlowServer::PORT{early}' },
    early_open = { '127.0.0.1:$SlowServer::PORT{early_open}' },
    early_tls = { '127.0.0.1:$SlowServer::PORT{early_tls}', tls = true, verify = false },
    early_tls_open = { '127.0.0.1:$SlowServer::PORT{early_tls_open}', tls = true, verify = false },
    sips = { '127.0.0.1:$SlowServer::PORT{sips}' },
},
";

# A callout with so many bytes of body. The request after it is there to see that
# the callout has left nothing behind.
sub calls {
    my ($upstream, $size) = @_;
    return qq{
script = "request_headers if_header x-call yes http_call $upstream 1000 :method=POST body="
    .. ("x"):rep($size) .. [[

request_headers if_header x-call yes pause
http_call_response get_body call_body
http_call_response local_response 200 done
]]
};
}

our $DRIVE = '
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
            local proxy_wasm = require("resty.proxy_wasm")
            ngx.say(client.outcome("/t", "X-Call: yes\r\n"))
            ngx.say(client.wait(function()
                local callouts = proxy_wasm.status().callouts
                return callouts.running == 0 and callouts.timers == 0
            end))
        }
    }
';

our $OPTIONS = "config = script, $UPSTREAMS";

# The title, the upstream, the bytes of the body; whether nginx itself says what
# happens to the connection.
my @CASES = (
    ['the answer, and then a reset', 'early', 8000000, 1],
    ['the answer, and then nothing is read any more', 'early_open', 8000000],
    # The connection may be kept by then: nginx says what became of it.
    ['a small request, and then a reset', 'early', 8000, 1],
    ['over TLS, and then a reset', 'early_tls', 8000000, 1],
    ['over TLS, and then nothing is read any more', 'early_tls_open', 8000000],
);

my ($number, $data) = (0, '');
for my $case (@CASES) {
    my ($title, $upstream, $size, $nginx_says_so) = @$case;
    my $no_error = $nginx_says_so ? '' : "[error]\n";
    $number++;
    $data .= "=== TEST $number: early: $title
--- prepare eval: main::calls('$upstream', $size)
--- plugin
--- plugin_options eval: \$::OPTIONS
--- config eval: \$::DRIVE
--- request
GET /drive
--- response_body
200 done
true
--- error_log
get_body(call_body) = OK \"early\"
--- no_error_log
failed:\x20
$no_error


";
}

no_long_string();
spec_string($data . do { local $/; <DATA> });
run_tests();

__DATA__

=== TEST 6: early: an upstream that reads slowly and answers nothing has the callout's time
--- prepare eval: main::calls('sips', 8000000)
--- plugin
--- plugin_options eval: $::OPTIONS
--- config eval: $::DRIVE
--- request
GET /drive
--- response_body
200 done
true
--- error_log
get_body(call_body) = OK ""
failed: send: timeout
