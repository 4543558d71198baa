# Without a lua_shared_dict, shared state is each worker's own, and that is said
# by each worker that has to do with it, once.

use strict;
use warnings;
use lib 't/lib';

use OwnNginx;
use Test::More;

my $CONFIG = <<'_END_';
request_headers if_header x-use yes shared_set key value
request_headers if_header x-use yes into_header request x-value shared_get key
_END_

my $LOCATIONS = <<'_END_';
        location = /t {
            $PHASES
            content_by_lua_block { ngx.say(ngx.worker.pid(), " ", ngx.var.http_x_value or "none") }
        }
_END_

my $USE = "X-Use: yes\r\n";

my $NOTICE = 'there is no lua_shared_dict proxy_wasm: shared data, queues and metrics are each worker\'s own';

sub notices {
    my $log = shift->log;
    return () = $log =~ /\[notice\].*\Q$NOTICE\E/g;
}

# Until each worker has had a request or more; gives how many answers were wrong.
sub visit_all {
    my ($nginx, $header, $value) = @_;
    my ($wrong, %seen) = 0;
    $nginx->wait_for('a request in each worker', sub {
        # Connections at one time, so that no worker can take them all.
        my @sockets = map { $nginx->connect } 1 .. 8;
        for my $socket (@sockets) {
            my ($status, $body) = $nginx->get('/t', $socket, "Connection: close\r\n$header");
            my ($pid, $found) = split ' ', $body;
            $wrong++ if $status != 200 || $found ne $value;
            $seen{$pid}++;
        }
        return keys %seen == $nginx->{workers};
    });
    return $wrong;
}

my $nginx = OwnNginx->start(plugin => 'hostcalls', config => $CONFIG, locations => $LOCATIONS, dict => '');

is(visit_all($nginx, '', 'none'), 0, 'a plugin that uses no shared state is served');
is(notices($nginx), 0, 'and nobody says that it has no dict');

is(visit_all($nginx, $USE, 'value'), 0, 'without a dict, each worker has what it has set');
visit_all($nginx, $USE, 'value');
is(notices($nginx), $nginx->{workers}, 'and each worker has said so, once');

# The dict comes, and goes: the process must forget what is no longer there.
my @workers = $nginx->workers;
$nginx->write_conf(dict => '1m');
$nginx->signal('HUP');
ok($nginx->wait_for_new_workers(@workers), 'a reload brings a dict');
is(visit_all($nginx, $USE, 'value'), 0, 'which is used');
is(notices($nginx), $nginx->{workers}, 'and nothing is said');

@workers = $nginx->workers;
$nginx->write_conf(dict => '');
$nginx->signal('HUP');
ok($nginx->wait_for_new_workers(@workers), 'a reload takes it away');
is(visit_all($nginx, $USE, 'value'), 0, 'and each worker has its own again');
is(notices($nginx), 2 * $nginx->{workers}, 'and has said so');

$nginx->stop;
is($nginx->complaints, '', 'nothing else is complained about');
done_testing;
