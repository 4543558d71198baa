# An nginx of a test's own, with a master process, for what Test::Nginx does not
# do: signals, reloads, other users, other file systems.
#
#     my $nginx = OwnNginx->start(plugin => "hostcalls", main => "…", http => "…", locations => "…");
#
# All its files are in a folder that every user may read. Where `plugin` names a
# guest, `chain` is a chain of it, with `config`, loaded by init_by_lua; without
# it nothing of this library is in the process. $PHASES in `locations` stands for
# the chain's phases, or for nothing. `dict` is the size of its lua_shared_dict, or
# '' for none.
#
# Waiting is by condition, bounded against hanging alone.

package OwnNginx;

use strict;
use warnings;

use Cwd qw(getcwd);
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::INET;
use Test::More ();
use Time::HiRes qw(sleep time);

our $TOP = getcwd();
our $GUESTS = $ENV{PROXY_WASM_GUESTS} || "$TOP/.work/guests";
our $LIB_DIR = $ENV{PROXY_WASM_LIB_DIR} || "$TOP/target/release";

# Seconds until what does not come never will.
our $PATIENCE = 60;

my $PHASES = <<'_END_';
    rewrite_by_lua_block { chain:rewrite() }
    access_by_lua_block { chain:access() }
    header_filter_by_lua_block { chain:header_filter() }
    body_filter_by_lua_block { chain:body_filter() }
    log_by_lua_block { chain:log() }
_END_

sub run {
    system(@_) == 0 or die "failed: @_";
}

sub free_port {
    my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', ReuseAddr => 1)
        or die "no port: $!";
    return $socket->sockport;
}

sub start {
    my ($class, %option) = @_;
    my $dir = tempdir("proxy-wasm-XXXXXX", TMPDIR => 1, CLEANUP => 1);
    chmod 0755, $dir;
    my $self = bless {
        workers => 2, user => $> == 0 ? 'root' : '', config => '', main => '', http => '', options => '', before => '',
        locations => '', wrap => [], dict => '1m', %option, dir => $dir, port => free_port(),
    }, $class;
    mkdir "$dir/$_" for qw(logs tmp code);
    if ($self->{plugin}) {
        run('cp', '-r', "$TOP/lib", $dir);
        run('cp', "$LIB_DIR/libresty_proxy_wasm.so", $dir);
        run('cp', "$GUESTS/$self->{plugin}.wasm", "$dir/plugin.wasm");
    }
    # Whatever the umask, and where the sources lie.
    run('chmod', '-R', 'a+rX', $dir);

    $self->write_conf;
    $self->launch or die "nginx did not start:\n" . $self->log;
    return $self;
}

# Writes the configuration; options replace those given before.
sub write_conf {
    my ($self, %option) = @_;
    %$self = (%$self, %option);
    my $dir = $self->{dir};
    my $modules = join '', map { "load_module $_;\n" } split ' ', $ENV{TEST_NGINX_LOAD_MODULES} || '';
    my $user = $self->{user} && $> == 0 ? "user $self->{user};" : '';
    my $temp = join "\n", map { "${_}_temp_path $dir/tmp/$_;" } qw(client_body proxy fastcgi uwsgi scgi);
    my $plugin = '';
    if ($self->{plugin}) {
        my $before = $self->{before};
        my $dict = $self->{dict} && "lua_shared_dict proxy_wasm $self->{dict};";
        $plugin = <<"_END_";
    lua_package_path "$dir/lib/?.lua;;";
    lua_package_cpath "$dir/?.so;;";
    $dict
    init_by_lua_block {
        local proxy_wasm = require "resty.proxy_wasm"
        proxy_wasm.cache_directory("$dir/code")
        $before
        chain = assert(proxy_wasm.new_chain {
            { name = "p", path = "$dir/plugin.wasm", config = [=====[
$self->{config}]=====], $self->{options} }
        })
    }
_END_
        $plugin =~ s/, +\}/ }/ if !$self->{options};
    }
    (my $locations = $self->{locations}) =~ s/\$PHASES/$self->{plugin} ? $PHASES : ''/ge;
    s/\$PORT/$self->{port}/g, s/\$DIR/$dir/g for $locations, my $http = $self->{http}, $plugin;
    open my $file, '>', "$dir/nginx.conf" or die $!;
    print $file <<"_END_";
$modules$user
worker_processes $self->{workers};
pid $dir/logs/nginx.pid;
error_log $dir/logs/error.log info;
$self->{main}
events { worker_connections 512; }
http {
    $temp
    access_log $dir/logs/access.log;
$http
$plugin
    server {
        listen 127.0.0.1:$self->{port};
$locations
    }
}
_END_
    close $file;
}

