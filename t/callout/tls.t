# Callouts over TLS: the upstream must prove the name in :authority.

use lib 't/lib';
use TestProxyWasm 'no_plan';

use File::Temp qw(tempdir);

# A CA, a certificate of it for a.example and 127.0.0.1, and another CA.
our $DIR = tempdir(CLEANUP => 1);
sub openssl {
    my $out = `cd $DIR && openssl @_ 2>&1`;
    die "openssl @_: $out" if $?;
}
for my $ca (qw(ca other)) {
    openssl("req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=$ca -keyout $ca.key -out $ca.pem");
}
openssl('req -newkey rsa:2048 -nodes -subj /CN=a.example -keyout server.key -out server.csr');
open my $extensions, '>', "$DIR/extensions" or die $!;
print $extensions "subjectAltName = DNS:a.example, IP:127.0.0.1\n";
close $extensions;
openssl('x509 -req -days 30 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial '
    . '-extfile extensions -out server.pem');

our $TRUST = "lua_ssl_trusted_certificate $DIR/ca.pem;\n";

our $SERVER = <<"_END_";
    server {
        listen 127.0.0.1:\$TEST_NGINX_RAND_PORT_1 ssl;
        listen unix:\$TEST_NGINX_HTML_DIR/tls.sock ssl;
        ssl_certificate $DIR/server.pem;
        ssl_certificate_key $DIR/server.key;
        location / {
            return 200 "\$ssl_server_name \$connection_requests";
        }
    }
_END_

our $SHOW = '
request_headers pause
http_call_response get_body call_body
http_call_response local_response 200 done
';

our $HELLO = 'content_by_lua_block { ngx.say("hello") }';

no_long_string();
run_tests();

__DATA__

=== TEST 1: tls: a certificate for the name in :authority, by a trusted CA
--- plugin eval
"request_headers http_call 127.0.0.1:\$TEST_NGINX_RAND_PORT_1 5000 :scheme=https :authority=a.example\n$::SHOW"
--- plugin_options
callouts = "any",
--- http_config eval: $::TRUST . $::SERVER
--- response_body chop
done
--- error_log
get_body(call_body) = OK "a.example 1"



=== TEST 2: tls: the port of :authority is no part of the name
--- plugin eval
"request_headers http_call 127.0.0.1:\$TEST_NGINX_RAND_PORT_1 5000 :scheme=https :authority=a.example:8443\n$::SHOW"
--- plugin_options
callouts = "any",
--- http_config eval: $::TRUST . $::SERVER
--- response_body chop
done
--- error_log
get_body(call_body) = OK "a.example 1"



=== TEST 3: tls: of an upstream by name, whose scheme the operator gives
--- plugin eval
"request_headers http_call svc 5000 :authority=a.example\n$::SHOW"
--- plugin_options
upstreams = { svc = "https://127.0.0.1:$TEST_NGINX_RAND_PORT_1" },
--- http_config eval: $::TRUST . $::SERVER
--- response_body chop
done
--- error_log
get_body(call_body) = OK "a.example 1"



=== TEST 4: tls: over a unix socket
--- plugin eval
"request_headers http_call unix:\$TEST_NGINX_HTML_DIR/tls.sock 5000 :scheme=https :authority=a.example\n$::SHOW"
--- plugin_options
callouts = "any",
--- http_config eval: $::TRUST . $::SERVER
--- response_body chop
done
--- error_log
get_body(call_body) = OK "a.example 1"



=== TEST 5: tls: another name is refused
--- plugin eval
"request_headers http_call 127.0.0.1:\$TEST_NGINX_RAND_PORT_1 5000 :scheme=https :authority=b.example\n$::SHOW"
--- plugin_options
callouts = "any",
--- http_config eval: $::TRUST . $::SERVER
--- response_body chop
done
--- error_log
failed: TLS handshake for "b.example": certificate host mismatch
get_body(call_body) = OK ""
--- no_error_log
a.example 1



=== TEST 6: tls: a CA that is not trusted is refused
--- plugin eval
"request_headers http_call 127.0.0.1:\$TEST_NGINX_RAND_PORT_1 5000 :scheme=https :authority=a.example\n$::SHOW"
--- plugin_options
callouts = "any",
--- http_config eval
"lua_ssl_trusted_certificate $::DIR/other.pem;\n$::SERVER"
--- response_body chop
done
--- error_log
failed: TLS handshake for "a.example": 2
get_body(call_body) = OK ""
--- no_error_log
a.example 1



=== TEST 7: tls: without any trusted CA nothing is trusted
--- plugin eval
"request_headers http_call 127.0.0.1:\$TEST_NGINX_RAND_PORT_1 5000 :scheme=https :authority=a.example\n$::SHOW"
--- plugin_options
callouts = "any",
--- http_config eval: $::SERVER
--- response_body chop
done
--- error_log
failed: TLS handshake for "a.example":
get_body(call_body) = OK ""
--- no_error_log
a.example 1



