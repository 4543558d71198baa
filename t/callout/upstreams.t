# Where callouts go, and what is sent there.

use lib 't/lib';
use TestProxyWasm 'no_plan';

# Waits for the answer to a request, and answers with it.
our $SHOW = '
request_headers pause
http_call_response save body get_body call_body
http_call_response into_header request x-status get_header call_response :status
http_call_response into_header request x-body get_body call_body
http_call_response continue request
';

our $LOCATION = '
content_by_lua_block {
    ngx.say(ngx.var.http_x_status, " ", ngx.var.http_x_body)
}
';

our $NAMED = 'upstreams = { side = "unix:$TEST_NGINX_HTML_DIR/backend.sock" },';

# Answers a DNS query: with a code, or with 127.0.0.1.
sub dns {
    my $code = shift;
    return sub {
        my $query = shift;
        my $question = substr $query, 12;
        my $answer = $code ? '' : pack 'nnnNnC4', 0xc00c, 1, 1, 60, 4, 127, 0, 0, 1;
        return substr($query, 0, 2) . pack('n5', 0x8180 | $code, 1, $code ? 0 : 1, 0, 0)
            . $question . $answer;
    };
}

no_long_string();
run_tests();

__DATA__

=== TEST 1: upstream: by its name in the map, to a unix socket
--- plugin eval
"request_headers http_call side 5000 :path=/x :authority=a.example\n$::SHOW"
--- plugin_options eval: $::NAMED
--- backend
return 200 "$server_addr $uri $host";
--- location eval: $::LOCATION
--- response_body eval
qr{^200 unix:.* /x a.example$}



=== TEST 2: upstream: a unix socket, without the map
--- plugin eval
"request_headers http_call unix:\$TEST_NGINX_HTML_DIR/backend.sock 5000 :authority=a.example\n$::SHOW"
--- plugin_options
callouts = "any",
--- backend
return 200 "$host";
--- location eval: $::LOCATION
--- response_body
200 a.example



=== TEST 3: upstream: address and port
--- plugin eval
"request_headers http_call 127.0.0.1:\$TEST_NGINX_RAND_PORT_1 5000\n$::SHOW"
--- plugin_options
callouts = "any",
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        location / { return 200 "$http_host"; }
    }
--- location eval: $::LOCATION
--- response_body
200 127.0.0.1:$TEST_NGINX_RAND_PORT_1



=== TEST 4: upstream: an IPv6 address
--- plugin eval
"request_headers http_call [::1]:\$TEST_NGINX_RAND_PORT_1 5000\n$::SHOW"
--- plugin_options
callouts = "any",
--- http_config
    server {
        listen [::1]:$TEST_NGINX_RAND_PORT_1;
        location / { return 200 "$http_host from $remote_addr"; }
    }
--- location eval: $::LOCATION
--- response_body
200 [::1]:$TEST_NGINX_RAND_PORT_1 from ::1
--- skip_eval: 4: !-e '/proc/net/if_inet6' || !`cat /proc/net/if_inet6`



