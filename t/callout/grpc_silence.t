# A gRPC upstream that falls silent without a goodbye is asked by a ping, and given
# up; one that has merely nothing to say answers it, and is not. It takes more than
# five minutes, so nginx gets a clock that runs faster.

use strict;
use warnings;
use lib 't/lib';

use File::Temp qw(tempdir);
use GrpcServer;
use IO::Socket::INET;
use OwnNginx;
use Test::More;
use Time::HiRes qw(sleep);

my $dir = tempdir(CLEANUP => 1);
chmod 0755, $dir;
# Made before where there is no compiler, as in the chroots of scripts/matrix.sh.
my $clock = ($ENV{PROXY_WASM_LIB_DIR} || '') . '/fast_clock.so';
my $said = '';
if (!-e $clock) {
    $clock = "$dir/fast_clock.so";
    $said = `cc -shared -fPIC -O1 -o $clock t/lib/fast_clock.c -ldl 2>&1`;
}
ok(-e $clock, 'silence: the clock is there') or BAIL_OUT($said);

# Accepts, and never says a word.
my $silent = IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1') or die "no port: $!";

my $nginx = OwnNginx->start(
    plugin => 'hostcalls', workers => 1, wrap => ['env', "LD_PRELOAD=$clock"],
    options => 'upstreams = { up = "127.0.0.1:' . $GrpcServer::PORT
        . '", silent = "127.0.0.1:' . $silent->sockport . '" },',
    http => 'init_worker_by_lua_block { chain:init_worker() }',
    config => <<'_END_',
configure   grpc_stream up test.Echo Chat
configure   grpc_stream silent test.Echo Chat
grpc_close  grpc_status
_END_
);
ok($nginx->wait_for('the end', sub { $nginx->log =~ /grpc_status/ }), 'silence: the stream is given up');
# The other one was asked at the same time.
sleep 2;
my @ends = $nginx->log =~ /grpc_status\(\) = (.*)/g;
is_deeply(\@ends, ['OK 14 "nothing is heard of the upstream any more"'], 'silence: and no other');
ok($nginx->stop, 'silence: nginx ends');
is($nginx->complaints, '', 'silence: nothing to complain of');
done_testing();
