# A real gRPC server for the tests of a file, from here to the file's end:
#
#     use GrpcServer;        $GrpcServer::PORT
#     use GrpcServer 'tls';  $GrpcServer::TLS_PORT as well, whose certificate is for
#                            a.example and 127.0.0.1; $GrpcServer::CA has signed it
#     use GrpcServer 'hostile';
#                            instead of it those of grpc_hostile.py: the option
#                            `upstreams` in $GrpcServer::HOSTILE knows them by name

package GrpcServer;

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use IPC::Open2 qw(open2);

our ($PORT, $TLS_PORT, $CA, $OTHER_CA, $HOSTILE);

my ($pid, $input, $output);

sub openssl {
    my ($dir, $arguments) = @_;
    my $said = `cd $dir && openssl $arguments 2>&1`;
    die "openssl $arguments: $said" if $?;
}

sub certificates {
    my $dir = shift;
    for my $ca (qw(ca other)) {
        openssl($dir, "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=$ca -keyout $ca.key -out $ca.pem");
    }
    openssl($dir, 'req -newkey rsa:2048 -nodes -subj /CN=a.example -keyout server.key -out server.csr');
    open my $extensions, '>', "$dir/extensions" or die $!;
    print $extensions "subjectAltName = DNS:a.example, IP:127.0.0.1\n";
    close $extensions;
    openssl($dir, 'x509 -req -days 30 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial '
        . '-extfile extensions -out server.pem');
    ($CA, $OTHER_CA) = ("$dir/ca.pem", "$dir/other.pem");
    return ("$dir/server.pem", "$dir/server.key");
}

sub import {
    my ($class, $kind) = (@_, '');
    return if $pid;
    my $hostile = $kind eq 'hostile';
    my @certificate = $kind eq 'tls' ? certificates(tempdir(CLEANUP => 1)) : ();
    local $ENV{PYTHONPATH} = $ENV{PROXY_WASM_GRPCIO};
    local $ENV{GRPC_VERBOSITY} = 'NONE';
    my $server = $hostile ? 'grpc_hostile.py' : 'grpc_server.py';
    $pid = open2($output, $input, 'python3', dirname(__FILE__) . "/$server", @certificate);
    my $ports = <$output>;
    die 'no gRPC server: run scripts/deps.sh' if !defined $ports;
    if ($hostile) {
        my %port = split ' ', $ports;
        $HOSTILE = join '', 'upstreams = { ', (map "$_ = '127.0.0.1:$port{$_}', ", sort keys %port), "},\n";
        return;
    }
    ($PORT, $TLS_PORT) = split ' ', $ports;
}

END {
    if ($pid) {
        # The test's result, not the server's.
        local $?;
        close $input;
        waitpid $pid, 0;
    }
}

1;