=== TEST 5: upstream: without a port it is 80, or 443 for https
--- plugin
request_headers http_call 127.0.0.1 5000
request_headers http_call 127.0.0.1 5000 :scheme=https
request_headers http_call [::1] 5000
request_headers pause
http_call_response log info answered
http_call_response nth 3 local_response 200 done
--- plugin_options
callouts = "any",
--- response_body chop
done
--- grep_error_log eval: qr/a callout to \S+/
--- grep_error_log_out eval
qr{^(?=(?:.*\n)*a callout to http://127.0.0.1:80\n)(?=(?:.*\n)*a callout to https://127.0.0.1:443\n)(?=(?:.*\n)*a callout to http://\[::1\]:80\n)(?:.*\n){3}$}



=== TEST 6: upstream: a name in the map may have scheme and port
--- plugin eval
"request_headers http_call svc 5000 :authority=svc.example\n$::SHOW"
--- plugin_options
upstreams = { svc = "http://127.0.0.1:$TEST_NGINX_RAND_PORT_1" },
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        location / { return 200 "$http_host"; }
    }
--- location eval: $::LOCATION
--- response_body
200 svc.example



=== TEST 7: upstream: a host name without a resolver
--- plugin
request_headers http_call svc.example 5000
request_headers pause
http_call_response echo_params
http_call_response local_response 200 done
--- plugin_options
callouts = "any",
--- response_body chop
done
--- plugin_log
http_call(svc.example 5000) = OK 1
a callout to http://svc.example:80 failed: connect: no resolver defined to resolve "svc.example"
http_call_response: context=2 token=1 num_headers=0 body_size=0 num_trailers=0
local_response(200 done) = OK



=== TEST 8: upstream: a host name that a resolver does not know
--- http_config
    resolver 127.0.0.1:$TEST_NGINX_RAND_PORT_1 ipv6=off;
    resolver_timeout 500ms;
--- plugin
request_headers http_call svc.example 5000
request_headers pause
http_call_response echo_params
http_call_response local_response 200 done
--- plugin_options
callouts = "any",
--- udp_listen: $TEST_NGINX_RAND_PORT_1
--- udp_reply eval: ::dns(3)
--- response_body chop
done
--- error_log
a callout to http://svc.example:80 failed: connect: svc.example could not be resolved



=== TEST 9: upstream: a host name that a resolver knows
--- http_config
    resolver 127.0.0.1:$TEST_NGINX_RAND_PORT_1 ipv6=off;
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_2;
        location / { return 200 "$http_host"; }
    }
--- plugin eval
"request_headers http_call svc.example:\$TEST_NGINX_RAND_PORT_2 5000\n$::SHOW"
--- plugin_options
callouts = "any",
--- udp_listen: $TEST_NGINX_RAND_PORT_1
--- udp_reply eval: ::dns(0)
--- location eval: $::LOCATION
--- response_body
200 svc.example:$TEST_NGINX_RAND_PORT_2



=== TEST 10: upstream: a host name that takes longer than the callout may
--- http_config
    resolver 127.0.0.1:$TEST_NGINX_RAND_PORT_1 ipv6=off;
--- plugin
request_headers http_call svc.example 500
request_headers pause
http_call_response echo_params
http_call_response local_response 200 done
--- plugin_options
callouts = "any",
--- response_body chop
done
--- error_log
a callout to http://svc.example:80 failed: connect: timeout
--- timeout: 10



=== TEST 11: upstream: by host name, connections are kept as well
--- http_config
    resolver 127.0.0.1:$TEST_NGINX_RAND_PORT_1 ipv6=off;
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_2;
        location / { return 200 "$connection_requests"; }
    }
--- plugin
request_headers http_call svc.example:$TEST_NGINX_RAND_PORT_2 5000
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 http_call svc.example:$TEST_NGINX_RAND_PORT_2 5000
http_call_response nth 2 local_response 200 done
--- plugin_options
callouts = "any",
--- udp_listen: $TEST_NGINX_RAND_PORT_1
--- udp_reply eval: ::dns(0)
--- response_body chop
done
--- grep_error_log eval: qr/get_body.*?"\d"/
--- grep_error_log_out
get_body(call_body) = OK "1"
get_body(call_body) = OK "2"



=== TEST 12: request: method, path, headers and body arrive exactly
--- plugin
request_headers http_call side 5000 :method=POST :path=/a%2Fb?c=d|e{} :authority=a.example X-One=1 x-two="a b" x-ONE=3 x-empty= body="some\r\nbody\0"
request_headers pause
http_call_response get_body call_body
http_call_response local_response 200 done
--- plugin_options eval: $::NAMED
--- backend: echo
--- location
content_by_lua_block { ngx.say("hello") }
--- response_body chop
done
--- grep_error_log eval: qr/get_body\(call_body\) = OK \w+/
--- grep_error_log_out eval
my $sent = "POST /a%2Fb?c=d|e{} HTTP/1.1\nHost: a.example\nX-One: 1\nx-two: a b\nx-ONE: 3\nx-empty: \nContent-Length: 11\n\nsome\r\nbody\0";
"get_body(call_body) = OK 0x" . unpack("H*", $sent) . "\n"



