# Where nginx runs, and what Lua does with what it has loaded: other users, file
# systems that cannot be written, a new VM for each request, modules that are
# loaded anew, and the end of it all.

use strict;
use warnings;
use lib 't/lib';

use OwnNginx;
use Test::More;

my $CONFIG = <<'_END_';
configure tick 10
request_headers shared_set key value
response_headers set_header response x-plugin yes
_END_

my $SERVED = <<'_END_';
        location = /t {
            $PHASES
            content_by_lua_block { ngx.say("served") }
        }
_END_

sub start {
    my %option = @_;
    return OwnNginx->start(plugin => 'hostcalls', config => $CONFIG, locations => $SERVED, workers => 1, %option);
}

sub served {
    my ($nginx, $what, $path) = @_;
    my ($status, $body) = $nginx->get($path || '/t');
    is("$status $body", "200 served\n", $what);
}

sub ends {
    my ($nginx, $what, $signal) = @_;
    ok($nginx->stop($signal), "$what, and nginx ends");
    is($nginx->complaints, '', "$what: nobody has died or complained");
}

# In worker processes of a user that owns nothing. It loads from files, too.
my $LOAD = <<'_END_';
        location = /load {
            access_by_lua_block {
                local proxy_wasm = require "resty.proxy_wasm"
                package.loaded.chain = package.loaded.chain or assert(proxy_wasm.new_chain {
                    { name = "q", path = "$DIR/plugin.wasm", vm_config = "configure log info loaded" },
                })
                require("chain"):access()
            }
            header_filter_by_lua_block { require("chain"):header_filter() }
            body_filter_by_lua_block { require("chain"):body_filter() }
            log_by_lua_block { require("chain"):log() }
            content_by_lua_block {
                local file = assert(io.open("/proc/self/maps"))
                local mapped = file:read("*a"):find("$DIR/code", 1, true)
                file:close()
                ngx.say(ngx.var.arg_maps and tostring(mapped ~= nil) or "served")
            }
        }
_END_

SKIP: {
    # Test::Nginx's own user is whoever runs the tests.
    skip 'only root can be nobody', 9 if $> != 0;

    my $nginx = start(user => 'nobody ' . getgrgid((getpwnam 'nobody')[3]), locations => $SERVED . $LOAD);
    my ($worker) = $nginx->workers;
    my $nobody = getpwnam 'nobody';
    served($nginx, 'nobody: a plugin of the master is served');
    like(OwnNginx::slurp("/proc/$worker/status"), qr/^Uid:\s+$nobody\b/m, 'nobody: the worker is nobody');
    served($nginx, 'nobody: a plugin that the worker has loaded is, too', '/load');
    my $code = "$nginx->{dir}/code";
    ok(-d "$code/proxy-wasm-0", 'nobody: root has kept the code');
    ok(!-d "$code/proxy-wasm-$nobody", 'nobody: nobody cannot, there');
    ends($nginx, 'nobody: a plugin is served');

    # What root has kept is mapped by nobody, who has nothing of it in memory.
    $nginx->write_conf(http => "lua_package_path \"$nginx->{dir}/lib/?.lua;;\";"
        . "lua_package_cpath \"$nginx->{dir}/?.so;;\";"
        . "init_by_lua_block { require('resty.proxy_wasm').cache_directory('$code') }",
        plugin => undef, locations => $LOAD);
    ok($nginx->launch, 'nobody: again, without a plugin in the master');
    is(($nginx->get('/load?maps=1'))[1], "true\n", 'nobody: the code of root is mapped');
    ends($nginx, 'nobody: the code of root is mapped');
}

SKIP: {
    # A namespace of mounts in which only the folder of the logs can be written.
    # In a chroot, / is no mount: the folder is made one, and each mount private.
    my $bare = 'each() { cut -d" " -f2 /proc/self/mounts | while read -r at; do "$@" "$at"; done; };'
        . ' each mount --make-private && mount --bind "$0" "$0" && mount --bind "$0/logs" "$0/logs" || exit 1;'
        . ' umount -l /dev/shm 2>/dev/null; mount -t tmpfs -o ro none /dev/shm;'
        . ' bare() { [ "$1" = "$logs" ] || mount -o remount,bind,ro "$1" 2>/dev/null; }; logs=$0/logs; each bare;';
    my $unshare = system('unshare -m true 2>/dev/null') == 0 ? '--propagation=private' : '--propagation=unchanged';
    skip 'mounts need root', 6 if $> != 0;

    my $nginx = start();
    $nginx->stop;
    my $logs = "$nginx->{dir}/logs";
    # Nothing that was kept helps.
    OwnNginx::run('rm', '-rf', "$nginx->{dir}/code/proxy-wasm-0", "$logs/error.log");
    $nginx->{wrap} = ['unshare', '-m', $unshare, 'sh', '-c', "$bare exec \"\$\@\"", $nginx->{dir}];
    ok($nginx->launch, 'read-only: nginx starts');
    my $in = '/proc/' . $nginx->master . '/root';
    ok(!open(my $file, '>', "$in$nginx->{dir}/code/file"), 'read-only: nothing can be written');
    ok(!-d "$in/dev/shm" || !-w _ || !open($file, '>', "$in/dev/shm/proxy-wasm"), 'read-only: there is no /dev/shm');
    served($nginx, 'read-only: a plugin is served');
    my @told = $nginx->log =~ /compiled code is not kept: (.*)/g;
    is(scalar @told, 1, 'read-only: that code is not kept is told once');
    like($told[0], qr/Read-only file system/, 'read-only: and why');
    ends($nginx, 'read-only: a plugin is served');
}

