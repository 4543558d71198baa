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

# The preprocessor of Test::Nginx::Util, whatever -Base did to ours.
Test::Nginx::Util::add_block_preprocessor(sub {
    my $block = shift;

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
