# Clients that leave while their request waits.

use lib 't/lib';
use TestProxyWasm 'no_plan';
use File::Temp ();

# Waits in the request's headers, or with its body.
our $PLUGIN = '
request_headers http_call callout 20000
request_headers pause
request_headers if_header x-pause body continue_action
request_body    if_header x-pause body pause
http_call_response log info answered
http_call_response continue request
done echo_params
';

our $CALLOUT = '
content_by_lua_block {
    dofile("$TOP/t/lib/client.lua").wait(function() return may_answer end)
    ngx.print("answer")
}
';

# A certificate, whoever it is for.
our $CERTS = File::Temp::tempdir(CLEANUP => 1);
system("openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost "
    . "-keyout $CERTS/key.pem -out $CERTS/cert.pem 2>/dev/null") == 0
    or die "openssl: $?";

# A client of TLS, which leaves when its input ends: without what it has not read,
# which would be a reset. It says goodbye (close_notify) or not.
our $CLIENT = <<'_END_';
import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
sock = context.wrap_socket(sock)
sock.sendall(b"GET /t HTTP/1.1\r\nHost: localhost\r\n\r\n")
sys.stdin.read()
sock.setblocking(False)
try:
    sock.recv(1)
except ssl.SSLWantReadError:
    pass
try:
    if sys.argv[2] == "polite":
        sock.unwrap()
except ssl.SSLWantReadError:
    pass
sock.close()
_END_

# The same over HTTP/2: resets the stream and stays, or leaves with the connection.
our $H2_CLIENT = <<'_END_';
import os, socket, ssl, sys
# It outlives connections of nginx's that it has inherited.
os.closerange(3, 256)
def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
HEADERS, RST_STREAM, SETTINGS = 1, 3, 4
END_STREAM_AND_HEADERS, CANCEL = 5, 8
GET, HTTPS, PATH, AUTHORITY = b"\x82", b"\x87", b"\x04\x02/t", b"\x01\x09localhost"
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.set_alpn_protocols(["h2"])
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
sock = context.wrap_socket(sock)
assert sock.selected_alpn_protocol() == "h2"
sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b"")
             + frame(HEADERS, END_STREAM_AND_HEADERS, 1, GET + HTTPS + PATH + AUTHORITY))
sys.stdin.readline()
if sys.argv[2] == "reset":
    sock.sendall(frame(RST_STREAM, 0, 1, CANCEL.to_bytes(4, "big")))
    sys.stdin.read()
elif sys.argv[2] == "polite":
    sock.setblocking(False)
    try:
        while sock.recv(1000):
            pass
    except ssl.SSLWantReadError:
        pass
    try:
        sock.unwrap()
    except ssl.SSLWantReadError:
        pass
sock.close()
_END_

# Each begins a request, and gives what makes its client leave.
our $WAYS = '
            local POST = "POST /t HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
            local function run(script, socket, manner)
                local path = " $TEST_NGINX_HTML_DIR/" .. socket .. " "
                return assert(io.popen("exec python3 $::CERTS/" .. script .. path .. manner, "w"))
            end
            local function tls(manner)
                local python = run("client.py", "tls.sock", manner)
                return function() python:close() end
            end
            local function h2(manner)
                local python = run("h2_client.py", "h2.sock", manner)
                return function()
                    assert(python:write("leave\n"))
                    python:flush()
                end
            end
            local function sent(text)
                local sock = client.connect()
                assert(sock:send(text))
                return function() sock:close() end, sock
            end
            local ways = {
                plain = function() return sent("GET /t HTTP/1.1\r\nHost: localhost\r\n\r\n") end,
                -- With the head, and so read with it.
                body = function() return sent(POST .. "\r\nbody") end,
                -- Read before the callback that pauses.
                read_body = function() return sent(POST .. "X-Pause: body\r\n\r\nbody") end,
                -- When the plugin waits already: nobody reads it.
                late_body = function()
                    local leave, sock = sent(POST .. "\r\n")
                    return function()
                        assert(sock:send("body"))
                        leave()
                    end
                end,
                half_a_body = function() return sent(POST .. "\r\nbo") end,
                rude_tls = function() return tls("rude") end,
                polite_tls = function() return tls("polite") end,
                h2_reset = function() return h2("reset") end,
                rude_h2 = function() return h2("rude") end,
                polite_h2 = function() return h2("polite") end,
            }
';

