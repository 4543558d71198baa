# Servers that are slow on purpose (slow_server.py), from here to the file's end:
#
#     use SlowServer;        $SlowServer::PORT{record}

package SlowServer;

use strict;
use warnings;

use File::Basename qw(dirname);
use IPC::Open2 qw(open2);

our %PORT;

my $pid = open2(my $output, my $input, 'python3', dirname(__FILE__) . '/slow_server.py');
my $ports = <$output>;
die 'no slow server' if !defined $ports;
%PORT = split ' ', $ports;

END {
    # The test's result, not the server's.
    local $?;
    close $input;
    waitpid $pid, 0;
}

1;