sub launch {
    my $self = shift;
    my $dir = $self->{dir};
    my @nginx = ($ENV{TEST_NGINX_BINARY} || 'nginx', '-p', $dir, '-e', "$dir/logs/error.log", '-c', "$dir/nginx.conf");
    return 0 if system(@{$self->{wrap}}, @nginx) != 0;
    return $self->wait_for("the workers", sub { $self->workers == $self->{workers} });
}

sub slurp {
    my $path = shift;
    open my $file, '<', $path or return '';
    local $/;
    my $text = <$file>;
    return defined $text ? $text : '';
}

sub log { return slurp("$_[0]{dir}/logs/error.log") }

sub master {
    my ($self, $file) = @_;
    return slurp("$self->{dir}/logs/" . ($file || 'nginx.pid')) =~ /^(\d+)/ ? $1 : undef;
}

sub is_alive {
    my $pid = pop;
    # A zombie is gone, whoever has to fetch it.
    return slurp("/proc/$pid/stat") =~ /\) [^ZX] /;
}

sub workers {
    my ($self, $master) = @_;
    $master ||= $self->master or return;
    my @workers = grep { is_alive($_) } split ' ', slurp("/proc/$master/task/$master/children");
    return @workers;
}

sub threads { my @tasks = glob "/proc/$_[1]/task/*"; return scalar @tasks }

# Memory of its own, in KiB: what is mapped from files comes and goes.
sub memory { return slurp("/proc/$_[1]/status") =~ /^RssAnon:\s*(\d+)/m ? $1 : 0 }

sub signal {
    my ($self, $name, $pid) = @_;
    kill $name, $pid || $self->master;
}

# True as soon as `met` is.
sub wait_for {
    my ($self, $what, $met) = @_;
    my $end = time + $PATIENCE;
    while (time < $end) {
        return 1 if $met->();
        sleep 0.01;
    }
    Test::More::diag("waited in vain for $what; the log:\n" . substr($self->log, -3000));
    return 0;
}

# Workers that are all others than these.
sub wait_for_new_workers {
    my ($self, @old) = @_;
    my %old = map { $_ => 1 } @old;
    return $self->wait_for("new workers", sub {
        my @workers = $self->workers;
        return @workers == $self->{workers} && !grep { $old{$_} } @workers;
    });
}

sub connect {
    my $self = shift;
    return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Timeout => 10);
}

sub send {
    my ($self, $path, $socket, $header) = @_;
    $socket ||= $self->connect or return;
    local $SIG{PIPE} = 'IGNORE';
    my $request = "GET $path HTTP/1.1\r\nHost: localhost\r\n" . ($header || "Connection: close\r\n") . "\r\n";
    return defined(syswrite $socket, $request) ? $socket : undef;
}

# Reads one answer: status, body, and whether it was whole. Status 0: nothing
# came at all.
sub read_answer {
    my ($self, $socket) = @_;
    my ($text, $select) = ('', IO::Select->new($socket));
    while (1) {
        if ($text =~ /^HTTP\/1\.1 (\d+).*?\r\n\r\n(.*)/s) {
            my ($status, $body) = ($1, $2);
            my ($length) = $text =~ /\r\nContent-Length: (\d+)\r\n/i;
            return ($status, $body, 1) if defined $length && length $body >= $length;
            if ($text =~ /\r\nTransfer-Encoding: chunked\r\n/i && $body =~ /(?:^|\r\n)0\r\n\r\n\z/) {
                my $plain = '';
                while ($body =~ s/^([0-9a-f]+)\r\n//i && hex $1) {
                    $plain .= substr $body, 0, hex $1;
                    substr($body, 0, 2 + hex $1) = '';
                }
                return ($status, $plain, 1);
            }
        }
        if (!$select->can_read($PATIENCE) || !sysread $socket, $text, 65536, length $text) {
            return ($text =~ /^HTTP\/1\.1 (\d+)/ ? $1 : 0, $text, 0);
        }
    }
}

sub get {
    my ($self, $path, $socket, $header) = @_;
    $socket = $self->send($path, $socket, $header) or return (0, '', 0);
    return $self->read_answer($socket);
}

sub stop {
    my ($self, $name) = @_;
    my $master = $self->master or return;
    my @all = ($master, $self->workers);
    $self->signal($name || 'QUIT', $master);
    my $gone = $self->wait_for("the end", sub { !grep { is_alive($_) } @all });
    if (!$gone) {
        kill 'KILL', @all;
    }
    return $gone;
}

# What must never be in a log: a worker's death, a panic, a leak of nginx's.
sub complaints {
    my $self = shift;
    my @bad = grep { /\[(?:alert|emerg|crit)\]|panicked|exited on signal/ } split /\n/, $self->log;
    return join "\n", @bad;
}

sub DESTROY {
    my $self = shift;
    local ($@, $?);
    for my $file ('nginx.pid', 'nginx.pid.oldbin') {
        my $master = $self->master($file) or next;
        kill 'TERM', $master;
        $self->wait_for("the end", sub { !is_alive($master) });
    }
}

1;