=== TEST 8: tls: an upstream that speaks none
--- plugin eval
"request_headers http_call 127.0.0.1:\$TEST_NGINX_RAND_PORT_1 5000 :scheme=https :authority=a.example\n$::SHOW"
--- plugin_options
callouts = "any",
--- http_config eval
$::TRUST . $::SERVER =~ s/ ssl;/;/gr
--- response_body chop
done
--- error_log
failed: TLS handshake for "a.example":
get_body(call_body) = OK ""



=== TEST 9: tls: an upstream that is silent in the handshake
--- plugin
request_headers http_call side 500 :scheme=https :authority=a.example
request_headers pause
http_call_response echo_params
http_call_response local_response 200 done
--- plugin_options
upstreams = { side = "https://127.0.0.1:$TEST_NGINX_RAND_PORT_2" },
--- tcp_listen: $TEST_NGINX_RAND_PORT_2
--- tcp_no_close
--- tcp_reply_delay: 2
--- tcp_reply: too late
--- response_body chop
done
--- error_log
failed: TLS handshake for "a.example": timeout
num_headers=0 body_size=0 num_trailers=0



=== TEST 10: tls: a kept connection serves the same name again, and no other
--- plugin
request_headers http_call svc 5000 :authority=a.example
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 http_call svc 5000 :authority=a.example
http_call_response nth 2 http_call svc 5000 :authority=b.example
http_call_response nth 3 local_response 200 done
--- plugin_options
upstreams = { svc = "https://127.0.0.1:$TEST_NGINX_RAND_PORT_1" },
--- http_config eval: $::TRUST . $::SERVER
--- response_body chop
done
--- grep_error_log eval: qr/get_body.*?"[^"]*"|certificate host mismatch/
--- grep_error_log_out
get_body(call_body) = OK "a.example 1"
get_body(call_body) = OK "a.example 2"
certificate host mismatch
get_body(call_body) = OK ""



=== TEST 11: tls: the upstream's word wins over the callout's :scheme, and over :authority
--- plugin
request_headers http_call with 5000 :scheme=http :authority=b.example
request_headers http_call without 5000 :scheme=https :authority=b.example
request_headers pause
http_call_response get_body call_body
http_call_response nth 2 local_response 200 done
--- plugin_options
upstreams = {
    with = { "127.0.0.1:$TEST_NGINX_RAND_PORT_1", tls = true, sni = "a.example" },
    without = { "127.0.0.1:$TEST_NGINX_RAND_PORT_2", tls = false },
},
--- http_config eval
$::TRUST . $::SERVER . '
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_2;
        location / { return 200 "$scheme $http_host"; }
    }
'
--- response_body chop
done
--- grep_error_log eval: qr/get_body.*?"[^"]*"/
--- grep_error_log_out eval
qr/^(?=(?:.*\n)*get_body\(call_body\) = OK "a.example 1"\n)(?=(?:.*\n)*get_body\(call_body\) = OK "http b.example"\n)/



=== TEST 12: tls: verified or not, and never over one another's connections
--- plugin
request_headers http_call loose 5000
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 http_call loose 5000
http_call_response nth 2 http_call strict 5000
http_call_response nth 3 local_response 200 done
--- plugin_options
upstreams = {
    loose = { "https://127.0.0.1:$TEST_NGINX_RAND_PORT_1", sni = "b.example", verify = false },
    strict = { "https://127.0.0.1:$TEST_NGINX_RAND_PORT_1", sni = "b.example" },
},
--- http_config eval: $::TRUST . $::SERVER
--- response_body chop
done
--- grep_error_log eval: qr/get_body.*?"[^"]*"|certificate host mismatch/
--- grep_error_log_out
get_body(call_body) = OK "b.example 1"
get_body(call_body) = OK "b.example 2"
certificate host mismatch
get_body(call_body) = OK ""



=== TEST 13: tls: nginx finds no address in a certificate, and refuses; with a CA of the upstream's own it is found
--- plugin
request_headers http_call nginxs 5000 :authority=127.0.0.1
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 http_call own 5000 :authority=127.0.0.1
http_call_response nth 2 local_response 200 done
--- plugin_options eval
"upstreams = {
    nginxs = 'https://127.0.0.1:\$TEST_NGINX_RAND_PORT_1',
    own = { 'https://127.0.0.1:\$TEST_NGINX_RAND_PORT_1', ca = '$::DIR/ca.pem' },
},
"
--- http_config eval: $::TRUST . $::SERVER
--- response_body chop
done
--- grep_error_log eval: qr/get_body.*?"[^"]*"|TLS handshake for "127.0.0.1": certificate host mismatch/
--- grep_error_log_out eval
qr/\ATLS handshake for "127.0.0.1": certificate host mismatch
get_body\(call_body\) = OK ""
get_body\(call_body\) = OK "[^"]* 1"
\z/
