# A process with a small stack (`ulimit -s`): what a guest may use of it is less,
# and one that uses all of it still ends alone.

use strict;
use warnings;
use lib 't/lib';

use OwnNginx;
use Test::More;

my $LOCATIONS = <<'_END_';
        location = /t {
            $PHASES
            content_by_lua_block { ngx.say("served") }
        }
        # A host function at each depth, so that one is called at the deepest.
        location = /deep {
            content_by_lua_block {
                local proxy_wasm = require "resty.proxy_wasm"
                local plugin = assert(proxy_wasm.load("deep", "$GUESTS/recursion_with_calls.wasm",
                                                      { cpu_limit = 10 }))
                local ctx = assert(proxy_wasm.on_configure(plugin, ""))
                ngx.say((select(2, proxy_wasm.on_http_request_headers(ctx))))
            }
        }
_END_
$LOCATIONS =~ s/\$GUESTS/$OwnNginx::GUESTS/g;

sub with_stack {
    my ($kib) = @_;
    return OwnNginx->start(
        plugin => 'hostcalls', workers => 1, locations => $LOCATIONS,
        config => "request_headers if_header x-do recurse recurse\n",
        wrap => ['sh', '-c', "ulimit -s $kib; exec \"\$@\"", 'sh'],
    );
}

for my $kib (1024, 256) {
    my $nginx = with_stack($kib);
    my ($worker) = $nginx->workers;
    like(OwnNginx::slurp("/proc/$worker/limits"), qr/^Max stack size\s+@{[$kib * 1024]} /m,
        "ulimit -s $kib: the worker has no more");
    for my $round (1, 2) {
        is(($nginx->get('/t'))[1], "served\n", "ulimit -s $kib: a plugin is served, $round");
        my ($status) = $nginx->get('/t', undef, "Connection: close\r\nx-do: recurse\r\n");
        is($status, 503, "ulimit -s $kib: recursion without end costs its request, $round");
        is(($nginx->get('/deep'))[1], "failed to run proxy_on_request_headers: wasm trap: call stack exhausted\n",
            "ulimit -s $kib: with host functions at each depth, too, $round");
    }
    is_deeply([$nginx->workers], [$worker], "ulimit -s $kib: the worker lives");
    my $less = $kib == 256 ? 1 : 0;
    my @told = $nginx->log =~ /plugins have 64 KiB of stack, not 512: this process has 256 KiB \(ulimit -s\)/g;
    is(scalar @told, $less, "ulimit -s $kib: that guests have less is told once, where it is so");
    ok($nginx->stop, "ulimit -s $kib: nginx ends");
}

# What an option asks for is there, or the plugin does not load.
{
    my $nginx = OwnNginx->start(
        plugin => 'hostcalls', workers => 1, locations => <<"_END_",
        location = /large {
            content_by_lua_block {
                ngx.say((select(2, require("resty.proxy_wasm").load("large",
                    "$OwnNginx::GUESTS/recursion.wasm", { stack_limit = 1048576 }))))
            }
        }
_END_
        config => "request_headers log info here\n",
        wrap => ['sh', '-c', "ulimit -s 1024; exec \"\$@\"", 'sh'],
    );
    like(($nginx->get('/large'))[1], qr/failed to load: it is to have 1024 KiB of stack \(option stack_limit\), and this process has 1024 KiB, of which nginx needs 192 \(ulimit -s\)/,
        'ulimit -s 1024: more than there is for a plugin is an error');
    ok($nginx->stop, 'ulimit -s 1024: nginx ends');
}

# Where even that does not fit, nothing runs, and the start says why.
{
    my $nginx = with_stack(1024);
    $nginx->stop;
    $nginx->{wrap} = ['sh', '-c', 'ulimit -s 224; exec "$@" 2>/dev/null', 'sh'];
    ok(!$nginx->launch, 'ulimit -s 224: nginx does not start');
    like($nginx->log, qr/the stack of this process has 224 KiB, and plugins need 256 \(ulimit -s\)/,
        'ulimit -s 224: and says why');
}

done_testing;