for (['client.py', $CLIENT], ['h2_client.py', $H2_CLIENT]) {
    my ($name, $text) = @$_;
    open my $file, '>', "$CERTS/$name" or die $!;
    print $file $text;
    close $file;
}

our $TLS = "
    listen unix:\$TEST_NGINX_HTML_DIR/tls.sock ssl;
    listen unix:\$TEST_NGINX_HTML_DIR/h2.sock ssl http2;
    ssl_certificate $CERTS/cert.pem;
    ssl_certificate_key $CERTS/key.pem;
";

# A client that leaves, and what is left of its request before and after the
# answer that it waits for.
our $DRIVE = '
    location = /drive {
        content_by_lua_block {
            local client = dofile("$TOP/t/lib/client.lua")
WAYS
            local status = require("resty.proxy_wasm").status
            may_answer = false
            local leave = ways[ngx.var.arg_way or "plain"]()
            assert(client.wait(function() return status().plugins[1].paused == 1 end))
            leave()
            local function none_left()
                return status().plugins[1].http_contexts == 0
            end
            local gone = client.wait(none_left, ngx.var.arg_wait)
            ngx.say("gone before the answer: ", gone)
            local now = status()
            ngx.say("callouts: ", now.plugins[1].callouts, " ", now.callouts.running)
            may_answer = true
            client.wait(function() return status().plugins[1].callouts == 0 end)
            client.no_context_left()
            now = status()
            ngx.say("left: ", now.plugins[1].callouts, " ", now.plugins[1].paused)
            -- The instance lives.
            ngx.print(client.get("/t"))
        }
    }
' =~ s/WAYS/$main::WAYS =~ s{\$::CERTS}{$main::CERTS}gr/er;

# What is seen of a client that has left and of the next one: its request ends while
# the callout is in flight, or with the answer.
our %SEEN = (
    'at once' => ['true', "done: context=2\n"],
    'when the wait ends' => ['false', "answered\ncontinue(request) = OK\ndone: context=2\n"],
);

my @CASES = (
    # What, how the client leaves, when that is noticed, what nginx is told.
    ['noticed with lua_check_client_abort on', 'plain', 'at once'],
    ['without it, by the answer', 'plain', 'when the wait ends', 'off'],
    ['a POST whose body came with its head', 'body', 'at once'],
    ['a POST that waits with its body', 'read_body', 'at once'],
    ['a POST in the middle of its body', 'half_a_body', 'at once'],
    ['behind a body that nobody has read', 'late_body', 'when the wait ends'],
    ['over TLS without a goodbye', 'rude_tls', 'at once'],
    ['over TLS behind a goodbye that nobody reads', 'polite_tls', 'when the wait ends'],
    ['over HTTP/2 and TLS, the stream is reset', 'h2_reset', 'at once'],
    ['over HTTP/2 and TLS, the connection ends without a goodbye', 'rude_h2', 'at once'],
    ['over HTTP/2 and TLS, the connection ends with a goodbye', 'polite_h2', 'at once'],
);

# One block for each.
my $number = 0;
my $data = '';
for my $case (@CASES) {
    my ($title, $way, $when, $check) = @$case;
    my ($gone, $end) = @{$SEEN{$when}};
    my $wait = $gone eq 'false' ? '&wait=20' : '';
    $check ||= 'on';
    $number++;
    $data .= "=== TEST $number: abort: $title, $when
--- plugin eval: \$::PLUGIN
--- callout eval: \$::CALLOUT
--- config eval
\"lua_check_client_abort $check;\$::TLS\$::DRIVE\"
--- request
GET /drive?way=$way$wait
--- response_body
gone before the answer: $gone
callouts: 1 1
no context left
left: 0 0
200hello
--- plugin_log
http_call(callout 20000) = OK 1
${end}http_call(callout 20000) = OK 2
answered
continue(request) = OK
done: context=3



";
}
$number++;
$data .= "=== TEST $number: abort: without it, by the longest wait
--- plugin eval: \$::PLUGIN
--- plugin_options
pause_timeout = 1,
--- callout eval: \$::CALLOUT
--- config eval
\$::DRIVE =~ s/, ngx.var.arg_wait//r
--- request
GET /drive
--- response_body
gone before the answer: true
callouts: 1 1
no context left
left: 0 0
200hello
--- error_log
paused for more than 1000 ms
";

no_long_string();
spec_string($data);
run_tests();
