# TLS with a CA or a client certificate of the upstream's own.

use lib 't/lib';
use TestProxyWasm 'no_plan';

use File::Temp qw(tempdir);

# CAs "ca" and "other"; a server for a.example and 127.0.0.1 by "ca"; clients
# "joe" and "ann" by "ca".
our $DIR = tempdir(CLEANUP => 1);
chmod 0755, $DIR;
sub openssl {
    my $out = `cd $DIR && openssl @_ 2>&1`;
    die "openssl @_: $out" if $?;
}
for my $ca (qw(ca other)) {
    openssl("req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=$ca -keyout $ca.key -out $ca.pem");
}
for (['server', 'a.example', 'subjectAltName = DNS:a.example, IP:127.0.0.1'],
     ['joe', 'joe', 'extendedKeyUsage = clientAuth'], ['ann', 'ann', 'extendedKeyUsage = clientAuth'])
{
    my ($name, $subject, $extensions) = @$_;
    openssl("req -newkey rsa:2048 -nodes -subj /CN=$subject -keyout $name.key -out $name.csr");
    open my $file, '>', "$DIR/extensions" or die $!;
    print $file "$extensions\n";
    close $file;
    openssl("x509 -req -days 30 -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial "
        . "-extfile extensions -out $name.pem");
}

our $SERVER = <<"_END_";
    server {
        listen 127.0.0.1:\$TEST_NGINX_RAND_PORT_1 ssl;
        listen unix:\$TEST_NGINX_HTML_DIR/tls.sock ssl;
        ssl_certificate $DIR/server.pem;
        ssl_certificate_key $DIR/server.key;
        ssl_client_certificate $DIR/ca.pem;
        ssl_verify_client optional;
        location / {
            return 200 "\$ssl_server_name \$ssl_client_s_dn \$connection_requests";
        }
        location /close {
            keepalive_timeout 0;
            return 200 "closed";
        }
        location /large {
            client_max_body_size 10m;
            client_body_buffer_size 10m;
            content_by_lua_block {
                ngx.req.read_body()
                ngx.print(#ngx.req.get_body_data(), " ", ("x"):rep(3000000))
            }
        }
    }
    lua_socket_log_errors off;
_END_

our $SHOW = '
request_headers pause
http_call_response get_body call_body
http_call_response local_response 200 done
';

our $CALL = "request_headers http_call svc 5000 :authority=a.example\n$SHOW";

our $BODY = qr/get_body.*?"[^"]*"|failed: TLS .*?(?=, client: )/;

no_long_string();
run_tests();

__DATA__

=== TEST 1: own CA: trusts it, though nginx does not
--- plugin eval: $::CALL
--- plugin_options eval
"upstreams = { svc = { 'https://127.0.0.1:\$TEST_NGINX_RAND_PORT_1', ca = '$::DIR/ca.pem' } },"
--- http_config eval: $::SERVER
--- response_body chop
done
--- grep_error_log eval: $::BODY
--- grep_error_log_out
get_body(call_body) = OK "a.example  1"



=== TEST 2: own CA: as PEM, over a unix socket, with another one beside it
--- plugin eval: $::CALL
--- plugin_options eval
my $pem = `cat $::DIR/other.pem $::DIR/ca.pem`;
"upstreams = { svc = { 'unix:\$TEST_NGINX_HTML_DIR/tls.sock', tls = true, ca = [==[\n$pem]==] } },"
--- http_config eval: $::SERVER
--- grep_error_log eval: $::BODY
--- grep_error_log_out
get_body(call_body) = OK "a.example  1"



=== TEST 3: own CA: trusts no other, though nginx does
--- plugin eval: $::CALL
--- plugin_options eval
"upstreams = { svc = { 'https://127.0.0.1:\$TEST_NGINX_RAND_PORT_1', ca = '$::DIR/other.pem' } },"
--- http_config eval
"lua_ssl_trusted_certificate $::DIR/ca.pem;\n$::SERVER"
--- grep_error_log eval: $::BODY
--- grep_error_log_out
failed: TLS handshake for "a.example": invalid peer certificate: no trusted CA has signed it (option ca)
get_body(call_body) = OK ""



