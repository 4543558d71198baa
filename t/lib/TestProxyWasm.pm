# Test::Nginx for this library. A test file starts with
#
#     use lib 't/lib';
#     use TestProxyWasm 'no_plan';
#     run_tests();
#     __DATA__
#
# and each of its blocks gets, unless it says otherwise:
#
#   http_config    Lua finds lib/ and the built library, and there is a
#                  `lua_shared_dict proxy_wasm`; a block's own lines come after
#                  these, and replace a setting they make themselves
#   request        GET /t
#   no_error_log   [alert] and [emerg] as well, but where the block's error_log
#                  asks for them
#
# A block with a `plugin` section has a location /t with a chain of plugins in
# every phase:
#
#   plugin         the configuration of the plugin "p": for the default guest,
#                  hostcalls, a script (t/guests/README.md); with plugin2, the
#                  same for a second one, "q"
#   plugin_guest   another guest's name; plugin2_guest
#   plugin_options fields of a Lua table, as new_chain takes them; plugin2_options
#   prepare        Lua that runs before the chain is made
#   location       what the location does, hello by default
#   backend        what a server behind it does; the location then passes
#                  requests on. `--- backend: echo` answers with the request.
#   callout        what another server does, which plugins know as the upstream
#                  "callout"; `--- callout: echo` likewise
#   plugin_log     every line that the plugins have logged, in order: those of
#                  "p" bare, those of others after their name. Of several
#                  requests each must leave these; a pattern is what they match.
#
# Lines of `config` and `http_config` come behind those.
#
# Blocks of t/hostcalls run in cargo tests, too (tests/hostcalls/table.rs), when
# their sections are of the plain kinds:
#
#   only_nginx     why such a block needs nginx all the same
#
# In every section of configuration $GUESTS stands for the folder of the
# compiled test guests and $TOP for the repository. In a section with the eval
# filter, where Perl would look for variables of these names, they come as
# $TestProxyWasm::GUESTS and $TestProxyWasm::TOP.

package TestProxyWasm;

use strict;
use warnings;

use Cwd qw(abs_path getcwd);
use Test::Nginx::Socket::Lua -Base;

our $TOP = getcwd();
our $GUESTS = $ENV{PROXY_WASM_GUESTS} || "$TOP/.work/guests";
our $LIB_DIR = $ENV{PROXY_WASM_LIB_DIR} || "$TOP/target/release";

my $PHASES = <<'_END_';
            rewrite_by_lua_block { chain:rewrite() }
            access_by_lua_block { chain:access() }
            header_filter_by_lua_block { chain:header_filter() }
            body_filter_by_lua_block { chain:body_filter() }
            log_by_lua_block { chain:log() }
_END_

$ENV{TEST_NGINX_HTML_DIR} ||= html_dir();

my $BACKEND = 'unix:$TEST_NGINX_HTML_DIR/backend.sock';
my $CALLOUT = 'unix:$TEST_NGINX_HTML_DIR/callout.sock';

my $HELLO = 'content_by_lua_block { ngx.say("hello") }';

my $ECHO = <<'_END_';
            content_by_lua_block {
                ngx.req.read_body()
                local head = ngx.req.raw_header():gsub("\r", "")
                local body = ngx.req.get_body_data()
                ngx.print(body and head .. body or head:sub(1, -2))
            }
_END_