# Code that lies where nothing may be executed is read, not mapped.
SKIP: {
    skip 'mounts need root', 10 if $> != 0;
    my $unshare = system('unshare -m true 2>/dev/null') == 0 ? '--propagation=private' : '--propagation=unchanged';
    my $nginx = start(locations => $SERVED . <<"_END_");
        location = /large {
            content_by_lua_block {
                local proxy_wasm = require "resty.proxy_wasm"
                collectgarbage()
                collectgarbage()
                local ctx = assert(proxy_wasm.on_configure(assert(proxy_wasm.load(
                    "q", "$OwnNginx::GUESTS/go_native.wasm"))))
                local ok, err = proxy_wasm.on_http_request_headers(ctx)
                local file = assert(io.open("/proc/self/maps"))
                local mapped = file:read("*a"):find("\$DIR/code", 1, true)
                file:close()
                ngx.say(tostring(ok), " ", tostring(mapped ~= nil))
            }
        }
_END_
    my $ask = sub { ($nginx->get('/large'))[1] };
    # A thread reads it, while requests fail.
    is($ask->(), "nil false\n", 'noexec: a large module is compiled');
    ok($nginx->wait_for('code', sub { $ask->() =~ /^true/ }),
        'noexec: and kept');
    $nginx->stop;
    ok($nginx->launch, 'noexec: nginx starts again');
    ok($nginx->wait_for('code', sub { $ask->() =~ /^true/ }), 'noexec: the code is found');
    is($ask->(), "true true\n", 'noexec: where it may be executed, it is mapped');
    $nginx->stop;
    $nginx->{wrap} = ['unshare', '-m', $unshare, 'sh', '-c',
        'mount --bind "$0" "$0" && mount --make-private "$0" && mount -o remount,bind,noexec "$0" && exec "$@"',
        "$nginx->{dir}/code"];
    ok($nginx->launch, 'noexec: nginx starts');
    ok($nginx->wait_for('code', sub { $ask->() =~ /^true/ }), 'noexec: the code is found');
    is($ask->(), "true false\n", 'noexec: where not, it is read');
    ends($nginx, 'noexec: it is read');
}

# A new VM for each request, and all in it.
{
    # Without ticks, whose timers keep their VM.
    my $nginx = start(http => 'lua_code_cache off;', config => "response_headers set_header response x-plugin yes\n",
        locations => $SERVED . <<"_END_");
        location = /large {
            content_by_lua_block {
                local proxy_wasm = require "resty.proxy_wasm"
                local ctx = assert(proxy_wasm.on_configure(assert(proxy_wasm.load(
                    "q", "$OwnNginx::GUESTS/go_native.wasm"))))
                ngx.say((proxy_wasm.on_http_request_headers(ctx)))
            }
        }
_END_
    served($nginx, 'lua_code_cache off: a plugin is served') for 1 .. 3;
    # Each request loads it, and the plugin goes with its VM.
    my $large = sub { ($nginx->get('/large'))[1] };
    ok($nginx->wait_for('code', sub { $large->() eq "true\n" }), 'lua_code_cache off: a large module is loaded');
    is($large->(), "true\n", 'lua_code_cache off: and is there for the next requests') for 1 .. 3;
    my ($worker) = $nginx->workers;
    my $before = OwnNginx->memory($worker);
    $nginx->get('/t') for 1 .. 150;
    # A VM takes about a megabyte. It goes a second after its request, when a timer
    # has looked for what has ended.
    ok($nginx->wait_for('memory', sub { OwnNginx->memory($worker) < $before + (40 << 10) }),
        'lua_code_cache off: what a VM has loaded goes with it');
    served($nginx, 'lua_code_cache off: a plugin is still served');
    # nginx itself says so at the start.
    (my $complaints = $nginx->complaints) =~ s/^.*lua_code_cache is off.*\n?//mg;
    is($complaints, '', 'lua_code_cache off: nobody has died or complained');
    ok($nginx->stop, 'lua_code_cache off: nginx ends');
}