=== TEST 4: own CA: the certificate is for another name
--- plugin
request_headers http_call svc 5000 :authority=b.example:8443
request_headers pause
http_call_response get_body call_body
http_call_response local_response 200 done
--- plugin_options eval
"upstreams = { svc = { 'https://127.0.0.1:\$TEST_NGINX_RAND_PORT_1', ca = '$::DIR/ca.pem' } },"
--- http_config eval: $::SERVER
--- error_log
failed: TLS handshake for "b.example": invalid peer certificate: certificate not valid for name "b.example"
get_body(call_body) = OK ""



=== TEST 5: own CA: sni is the name, whatever the :authority; an address is one, too
--- plugin
request_headers http_call named 5000 :authority=b.example
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 http_call addressed 5000 :authority=127.0.0.1:1
http_call_response nth 2 local_response 200 done
--- plugin_options eval
"upstreams = {
    named = { 'https://127.0.0.1:\$TEST_NGINX_RAND_PORT_1', ca = '$::DIR/ca.pem', sni = 'a.example' },
    addressed = { 'https://127.0.0.1:\$TEST_NGINX_RAND_PORT_1', ca = '$::DIR/ca.pem' },
},"
--- http_config eval: $::SERVER
--- grep_error_log eval: $::BODY
--- grep_error_log_out
get_body(call_body) = OK "a.example  1"
get_body(call_body) = OK "  1"



=== TEST 6: client certificate: is shown, and none by others
--- plugin
request_headers http_call joe 5000 :authority=a.example
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 http_call ann 5000 :authority=a.example
http_call_response nth 2 http_call nobody 5000 :authority=a.example
http_call_response nth 3 local_response 200 done
--- plugin_options eval
my $upstreams = '';
for my $name (qw(joe ann nobody)) {
    my $client = $name eq 'nobody' ? '' : ", cert = '$::DIR/$name.pem', key = '$::DIR/$name.key'";
    $upstreams .= "$name = { 'https://127.0.0.1:\$TEST_NGINX_RAND_PORT_1', ca = '$::DIR/ca.pem'$client },\n";
}
"upstreams = { $upstreams },"
--- http_config eval: $::SERVER
--- grep_error_log eval: $::BODY
--- grep_error_log_out
get_body(call_body) = OK "a.example CN=joe 1"
get_body(call_body) = OK "a.example CN=ann 1"
get_body(call_body) = OK "a.example  1"



=== TEST 7: connections: kept and used again, by the same upstream and name only
--- plugin
request_headers http_call joe 5000 :authority=a.example
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 http_call joe 5000 :authority=a.example
http_call_response nth 2 http_call ann 5000 :authority=a.example
http_call_response nth 3 http_call joe 5000 :authority=127.0.0.1
http_call_response nth 4 http_call plain 5000 :authority=a.example
http_call_response nth 5 http_call joe 5000 :authority=a.example
http_call_response nth 6 http_call ann 5000 :authority=a.example
http_call_response nth 7 local_response 200 done
--- plugin_options eval
my $upstreams = "plain = 'https://127.0.0.1:\$TEST_NGINX_RAND_PORT_1',";
for my $name (qw(joe ann)) {
    my $client = ", cert = '$::DIR/$name.pem', key = '$::DIR/$name.key'";
    $upstreams .= "$name = { 'https://127.0.0.1:\$TEST_NGINX_RAND_PORT_1', ca = '$::DIR/ca.pem'$client },\n";
}
"upstreams = { $upstreams },"
--- http_config eval
"lua_ssl_trusted_certificate $::DIR/ca.pem;\n$::SERVER"
--- grep_error_log eval: $::BODY
--- grep_error_log_out
get_body(call_body) = OK "a.example CN=joe 1"
get_body(call_body) = OK "a.example CN=joe 2"
get_body(call_body) = OK "a.example CN=ann 1"
get_body(call_body) = OK " CN=joe 1"
get_body(call_body) = OK "a.example  1"
get_body(call_body) = OK "a.example CN=joe 3"
get_body(call_body) = OK "a.example CN=ann 2"



