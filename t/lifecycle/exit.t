# What still runs in a worker that is told to quit: it ends within a second, or
# within a second after the last paused request.

use strict;
use warnings;
use lib 't/lib';

use GrpcServer;
use IO::Socket::INET;
use OwnNginx;
use Test::More;
use Time::HiRes qw(sleep time);

# Accepts, and never says a word.
my $silent = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1') or die "no port: $!";

my $UPSTREAMS = 'upstreams = { up = "127.0.0.1:' . $GrpcServer::PORT
    . '", silent = "127.0.0.1:' . $silent->sockport . '" },';

my $LOCATIONS = <<'_END_';
        location = /t {
            $PHASES
            content_by_lua_block { ngx.say("hello") }
        }
_END_

# All that could keep a worker: ticks, a queue, a gRPC stream, callouts that get
# no answer.
my $NOBODYS = <<'_END_';
configure  tick 50
configure  register_queue jobs
configure  grpc_stream up test.Echo Chat
configure  grpc_call up test.Echo Slow 60000 "60000"
configure  http_call silent 60000
tick       nth 1 grpc_stream up test.Echo Chat
tick       nth 1 http_call silent 60000
http_call_response  http_call silent 60000
_END_

# Seconds from the signal, or from the answer to a request that was under way, to
# the end of the worker; and that answer. The best of some: whatever else this
# machine has to do.
sub time_to_end {
    my (%option) = @_;
    my ($best, $answer);
    for (1 .. 4) {
        my $nginx = OwnNginx->start(
            plugin => 'hostcalls', locations => $LOCATIONS, workers => 1, %option,
            options => "$UPSTREAMS $option{options}",
            http => 'init_worker_by_lua_block { chain:init_worker() }',
        );
        my ($worker) = $nginx->workers;
        my $socket = $option{request} && $nginx->send('/t');
        # Ticks have come, streams are open, the request waits.
        sleep 0.5;
        my $from = time;
        $nginx->signal('QUIT');
        if ($socket) {
            my ($status, $body) = $nginx->read_answer($socket);
            $answer = $status == 200 ? "$status $body" : $status;
            $from = time;
        }
        ok($nginx->wait_for('the end', sub { !OwnNginx::is_alive($worker) }), 'exit: the worker ends');
        my $took = time - $from;
        $best = $took if !defined $best || $took < $best;
        is($nginx->complaints, '', 'exit: nothing to complain of');
        like($nginx->log, qr/failed: the worker exits/, 'exit: what nobody waits for fails') if $option{fails};
        last if $best <= 1;
    }
    return ($best, $answer);
}

my ($took) = time_to_end(config => $NOBODYS, options => '', fails => 1);
cmp_ok($took, '<=', 1, 'exit: ticks, a queue, streams and callouts of nobody\'s: one second');

my $answer;
($took, $answer) = time_to_end(
    config => "$NOBODYS\nrequest_headers pause\n", options => 'pause_timeout = 2,', request => 1, fails => 1,
);
is($answer, 504, 'exit: a paused request that nobody continues waits out its time');
cmp_ok($took, '<=', 1, 'exit: and then the worker ends');

($took, $answer) = time_to_end(
    config => $NOBODYS . <<'_END_', options => '', request => 1, fails => 1,
request_headers     grpc_call up test.Echo Slow 60000 "2500"
request_headers     pause
grpc_call_response  continue request
_END_
);
is($answer, "200 hello\n", 'exit: a paused request gets what it waits for');
cmp_ok($took, '<=', 1, 'exit: and then the worker ends, too');

($took, $answer) = time_to_end(
    config => <<'_END_', options => '', request => 1,
configure           tick 1000
request_headers     remember
request_headers     pause
tick                nth 3 set_effective_context origin
tick                nth 3 continue request
_END_
);
is($answer, "200 hello\n", 'exit: a paused request that waits for a tick');
cmp_ok($took, '<=', 1, 'exit: ticks do not keep the worker either');

done_testing();
