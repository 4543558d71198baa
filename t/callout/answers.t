# What upstreams answer, however badly: the guest gets a whole answer, or three
# zeros and a status; the request never hangs.

use lib 't/lib';
use TestProxyWasm 'no_plan';

# A server that answers with these pieces and closes; a number is a pause, and
# what begins with = an expression of Lua.
sub raw {
    my $pieces = join ', ', map { /^[\d.]+$/ ? $_ : /^=(.*)/ ? $1 : "'$_'" } @_;
    return "
        content_by_lua_block {
            local sock = ngx.req.socket(true)
            for _, piece in ipairs { $pieces } do
                if type(piece) == 'number' then
                    ngx.sleep(piece)
                else
                    sock:send(piece)
                end
            end
        }
";
}

our $SCRIPT = '
request_headers http_call side 2000
request_headers pause
http_call_response echo_params
http_call_response grpc_status
http_call_response get_pairs call_response
http_call_response get_body call_body
http_call_response get_pairs call_trailers
http_call_response local_response 200 done
';

our $UPSTREAMS = 'upstreams = { side = "unix:$TEST_NGINX_HTML_DIR/backend.sock" },';

# What the guest sees of a failed callout.
our $FAILED = 'http_call_response: context=2 token=1 num_headers=0 body_size=0 num_trailers=0
grpc_status() = OK 11 ""
get_pairs(call_response) = OK 0
get_body(call_body) = OK ""
get_pairs(call_trailers) = OK 0
local_response(200 done) = OK
';

sub failed {
    my $why = shift;
    return "http_call(side 2000) = OK 1\n"
        . "a callout to \"side\" at http://unix:\$TEST_NGINX_HTML_DIR/backend.sock failed: $why\n$FAILED";
}

# What it sees of an answered one.
sub answered {
    my ($headers, $body, $trailers) = @_;
    $trailers ||= '0';
    my ($count) = $headers =~ /^(\d+)/;
    my ($trailer_count) = $trailers =~ /^(\d+)/;
    (my $raw = $body) =~ s/\\n/\n/g;
    my $size = length $raw;
    return "http_call(side 2000) = OK 1
http_call_response: context=2 token=1 num_headers=$count body_size=$size num_trailers=$trailer_count
grpc_status() = OK 0 \"\"
get_pairs(call_response) = OK $headers
get_body(call_body) = OK \"$body\"
get_pairs(call_trailers) = OK $trailers
local_response(200 done) = OK
";
}