=== TEST 8: connections: one that the upstream closes is not kept, the next is a new one
--- plugin
request_headers http_call svc 5000 :authority=a.example
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 http_call svc 5000 :authority=a.example :path=/close
http_call_response nth 2 http_call svc 5000 :authority=a.example
http_call_response nth 3 local_response 200 done
--- plugin_options eval
"upstreams = { svc = { 'https://127.0.0.1:\$TEST_NGINX_RAND_PORT_1', ca = '$::DIR/ca.pem' } },"
--- http_config eval: $::SERVER
--- grep_error_log eval: $::BODY
--- grep_error_log_out
get_body(call_body) = OK "a.example  1"
get_body(call_body) = OK "closed"
get_body(call_body) = OK "a.example  1"



=== TEST 9: connections: one that was closed while it was kept: the next is a new one
--- plugin
request_headers http_call svc 5000 :authority=a.example
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 tick 1500
http_call_response if_root true set_effective_context origin
http_call_response nth 2 local_response 200 done
tick set_effective_context origin
tick once http_call svc 5000 :authority=a.example
tick tick 0
--- plugin_options eval
"upstreams = { svc = { 'https://127.0.0.1:\$TEST_NGINX_RAND_PORT_1', ca = '$::DIR/ca.pem' } },"
--- http_config eval
$::SERVER =~ s/server \{/server {\n        keepalive_timeout 1s;/r
--- grep_error_log eval: $::BODY
--- grep_error_log_out
get_body(call_body) = OK "a.example  1"
get_body(call_body) = OK "a.example  1"
--- timeout: 10



=== TEST 10: bytes: a large body each way
--- plugin
request_headers http_call svc 15000 :authority=a.example :path=/large :method=POST body=fill:500000:abcd
request_headers pause
http_call_response echo_params
http_call_response get_body call_body 0 12
http_call_response local_response 200 done
--- plugin_options eval
"upstreams = { svc = { 'https://127.0.0.1:\$TEST_NGINX_RAND_PORT_1', ca = '$::DIR/ca.pem' } },"
--- http_config eval: $::SERVER
--- error_log
body_size=3000008
get_body(call_body 0 12) = OK "2000000 xxxx"



=== TEST 11: handshake: nobody who speaks TLS, and nobody who speaks at all
--- plugin
request_headers http_call plain 1000 :authority=a.example
request_headers pause
http_call_response nth 1 http_call silent 500 :authority=a.example
http_call_response nth 2 local_response 200 done
--- plugin_options eval
"upstreams = {
    plain = { 'https://127.0.0.1:\$TEST_NGINX_RAND_PORT_3', ca = '$::DIR/ca.pem' },
    silent = { 'https://127.0.0.1:\$TEST_NGINX_RAND_PORT_2', ca = '$::DIR/ca.pem' },
},"
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_3;
        location / { return 200; }
    }
--- tcp_listen: $TEST_NGINX_RAND_PORT_2
--- tcp_no_close
--- tcp_reply_delay: 2
--- tcp_reply: too late
--- response_body chop
done
--- grep_error_log eval: $::BODY
--- grep_error_log_out eval
qr/^failed: TLS handshake for "a.example": the server does not speak TLS there
failed: TLS handshake for "a.example": timeout
$/



=== TEST 12: options: what is wrong is said when the plugin is loaded
--- config eval
"
    location = /t {
        content_by_lua_block {
            local wasm = require 'resty.proxy_wasm'
            for _, fields in ipairs {
                { ca = '/nowhere' }, { ca = '/tmp' }, { ca = '$::DIR/ca.key' },
                { ca = '-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n' },
                { cert = '$::DIR/joe.pem' }, { key = '$::DIR/joe.key' },
                { cert = '$::DIR/joe.pem', key = '$::DIR/ann.key' },
                { cert = '$::DIR/joe.key', key = '$::DIR/joe.key' },
                { ca = true },
                { ca = '$::DIR/ca.pem', cert = '$::DIR/joe.pem', key = '$::DIR/joe.key' },
            } do
                fields[1] = 'https://a.example'
                local ran, plugin, err = pcall(wasm.load, 'p', '\$GUESTS/hostcalls.wasm',
                                               { upstreams = { svc = fields } })
                err = ran and (plugin and 'loaded' or err) or plugin
                ngx.say((err:gsub('/tmp/[^/]+/', '')))
            end
        }
    }