=== TEST 13: request: a GET has no length, a POST without body has 0
--- plugin
request_headers http_call side 5000 :method=GET
http_call_response get_body call_body
http_call_response if_root false once http_call side 5000 :method=POST
http_call_response nth 2 local_response 200 done
request_headers pause
--- plugin_options eval: $::NAMED
--- backend: echo
--- location
content_by_lua_block { ngx.say("hello") }
--- response_body chop
done
--- plugin_log
http_call(side 5000 :method=GET) = OK 1
get_body(call_body) = OK "GET / HTTP/1.1\nHost: side\n"
http_call(side 5000 :method=POST) = OK 2
get_body(call_body) = OK "POST / HTTP/1.1\nHost: side\nContent-Length: 0\n"
local_response(200 done) = OK



=== TEST 14: request: headers of the connection are ours
--- plugin
request_headers http_call side 5000 :authority=a.example host=b.example connection=close content-length=99 transfer-encoding=chunked upgrade=x te=trailers keep-alive=1 x-mine=yes
request_headers pause
http_call_response get_body call_body
http_call_response local_response 200 done
--- plugin_options eval: $::NAMED
--- backend: echo
--- location
content_by_lua_block { ngx.say("hello") }
--- response_body chop
done
--- error_log
get_body(call_body) = OK "GET / HTTP/1.1\nHost: a.example\nx-mine: yes\n"



=== TEST 15: request: a large body, and a large answer
--- plugin
request_headers http_call side 15000 :method=POST body=fill:500000:abcd
request_headers pause
http_call_response get_header call_response x-crc
http_call_response get_body call_body
http_call_response local_response 200 done
--- plugin_options eval: $::NAMED
--- backend
client_max_body_size 10m;
client_body_buffer_size 10m;
content_by_lua_block {
    ngx.req.read_body()
    local body = ngx.req.get_body_data()
    ngx.header["X-CRC"] = #body .. ":" .. ngx.crc32_long(body)
    for _ = 1, 100 do
        ngx.print(("efgh"):rep(25000))
        ngx.flush(true)
    end
}
--- location
content_by_lua_block { ngx.say("hello") }
--- response_body chop
done
--- grep_error_log eval: qr/x-crc\) = OK "\S+"|\d+ bytes, crc32 \w+/
--- grep_error_log_out eval
sub crc {
    my $crc = 0xffffffff;
    my @table = map {
        my $c = $_;
        $c = $c & 1 ? 0xedb88320 ^ ($c >> 1) : $c >> 1 for 1 .. 8;
        $c
    } 0 .. 255;
    $crc = $table[($crc ^ $_) & 0xff] ^ ($crc >> 8) for unpack "C*", $_[0];
    return $crc ^ 0xffffffff;
}
sprintf "x-crc) = OK \"2000000:%u\"\n%u bytes, crc32 %08x\n",
    crc("abcd" x 500000), 10000000, crc("efgh" x 2500000)



=== TEST 16: request: HEAD, whose answer has a length and no body
--- plugin
request_headers http_call side 5000 :method=HEAD
request_headers pause
http_call_response echo_params
http_call_response get_header call_response content-length
http_call_response local_response 200 done
--- plugin_options eval: $::NAMED
--- backend
content_by_lua_block {
    ngx.header.content_length = 1234
}
--- location
content_by_lua_block { ngx.say("hello") }
--- response_body chop
done
--- error_log
body_size=0 num_trailers=0
get_header(call_response content-length) = OK "1234"
