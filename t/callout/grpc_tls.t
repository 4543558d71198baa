# gRPC callouts over TLS: ALPN, and an upstream that must prove its name.

use lib 't/lib';
use GrpcServer 'tls';
use TestProxyWasm 'no_plan';

# An upstream with these fields.
sub up {
    my $fields = join ', ', @_;
    return "upstreams = { up = { 'https://127.0.0.1:$GrpcServer::TLS_PORT', $fields } },\n";
}
our $TRUSTED = up("ca = '$GrpcServer::CA'");
our $CA = "env SSL_CERT_FILE=$GrpcServer::CA;\n";

our $ASK = '
request_headers     grpc_call up test.Echo Echo 5000 "hello"
request_headers     pause
grpc_call_response  grpc_status
grpc_call_response  get_body grpc_message
grpc_call_response  local_response 200 done
';

no_long_string();
run_tests();

__DATA__

=== TEST 1: tls: a certificate for the address, by the upstream's CA
--- plugin eval: $::ASK
--- plugin_options eval: $::TRUSTED
--- response_body chop
done
--- error_log
get_body(grpc_message) = OK "hello"
--- no_error_log
[error]



=== TEST 2: tls: by the system's certificates
--- main_config eval: $::CA
--- plugin eval: $::ASK
--- plugin_options eval: ::up()
--- response_body chop
done
--- error_log
get_body(grpc_message) = OK "hello"
--- no_error_log
[error]



=== TEST 3: tls: by nobody's
--- main_config eval: "env SSL_CERT_FILE=$GrpcServer::OTHER_CA;\n"
--- plugin eval: $::ASK
--- plugin_options eval: ::up()
--- response_body chop
done
--- error_log
grpc_status() = OK 14 "TLS: invalid peer certificate: no trusted CA has signed it (option ca)"
a gRPC callout to "up" at https://127.0.0.1:



=== TEST 4: tls: by another CA than the upstream's
--- main_config eval: $::CA
--- plugin eval: $::ASK
--- plugin_options eval: ::up("ca = '$GrpcServer::OTHER_CA'")
--- response_body chop
done
--- error_log
grpc_status() = OK 14 "TLS: invalid peer certificate: no trusted CA has signed it (option ca)"



=== TEST 5: tls: for the name that the plugin asks for
--- plugin
request_headers     grpc_call up test.Echo Peer 5000 "" :authority=a.example:443
request_headers     grpc_call up test.Echo Echo 5000 "" :authority=b.example
request_headers     pause
grpc_call_response  echo_params
grpc_call_response  grpc_status
grpc_call_response  nth 2 local_response 200 done
--- plugin_options eval: $::TRUSTED
--- response_body chop
done
--- error_log
token=1 status=0
token=2 status=14
not valid for name "b.example"



=== TEST 6: tls: for the upstream's sni
--- plugin eval: $::ASK
--- plugin_options eval: ::up("sni = 'a.example'", "ca = '$GrpcServer::CA'")
--- response_body chop
done
--- error_log
get_body(grpc_message) = OK "hello"



=== TEST 7: tls: not verified where the upstream says so
--- plugin eval: $::ASK
--- plugin_options eval: ::up("verify = false")
--- response_body chop
done
--- error_log
get_body(grpc_message) = OK "hello"



=== TEST 8: tls: large messages, both ways, on a stream
--- plugin
request_headers  grpc_stream up test.Echo Chat
request_headers  grpc_send last fill:5000000:x false
request_headers  pause
grpc_message     get_body_status grpc_message
grpc_message     grpc_close 1
grpc_close       echo_params
grpc_close       local_response 200 done
--- plugin_options eval: $::TRUSTED
--- response_body chop
done
--- error_log
get_body_status(grpc_message) = OK 5000003 0
grpc_close: context=2 token=1 status=0



=== TEST 9: tls: an upstream that speaks none
--- plugin eval: $::ASK
--- plugin_options eval: "upstreams = { up = { 'https://127.0.0.1:$GrpcServer::PORT', ca = '$GrpcServer::CA' } },\n"
--- response_body chop
done
--- error_log
grpc_status() = OK 14 "



=== TEST 10: tls: an upstream that speaks it, and is not spoken to so
--- plugin eval: $::ASK
--- plugin_options eval: "upstreams = { up = '127.0.0.1:$GrpcServer::TLS_PORT' },\n"
--- response_body chop
done
--- error_log
grpc_status() = OK 14 "



=== TEST 11: tls: upstreams at one address share no connection where they trust other CAs, or anybody
--- plugin
request_headers     grpc_call anybody test.Echo Echo 5000 ""
request_headers     pause
grpc_call_response  grpc_status
grpc_call_response  nth 1 grpc_call ours test.Echo Echo 5000 ""
grpc_call_response  nth 2 grpc_call others test.Echo Echo 5000 ""
grpc_call_response  nth 3 local_response 200 done
--- plugin_options eval
"upstreams = {
    anybody = { 'https://127.0.0.1:$GrpcServer::TLS_PORT', verify = false },
    ours = { 'https://127.0.0.1:$GrpcServer::TLS_PORT', ca = '$GrpcServer::CA' },
    others = { 'https://127.0.0.1:$GrpcServer::TLS_PORT', ca = '$GrpcServer::OTHER_CA' },
},
"
--- response_body chop
done
--- grep_error_log eval: qr/grpc_status\(\) = OK .*?(?= while|,)/
--- grep_error_log_out
grpc_status() = OK 0 ""
grpc_status() = OK 0 ""
grpc_status() = OK 14 "TLS: invalid peer certificate: no trusted CA has signed it (option ca)"
