# Reloads under load: no request fails for it, nothing is left of the old
# workers, and the master does not grow. RELOADS says how many (`make reloads`:
# 200).

use strict;
use warnings;
use lib 't/lib';

use OwnNginx;
use Test::More;
use Time::HiRes qw(sleep time);

my $RELOADS = $ENV{RELOADS} || 12;

my $CONFIG = <<'_END_';
configure tick 10
request_headers shared_set key value
response_headers set_header response x-plugin yes
_END_

my $LOCATIONS = <<'_END_';
        location = /t {
            $PHASES
            content_by_lua_block { ngx.say("served") }
        }
_END_

# Sends requests until `stop` is readable, and writes what became of them, one
# letter each: served, wrong, failed, or closed: a kept connection was closed
# before any of the answer, as nginx may always do.
sub client {
    my ($nginx, $keep, $stop, $report) = @_;
    my ($socket, $fresh);
    while (!IO::Select->new($stop)->can_read(0)) {
        if (!$socket) {
            $socket = $nginx->connect;
            $fresh = 1;
        }
        my ($status, $body, $whole) = $nginx->get('/t', $socket, $keep ? "X-Kept: yes\r\n" : undef);
        my $letter = $whole && $status == 200 && $body eq "served\n" ? 's'
            : $whole ? 'w'
            : $status || $fresh ? 'f'
            : 'c';
        syswrite $report, $letter;
        $fresh = 0;
        undef $socket if !$keep || $letter ne 's';
    }
}

# Reloads under the load of two clients; gives what became of the requests.
sub reload_under_load {
    my ($nginx, $keep, $after) = @_;
    pipe my $stop, my $stopper or die $!;
    pipe my $reader, my $report or die $!;
    my @clients;
    for (1, 2) {
        my $pid = fork;
        if (!$pid) {
            close $stopper;
            close $reader;
            client($nginx, $keep, $stop, $report);
            # Without our destructors: the nginx is not ours.
            require POSIX;
            POSIX::_exit(0);
        }
        push @clients, $pid;
    }
    close $report;
    my %count = (s => 0, w => 0, f => 0, c => 0);
    my $drain = sub {
        while (IO::Select->new($reader)->can_read(0)) {
            sysread $reader, my $letters, 65536 or last;
            $count{$_}++ for split //, $letters;
        }
    };
    for my $reload (1 .. $RELOADS) {
        my @workers = $nginx->workers;
        my $served = $count{s};
        $nginx->wait_for('load', sub { $drain->(); $count{s} > $served + 5 });
        $nginx->signal('HUP');
        $nginx->wait_for_new_workers(@workers) or last;
        $drain->();
        $after->($reload);
    }
    close $stopper;
    waitpid $_, 0 for @clients;
    $drain->();
    return \%count;
}

my %closed;
for my $plugin ('hostcalls', undef) {
    my $with = $plugin ? 'with plugins' : 'without';
    for my $keep (0, 1) {
        my $nginx = OwnNginx->start(plugin => $plugin, config => $CONFIG, locations => $LOCATIONS);
        my $master = $nginx->master;
        my $kind = $keep ? 'kept connections' : 'a connection for each request';
        my ($early, $late, $reloads) = (0, 0, 0);
        my $count = reload_under_load($nginx, $keep, sub {
            $reloads = shift;
            # The first reloads grow whatever an allocator keeps.
            $early = OwnNginx->memory($master) if $reloads == int($RELOADS / 2);
            $late = OwnNginx->memory($master);
        });
        diag("$with, $kind: $count->{s} served, $count->{c} closed, $reloads reloads, "
            . "master $early KiB, then $late KiB");
        is($reloads, $RELOADS, "reload: the workers are new after each, $with, $kind");
        is("$count->{w} wrong, $count->{f} failed", '0 wrong, 0 failed',
            "reload: no request fails, $with, $kind");
        $closed{$with} = $count->{c} if $keep;
        is($count->{c}, 0, "reload: none is not answered, $with") if !$keep;
        cmp_ok($late, '<', $early + 1024, "reload: the master does not grow, $with, $kind");
        is($nginx->workers, 2, "reload: there are as many workers as before, $with, $kind");
        is($nginx->threads($master), 1, "reload: the master has no thread, $with, $kind");
        ok($nginx->stop, "reload: nginx ends, $with, $kind");
        is($nginx->complaints, '', "reload: nobody has died or complained, $with, $kind");
    }
}
# A reload closes a kept connection before any of its answer, or does not: chance
# has a part in that, as in any count of what is rare, and four standard deviations
# of the difference are allowed for. What the plugins do must add nothing.
{
    my ($with, $without) = @closed{'with plugins', 'without'};
    cmp_ok($with, '<=', $without + 4 * sqrt($with + $without),
        'reload: kept connections are not closed more often than without plugins');
}

done_testing;
