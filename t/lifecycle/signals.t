# Signals: each does what it does without this library, which a second nginx
# shows, that has nothing of it.

use strict;
use warnings;
use lib 't/lib';

use OwnNginx;
use Test::More;
use Time::HiRes qw(sleep);

my $CONFIG = <<'_END_';
configure tick 10
response_headers set_header response x-plugin yes
_END_

my $LOCATIONS = <<'_END_';
        location = /t {
            $PHASES
            content_by_lua_block { ngx.say(ngx.worker.pid()) }
        }
        location = /slow {
            $PHASES
            content_by_lua_block { ngx.sleep(1) ngx.say("slept") }
        }
_END_

sub start {
    my ($plugin, %option) = @_;
    return OwnNginx->start(
        plugin => $plugin, config => $CONFIG, locations => $LOCATIONS, %option,
    );
}

# A request that is under way when `then` runs; its answer.
sub while_slow {
    my ($nginx, $then) = @_;
    my $socket = $nginx->send('/slow');
    # It has arrived: a worker waits.
    sleep 0.3;
    $then->();
    return $nginx->read_answer($socket);
}

for my $plugin ('hostcalls', undef) {
    my $with = $plugin ? 'with plugins' : 'without';
    my $nginx = start($plugin);
    my $master = $nginx->master;
    my @workers = $nginx->workers;
    is(scalar @workers, 2, "start: two workers, $with");
    my ($status, $body) = $nginx->get('/t');
    is($status, 200, "start: a request is served, $with");
    is($nginx->threads($master), 1, "start: the master has no thread before it forks, $with");
    if ($plugin) {
        # Else the line above would say nothing.
        my ($worker) = $body =~ /(\d+)/;
        cmp_ok($nginx->threads($worker), '>', 1, 'start: a worker has one, after the fork');
    }

    # HUP
    (my $changed = $LOCATIONS) =~ s/ngx\.worker\.pid\(\)/"changed"/;
    my ($slow, $whole);
    ($status, $slow, $whole) = while_slow($nginx, sub {
        $nginx->write_conf(locations => $changed);
        $nginx->signal('HUP');
        ok($nginx->wait_for('new workers', sub { $nginx->workers > 2 }), "HUP: new workers come, $with");
    });
    is("$status $slow", "200 slept\n", "HUP: a request that was under way is served to its end, $with");
    ok($nginx->wait_for_new_workers(@workers), "HUP: the old workers are gone, $with");
    is(($nginx->get('/t'))[1], "changed\n", "HUP: the new configuration holds, $with");
    is($nginx->threads($master), 1, "HUP: the master has no thread, $with");

    # HUP with a configuration that does not work
    @workers = $nginx->workers;
    $nginx->write_conf(locations => 'nonsense;');
    $nginx->signal('HUP');
    ok($nginx->wait_for('the refusal', sub { $nginx->log =~ /unknown directive "nonsense;?"/ }),
        "HUP: a broken configuration is refused, $with");
    is(($nginx->get('/t'))[1], "changed\n", "HUP: and the old one goes on, $with");
    is_deeply([$nginx->workers], \@workers, "HUP: in the same workers, $with");
    $nginx->write_conf(locations => $LOCATIONS);

    # USR1
    my $log = "$nginx->{dir}/logs/access.log";
    rename $log, "$log.1";
    $nginx->signal('USR1');
    ok($nginx->wait_for('the log', sub { -e $log }), "USR1: a new log is opened, $with");
    # Each worker opens its own, when it comes to it.
    ok($nginx->wait_for('a line', sub { $nginx->get('/t'); -s $log }),
        "USR1: requests are logged there, $with");

    # WINCH
    $nginx->signal('WINCH');
    ok($nginx->wait_for('the end of the workers', sub { !$nginx->workers }),
        "WINCH: the workers end, $with");
    ok(OwnNginx::is_alive($master), "WINCH: the master stays, $with");
    $nginx->signal('HUP');
    ok($nginx->wait_for('workers', sub { $nginx->workers == 2 }), "WINCH: HUP makes new ones, $with");
    is(($nginx->get('/t'))[0], 200, "WINCH: which serve, $with");

    # USR2: another binary takes over
    @workers = $nginx->workers;
    $nginx->signal('USR2');
    ok($nginx->wait_for('a new master', sub {
        my $new = $nginx->master;
        $new && $new != $master && $nginx->workers($new) == 2;
    }), "USR2: a new master with workers of its own, $with");
    my $new = $nginx->master;
    is_deeply([grep { OwnNginx::is_alive($_) } @workers], \@workers, "USR2: beside the old ones, $with");
    $nginx->signal('QUIT', $master);
    ok($nginx->wait_for('the end of the old', sub { !grep { OwnNginx::is_alive($_) } $master, @workers }),
        "USR2: the old ones end by QUIT, $with");
    is(($nginx->get('/t'))[0], 200, "USR2: the new ones serve, $with");
    is($nginx->threads($new), 1, "USR2: the new master has no thread, $with");

    # QUIT
    ($status, $slow) = while_slow($nginx, sub { $nginx->signal('QUIT') });
    is("$status $slow", "200 slept\n", "QUIT: a request that was under way is served to its end, $with");
    ok($nginx->wait_for('the end', sub { !OwnNginx::is_alive($new) }), "QUIT: nginx ends, $with");
    my @complaints = grep { !/unknown directive "nonsense/ } split /\n/, $nginx->complaints;
    is("@complaints", '', "QUIT: nobody has died or complained, $with");

    # TERM
    $nginx = start($plugin);
    my @all = ($nginx->master, $nginx->workers);
    ($status, $slow, $whole) = while_slow($nginx, sub { $nginx->signal('TERM') });
    ok(!$whole, "TERM: a request that was under way is cut off, $with");
    ok($nginx->wait_for('the end', sub { !grep { OwnNginx::is_alive($_) } @all }), "TERM: nginx ends, $with");
    is($nginx->complaints, '', "TERM: nobody has died or complained, $with");
}

# A pause keeps its worker, until worker_shutdown_timeout, no longer.
my $silent = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1') or die $!;
my $upstream = '127.0.0.1:' . $silent->sockport;
for (['', 3], ['worker_shutdown_timeout 1s;', 10 * $OwnNginx::PATIENCE]) {
    my ($timeout, $pause) = @$_;
    my $ms = $pause * 1000;
    my $nginx = OwnNginx->start(
        plugin => 'hostcalls', main => $timeout,
        config => "request_headers http_call silent $ms :path=/\nrequest_headers pause\n"
            . "http_call_response continue request\n",
        options => "upstreams = { silent = \"$upstream\" }, pause_timeout = 2 * $pause",
        locations => "location = /t {\n\$PHASES\ncontent_by_lua_block { ngx.say('served') }\n}",
    );
    my $socket = $nginx->send('/t');
    ok(IO::Select->new($silent)->can_read(10), 'worker_shutdown_timeout: a request is paused');
    my @workers = $nginx->workers;
    $nginx->signal('HUP');
    my ($status, $body, $whole) = $nginx->read_answer($socket);
    if (!$timeout) {
        is("$status $body", "200 served\n", 'worker_shutdown_timeout: without it, the pause goes on to its end');
    }
    # The pause alone would last longer than this waits.
    ok($nginx->wait_for_new_workers(@workers), "worker_shutdown_timeout: the old workers are gone, '$timeout'");
    ok($nginx->stop, 'worker_shutdown_timeout: nginx ends');
    my $complaints = $nginx->complaints;
    # What nginx says of every connection that it closes then.
    $complaints =~ s/^.*\[alert\].*open socket #\d+ left in connection \d+\n?//mg;
    $complaints =~ s/^.*\[alert\].*aborting\n?//mg;
    is($complaints, '', 'worker_shutdown_timeout: nobody has died or complained');
}

done_testing;