"
--- response_body
plugin "p": upstream "svc": ca: /nowhere: No such file or directory
plugin "p": upstream "svc": ca: /tmp: Is a directory
plugin "p": upstream "svc": the trusted certificate is no PEM file with a CA certificate
plugin "p": upstream "svc": the trusted certificate is no PEM file with a CA certificate
plugin "p": upstream "svc": cert and key need each other
plugin "p": upstream "svc": cert and key need each other
plugin "p": upstream "svc": the client certificate and key are no PEM files that belong together: keys may not be consistent: KeyMismatch
plugin "p": upstream "svc": the client certificate and key are no PEM files that belong together: peer sent no certificates
plugin "p": option "upstreams": "svc" must have a string as its field "ca", not true
loaded



=== TEST 13: connections: upstreams at one address share none where they trust other CAs, or anybody
--- plugin
request_headers http_call anybody 5000 :authority=a.example
request_headers pause
http_call_response get_body call_body
http_call_response nth 1 http_call ours 5000 :authority=a.example
http_call_response nth 2 http_call others 5000 :authority=a.example
http_call_response nth 3 http_call both 5000 :authority=a.example
http_call_response nth 4 http_call ours 5000 :authority=a.example
http_call_response nth 5 http_call others 5000 :authority=a.example
http_call_response nth 6 http_call anybody 5000 :authority=a.example
http_call_response nth 7 local_response 200 done
--- plugin_options eval
my $both = CORE::join '', map { `cat $::DIR/$_.pem` } qw(other ca);
my $at = "'https://127.0.0.1:\$TEST_NGINX_RAND_PORT_1'";
"upstreams = {
    anybody = { $at, verify = false, cert = '$::DIR/joe.pem', key = '$::DIR/joe.key' },
    ours = { $at, ca = '$::DIR/ca.pem', cert = '$::DIR/joe.pem', key = '$::DIR/joe.key' },
    others = { $at, ca = '$::DIR/other.pem', cert = '$::DIR/joe.pem', key = '$::DIR/joe.key' },
    both = { $at, ca = [==[\n$both]==], cert = '$::DIR/joe.pem', key = '$::DIR/joe.key' },
},
"
--- http_config eval: $::SERVER
--- grep_error_log eval: $::BODY
--- grep_error_log_out
get_body(call_body) = OK "a.example CN=joe 1"
get_body(call_body) = OK "a.example CN=joe 1"
failed: TLS handshake for "a.example": invalid peer certificate: no trusted CA has signed it (option ca)
get_body(call_body) = OK ""
get_body(call_body) = OK "a.example CN=joe 1"
get_body(call_body) = OK "a.example CN=joe 2"
failed: TLS handshake for "a.example": invalid peer certificate: no trusted CA has signed it (option ca)
get_body(call_body) = OK ""
get_body(call_body) = OK "a.example CN=joe 2"



=== TEST 14: own CA: a server whose certificate is the CA itself
--- plugin eval: $::CALL
--- plugin_options eval
"upstreams = { svc = { 'unix:\$TEST_NGINX_HTML_DIR/itself.sock', tls = true, ca = '$::DIR/ca.pem' } },"
--- http_config eval
"    server {
        listen unix:\$TEST_NGINX_HTML_DIR/itself.sock ssl;
        ssl_certificate $::DIR/ca.pem;
        ssl_certificate_key $::DIR/ca.key;
        return 200;
    }
"
--- grep_error_log eval: $::BODY
--- grep_error_log_out
failed: TLS handshake for "a.example": invalid peer certificate: it is a CA's own (CA:TRUE): sign one for the server with that CA, or make it with basicConstraints=CA:FALSE
get_body(call_body) = OK ""