# Answers, and what becomes of them.
our @CASES = (
    ['a Content-Length', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-A: b\r\n\r\nbody',
        answered('3 ":status"="200" "content-length"="4" "x-a"="b"', 'body')],
    ['no length: to the end of the connection', 'HTTP/1.1 200 OK\r\n\r\nbody',
        answered('1 ":status"="200"', 'body')],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\nbody', answered('1 ":status"="200"', 'body')],
    ['no reason', 'HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n',
        answered('2 ":status"="200" "content-length"="0"', '')],
    ['204, which has no body', 'HTTP/1.1 204 No Content\r\n\r\n',
        answered('1 ":status"="204"', '')],
    ['304 with the length of what it does not send',
        'HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n',
        answered('2 ":status"="304" "content-length"="100"', '')],
    ['an error status is an answer', 'HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy',
        answered('2 ":status"="503" "content-length"="4"', 'busy')],
    ['a redirection is not followed',
        'HTTP/1.1 302 Found\r\nLocation: http://else/\r\nContent-Length: 0\r\n\r\n',
        answered('3 ":status"="302" "location"="http://else/" "content-length"="0"', '')],
    ['interim answers first', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n',
        'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
        answered('2 ":status"="200" "content-length"="2"', 'ok')],
    ['chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', '4\r\nbody\r\n0\r\n\r\n',
        answered('2 ":status"="200" "transfer-encoding"="chunked"', 'body')],
    ['chunked, with extensions and trailers',
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nbo\r\n2\r\ndy\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n',
        answered('2 ":status"="200" "transfer-encoding"="chunked"', 'body',
            '2 "x-sum"="1" "x-sum"="2"')],
    ['byte by byte', (map { ($_, '0.002') } 'H', 'TTP/1.1', ' 200 O', 'K\r', '\nCon', 'tent-Length: 4\r\n\r', '\nb', 'od', 'y'),
        answered('2 ":status"="200" "content-length"="4"', 'body')],
    ['the same header twice', 'HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nset-cookie: b\r\nContent-Length: 0\r\n\r\n',
        answered('4 ":status"="200" "set-cookie"="a" "set-cookie"="b" "content-length"="0"', '')],
    ['the same length twice', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok',
        answered('3 ":status"="200" "content-length"="2" "content-length"="2"', 'ok')],
    ['more than announced: the rest is nobody\'s', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more',
        answered('2 ":status"="200" "content-length"="2"', 'ok')],

    ['nothing at all', '0.01', failed('receive: closed')],
    ['half a head', 'HTTP/1.1 200 OK\r\nContent-Le',
        failed('the upstream closed the connection in the middle of its answer')],
    ['half a body', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf',
        failed('the upstream closed the connection in the middle of its answer')],
    ['half a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nhalf',
        failed('the upstream closed the connection in the middle of its answer')],
    ['chunks without their end', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n',
        failed('the upstream closed the connection in the middle of its answer')],
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n', failed("the upstream's answer is not HTTP/1.x")],
    ['HTTP/2', 'HTTP/2 200\r\n\r\n', failed("the upstream's answer is not HTTP/1.x")],
    ['no status', 'HTTP/1.1 OK\r\n\r\n',
        failed("the upstream's answer has a malformed status or header line")],
    ['a header without a colon', 'HTTP/1.1 200 OK\r\nnonsense\r\n\r\n',
        failed("the upstream's answer has a malformed status or header line")],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok',
        failed("the upstream's answer has an invalid or contradictory Content-Length")],
    ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n',
        failed("the upstream's answer has an invalid or contradictory Content-Length")],
    ['length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n',
        failed("the upstream's answer has both a Content-Length and a Transfer-Encoding")],
    ['another coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n',
        failed("the upstream's answer has a Transfer-Encoding other than chunked")],
    ['bad chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n',
        failed("the upstream's answer is not correctly chunked")],
    ['bad trailers', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nnonsense\r\n\r\n',
        failed("the upstream's answer has a malformed trailer line")],
    ['a switch of protocols', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n',
        failed('the upstream switched protocols (101) without being asked')],
    ['headers without end', '=(("x"):rep(1000) .. "\r\n"):rep(70)',
        failed("the upstream's answer is not HTTP/1.x")],
    ['more headers than 64 KiB', 'HTTP/1.1 200 OK\r\n', '=("X-H: " .. ("x"):rep(1000) .. "\r\n"):rep(70)',
        failed("the upstream's headers or trailers are longer than 64 KiB")],
    ['too many headers', 'HTTP/1.1 200 OK\r\n', '=("X-H: x\r\n"):rep(129)', '\r\n',
        failed("the upstream's answer has more than 128 headers or trailers")],
    ['interim answers without end', '=("HTTP/1.1 100 Continue\r\n\r\n"):rep(3000)',
        failed("the upstream's headers or trailers are longer than 64 KiB")],
    ['a body announced too large', 'HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n',
        failed("the upstream's answer is longer than 16777216 bytes (option max_callout_response)")],
    ['a chunk announced too large', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n',
        failed("the upstream's answer is longer than 16777216 bytes (option max_callout_response)")],
    ['silence', '10', failed('receive: timeout')],
    ['silence in the middle', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf', '10',
        failed('receive: timeout')],
    ['a drip that never ends', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n', ('x', '0.2') x 30,
        failed('receive: timeout')],
);

# One block for each.
my $number = 0;
my $data = '';
for my $case (@CASES) {
    my ($title, @pieces) = @$case;
    my $log = pop @pieces;
    $number++;
    my $backend = raw(@pieces);
    $data .= "=== TEST $number: answer: $title
--- plugin$SCRIPT
--- plugin_options
$UPSTREAMS
--- backend$backend
--- location
content_by_lua_block { ngx.say('hello') }
--- response_body chop
done
--- plugin_log
$log


";
}

no_long_string();
spec_string($data);
run_tests();