# A large module whose code is on disk is there for the first request of each
# worker, though a thread reads it.
{
    my $nginx = start(locations => $SERVED . <<"_END_");
        location = /large {
            access_by_lua_block {
                large = large or assert(require("resty.proxy_wasm").new_chain {
                    { name = "q", path = "$OwnNginx::GUESTS/go_native.wasm" },
                })
                large:access()
            }
            content_by_lua_block { ngx.say("served") }
        }
_END_
    ok($nginx->wait_for('code', sub { ($nginx->get('/large'))[0] == 200 }), 'large: its code is made');
    for (1 .. 3) {
        my @old = $nginx->workers;
        $nginx->signal('HUP');
        $nginx->wait_for_new_workers(@old);
        served($nginx, 'large: the first request of a new worker is served', '/large');
    }
    ends($nginx, 'large: a module that workers load');
}

# Our modules are forgotten and loaded anew, beside what the old ones made.
{
    my $nginx = start(locations => $SERVED . <<'_END_');
        location = /forget {
            content_by_lua_block {
                local old = require "resty.proxy_wasm"
                for name in pairs(package.loaded) do
                    if name:find("^resty%.proxy") then
                        package.loaded[name] = nil
                    end
                end
                local new = require "resty.proxy_wasm"
                assert(new ~= old)
                local options = { name = "q", path = "$DIR/plugin.wasm" }
                chain = ngx.var.arg_keep and chain or assert(new.new_chain { options })
                assert(new.on_configure(assert(old.load("r", "$DIR/plugin.wasm"))))
                collectgarbage()
                collectgarbage()
                ngx.say("served")
            }
        }
_END_
    for my $path ('/forget?keep=1', '/forget', '/forget', '/forget?keep=1') {
        served($nginx, 'package.loaded: modules are loaded anew', $path);
        served($nginx, 'package.loaded: plugins go on');
    }
    ends($nginx, 'package.loaded: plugins go on');
}

# The end: finalizers run in any order, whatever is under way.
my $silent = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1') or die $!;
my $upstream = '127.0.0.1:' . $silent->sockport;
for my $keep (
    'kept = { chain, proxy_wasm.load("q", "$DIR/plugin.wasm") }',
    'kept = proxy_wasm.on_configure(assert(proxy_wasm.load("q", "$DIR/plugin.wasm")))',
    # A finalizer that lets the rest go. No more: functions of ngx read the request
    # that ran last, which a worker that ends has freed.
    'kept = newproxy(true) local c = chain '
        . 'getmetatable(kept).__gc = function() chain, c = nil, nil collectgarbage() end',
) {
    my $nginx = start(
        config => "$CONFIG\nrequest_headers if_header x-wait yes http_call silent 60000 :path=/\n"
            . "request_headers if_header x-wait yes pause\n",
        options => "upstreams = { silent = \"$upstream\" }",
        http => "init_worker_by_lua_block { local proxy_wasm = require 'resty.proxy_wasm' $keep }",
    );
    served($nginx, 'the end: a plugin is served');
    my $waits = $nginx->send('/t', undef, "x-wait: yes\r\n");
    ok(IO::Select->new($silent)->can_read(10) && $silent->accept, 'the end: one request waits');
    ends($nginx, 'the end: in any order', 'TERM');
    unlike($nginx->log, qr/exited with code [^0]/, 'the end: each worker ends well');
}

# A worker ends while a thread of it compiles.
for my $signal ('QUIT', 'TERM') {
    my $nginx = start(http => <<"_END_");
    init_worker_by_lua_block {
        local proxy_wasm = require "resty.proxy_wasm"
        proxy_wasm.cache_directory(false)
        compiled = assert(proxy_wasm.load("q", "$OwnNginx::GUESTS/go_native.wasm"))
    }
_END_
    my ($worker) = $nginx->workers;
    my $compiles = sub { grep { OwnNginx::slurp($_) eq "proxy_wasm_code\n" } glob "/proc/$worker/task/*/comm" };
    ok($nginx->wait_for('a thread', $compiles), "compiling: a thread compiles, $signal");
    is(OwnNginx->threads($nginx->master), 1, "compiling: none does in the master, $signal");
    ends($nginx, "compiling: a worker ends in the middle, $signal", $signal);
    unlike($nginx->log, qr/exited with code [^0]/, "compiling: and well, $signal");
}

done_testing;
