# Foreign functions that take Envoy's messages (src/hostcalls/foreign/).

use lib 't/lib';
use MIME::Base64;
use TestProxyWasm 'no_plan';

# Made by openssl: a key on P-256, and its signature of "hello" with SHA-256.
our $PRIVATE = decode_base64(join "",
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQga6gv/sQM4w6bdZILgbtyMkesieiS4Gq6oSfNDRwG+T2h",
    "RANCAARlLjbRl3SwddfKaazemYFqwBurMb+teHBeNLtLYAJqf2bowxDmHgPwZprwIowv7s/wD2tbM1waaVlQ4AvCvtTx");
our $PUBLIC = decode_base64(join "",
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZS420Zd0sHXXymms3pmBasAbqz",
    "G/rXhwXjS7S2ACan9m6MMQ5h4D8Gaa8CKML+7P8A9rWzNcGmlZUOALwr7U8Q==");
our $SIGNATURE = decode_base64(join "",
    "MEUCIHco2n9BNwsLnFfYlyZ8M1g//yIFRLqN4c0ngQU9lJQZ",
    "AiEA3rCLyUnBfSmKU2T5ipLaVi7VGWXMLstbNEPrFggaCgs=");

# Fields of a protobuf message, numbers and values in turn, as a word of a script.
our $MESSAGE = sub {
    my $message = "";
    while (@_) {
        my ($number, $bytes) = splice @_, 0, 2;
        my $size = length $bytes;
        $message .= chr($number << 3 | 2);
        $message .= chr($size & 0x7f | ($size > 0x7f ? 0x80 : 0));
        $message .= chr($size >> 7) if $size > 0x7f;
        $message .= $bytes;
    }
    return '"' . join("", map { /[\w +\/=.-]/a ? $_ : sprintf "\\x%02x", ord } split //, $message) . '"';
};

# What base64 calls PEM.
our $PEM = sub {
    my ($what, $der) = @_;
    return "-----BEGIN $what-----\n" . encode_base64($der) . "-----END $what-----\n";
};

no_long_string();
run_tests();

__DATA__

=== TEST 1: verify_signature: right, wrong, by keys in DER and in PEM
--- plugin eval
my @same = (1 => "sha256", 3 => $::SIGNATURE);
my @messages = (
    [@same, 2 => $::PUBLIC, 4 => "hello"],
    [@same, 5 => $::PEM->("PUBLIC KEY", $::PUBLIC), 4 => "hello"],
    [@same, 2 => $::PUBLIC, 4 => "hullo"],
    [1 => "SHA384", 3 => $::SIGNATURE, 2 => $::PUBLIC, 4 => "hello"],
    [1 => "SHA256", 2 => $::PUBLIC, 4 => "hello"],
);
CORE::join "", map { "request_headers foreign verify_signature " . $::MESSAGE->(@$_) . "\n" } @messages
--- grep_error_log eval: qr/= \K\w+ 0x[0-9a-f]+/
--- grep_error_log_out eval
my $wrong = "OK 0x1226" . CORE::unpack("H*", "Failed to verify digest. Error code: 0") . "\n";
"OK 0x0801\n" x 2 . $wrong x 3



=== TEST 2: verify_signature: a hash function that is none, or not here
--- plugin eval
CORE::join "", map {
    "request_headers foreign verify_signature "
        . $::MESSAGE->(1 => $_, 2 => $::PUBLIC, 3 => $::SIGNATURE, 4 => "hello") . "\n"
} "", "md5", "SHA1", "sha512"
--- grep_error_log eval: qr/= \K\w+ .*?(?=,)/
--- grep_error_log_out eval
my $error = sub { CORE::chr(0x12) . CORE::chr(CORE::length $_[0]) . $_[0] };
CORE::join "", map { "OK 0x" . CORE::unpack("H*", $error->("$_ is not supported.")) . "\n" } "", "md5", "SHA1", "sha512"



=== TEST 3: verify_signature: no message, no key, two keys; and what is no key
--- plugin eval
my @bad = (
    [1 => "sha256", 3 => $::SIGNATURE, 4 => "hello"],
    [2 => $::PUBLIC, 5 => "key"],
);
my @messages = (
    [2 => "key"],
    [2 => $::PUBLIC . "x"],
    [2 => CORE::substr($::PUBLIC, 0, -1)],
    [2 => $::PRIVATE],
    [5 => $::PEM->("PRIVATE KEY", $::PRIVATE)],
    [5 => "key"],
    [2 => "\x30\x84\xff\xff\xff\xff"],
    [2 => "\x30\x02\x30\x80"],
);
my $call = sub { "request_headers foreign verify_signature " . $::MESSAGE->(@_) . "\n" };
"request_headers foreign verify_signature \"\\x0a\\xff\"\nrequest_headers foreign verify_signature \"\\xff\"\n"
    . CORE::join "", map({ $call->(@$_) } @bad), map { $call->(1 => "sha256", @$_) } @messages
--- grep_error_log eval: qr/= \K\w+ ?[0-9a-fx]*(?=,)/
--- grep_error_log_out eval
"BAD_ARGUMENT\n" x 4 . ("OK 0x1223" . CORE::unpack("H*", "Failed to initialize digest verify.") . "\n") x 8



=== TEST 4: sign: a signature, by keys in DER and in PEM
--- plugin eval
"request_headers foreign sign " . $::MESSAGE->(1 => "sha256", 2 => $::PRIVATE, 3 => "hello")
    . "\nrequest_headers foreign sign "
    . $::MESSAGE->(1 => "sha256", 4 => $::PEM->("PRIVATE KEY", $::PRIVATE), 3 => "hello")
    . "\nrequest_headers foreign sign " . $::MESSAGE->(1 => "sha1", 2 => $::PRIVATE) . "\n"
--- grep_error_log eval: qr/= \K\w+ 0x(?:080112..30|[0-9a-f]+)/
--- grep_error_log_out eval
my $error = CORE::unpack("H*", "sha1 is not supported.");
qr/\A(?:OK 0x0801124[4-8]30\n){2}OK 0x1a16$error\n\z/



=== TEST 5: sign: no message, no key, two keys; and what is no key
--- plugin eval
my @messages = (
    [1 => "sha256", 3 => "hello"],
    [2 => $::PRIVATE, 4 => "key"],
    [1 => "sha256", 2 => "key"],
    [1 => "sha256", 2 => $::PUBLIC],
    [1 => "sha256", 4 => "key"],
);
"request_headers foreign sign \"\\x0a\\xff\"\n"
    . CORE::join "", map { "request_headers foreign sign " . $::MESSAGE->(@$_) . "\n" } @messages
--- grep_error_log eval: qr/= \K\w+ ?[0-9a-fx]*(?=,)/
--- grep_error_log_out eval
my $wrong = CORE::unpack("H*", "Invalid key type: private key required for signing operation.");
"BAD_ARGUMENT\n" x 3 . "OK 0x1a3d$wrong\n" x 3



=== TEST 6: declare_property: what is read-only is set once in a request, by whichever plugin; in the next one again
--- plugin
configure foreign declare_property "\x0a\x04once\x10\x01"
configure foreign declare_property "\x0a\x04ever\x18\x01\x28\x02"
request_headers set_property once one
request_headers set_property once two
request_headers get_property once
request_headers set_property ever one
request_headers set_property ever two
request_headers get_property ever
--- plugin2
request_headers set_property once three
request_headers get_property once
--- request eval
["GET /t", "GET /t"]
--- plugin_log eval
my $request = <<'_END_';
set_property(once one) = OK
cannot set the property once: it was declared read-only, and has a value
set_property(once two) = OK
get_property(once) = OK "one"
set_property(ever one) = OK
set_property(ever two) = OK
get_property(ever) = OK "two"
q: cannot set the property once: it was declared read-only, and has a value
q: set_property(once three) = OK
q: get_property(once) = OK "one"
_END_
my $start = <<'_END_';
foreign(declare_property "\x0a\x04once\x10\x01") = OK ""
foreign(declare_property "\x0a\x04ever\x18\x01\x28\x02") = OK ""
_END_
# The first request's have what the start has left, too.
qr/\A(?:\Q$start\E){0,2}\Q$request\E\z/



=== TEST 7: declare_property: twice, no message; in an http context to no effect; again in a new instance
--- plugin
configure foreign declare_property "\x0a\x04once\x10\x01"
configure foreign declare_property "\x0a\x04once"
configure foreign declare_property "\x0a\x09once"
configure foreign declare_property ""
request_headers foreign declare_property "\x0a\x05never\x10\x01"
request_headers set_property never one
request_headers set_property never two
request_headers get_property never
request_headers if_header x-trap yes trap
--- request eval
["GET /t", "GET /t", "GET /t"]
--- more_headers eval
["", "X-Trap: yes", ""]
--- error_code eval
[200, 503, 200]
--- grep_error_log eval: qr/(?:foreign|get_property)\(.*?\) = \w+(?: "\w+")?/
--- grep_error_log_out eval
my $configure = <<'_END_';
foreign(declare_property "\x0a\x04once\x10\x01") = OK
foreign(declare_property "\x0a\x04once") = BAD_ARGUMENT
foreign(declare_property "\x0a\x09once") = BAD_ARGUMENT
foreign(declare_property "") = OK
_END_
my $request = <<'_END_';
foreign(declare_property "\x0a\x05never\x10\x01") = OK
get_property(never) = OK "two"
_END_
[qr/\A(?:\Q$configure\E){0,2}\Q$request\E\z/, $request, "$configure$request"]