# Without what nginx adds, the action and who the client is, and without what is
# said of a guest's imports and callbacks when it is loaded.
my $LINE = qr/\[proxy-wasm\] (?!\w: (?:imports|callbacks) that)(?:p: )?\K.*?(?=(?: while [^,"]+)?, (?:client|context): |$)/;

# Functions in variables: -Base gives named ones a $self.

# One entry of a chain, or '' when the block has no such plugin.
my $chain_entry = sub {
    my ($block, $section, $name) = @_;
    my $config = $block->$section;
    return '' if !defined $config;
    my ($guest, $options) = ("${section}_guest", "${section}_options");
    $guest = defined $block->$guest ? $block->$guest : 'hostcalls';
    $options = defined $block->$options ? $block->$options : '';
    $options .= "\nupstreams = { callout = \"$CALLOUT\" }," if defined $block->callout;
    chomp $guest;
    return <<"_END_";
            {
                name = "$name",
                path = "\$GUESTS/$guest.wasm",
                config = [=====[
$config]=====],
                $options
            },
_END_
};

# What a block with plugins stands for.
my $expand_plugins = sub {
    my $block = shift;
    my $entries = $chain_entry->($block, 'plugin', 'p')
        . $chain_entry->($block, 'plugin2', 'q');
    return if $entries eq '';

    my $prepare = defined $block->prepare ? $block->prepare : '';
    my $http_config = <<"_END_";
    init_by_lua_block {
$prepare
        chain = assert(require("resty.proxy_wasm").new_chain {
$entries
        })
    }
_END_
    for (['backend', $BACKEND], ['callout', $CALLOUT]) {
        my ($section, $socket) = @$_;
        my $server = $block->$section;
        next if !defined $server;
        $server = $ECHO if $server eq 'echo';
        $http_config .= <<"_END_";
    server {
        listen $socket;
        server_name $section;

        location / {
$server
        }
    }
_END_
    }
    my $location = $block->location;
    $location = $block->backend ? <<"_END_" : $HELLO if !defined $location;
            proxy_http_version 1.1;
            proxy_set_header Host \$http_host;
            proxy_set_header Connection "";
            proxy_pass http://$BACKEND;
_END_
    my $config = <<"_END_";
        location /t {
$PHASES
$location
        }
_END_
    for (['http_config', $http_config], ['config', $config]) {
        my ($section, $value) = @$_;
        $value .= $block->$section if defined $block->$section;
        $block->set_value($section, $value);
    }
    if (defined $block->plugin_log) {
        $block->set_value('grep_error_log', $LINE);
        $block->set_value('grep_error_log_out', $block->plugin_log);
    }
};

# The preprocessor of Test::Nginx::Util, whatever -Base did to ours.
Test::Nginx::Util::add_block_preprocessor(sub {
    my $block = shift;

    $expand_plugins->($block);

    my $http_config = $block->http_config;
    $http_config = '' if !defined $http_config;
    my $ours = '';
    for (
        ['lua_package_path', qq{lua_package_path "$TOP/lib/?.lua;$TOP/lib/?/init.lua;;";}],
        ['lua_package_cpath', qq{lua_package_cpath "$LIB_DIR/?.so;;";}],
        ['lua_shared_dict\s+proxy_wasm', 'lua_shared_dict proxy_wasm 1m;'],
    ) {
        my ($directive, $line) = @$_;
        $ours .= "$line\n" if $http_config !~ /^\s*$directive\b/m;
    }
    $block->set_value('http_config', $ours . $http_config);

    # Where nginx is that slow, what it logs after the response comes later.
    if ($ENV{TEST_NGINX_USE_VALGRIND} && !defined $block->wait) {
        $block->set_value('wait', 1);
    }

    if (!defined $block->request && !defined $block->raw_request
        && !defined $block->pipelined_requests)
    {
        $block->set_value('request', "GET /t\n");
    }

    my $wanted = $block->error_log;
    $wanted = join("\n", @$wanted) if ref $wanted eq 'ARRAY';
    $wanted = '' if !defined $wanted;
    my $unwanted = $block->no_error_log;
    my @unwanted = !defined $unwanted ? ()
        : ref $unwanted eq 'ARRAY' ? @$unwanted
        : ref $unwanted ? ($unwanted)
        : grep { length } split /\n+/, $unwanted;
    for my $level ('[alert]', '[emerg]') {
        push @unwanted, $level
            if index($wanted, $level) < 0 && !grep { $_ eq $level } @unwanted;
    }
    # A block that must not start nginx looks at its log itself.
    if (!defined $block->must_die) {
        $block->set_value('no_error_log', \@unwanted);
    }

    for my $section (qw(main_config http_config config post_main_config
                        stream_config stream_server_config user_files))
    {
        my $value = $block->$section;
        next if !defined $value || ref $value;
        $value =~ s/\$GUESTS\b/$GUESTS/g;
        $value =~ s/\$TOP\b/$TOP/g;
        $block->set_value($section, $value);
    }
});
