# HTTP/2: what plugins see of it.

use lib 't/lib';
use Test::Nginx::Util ();

BEGIN {
    # nginx 1.22 knows it only as a parameter of listen, later ones warn of that.
    if (`curl --version 2>/dev/null` !~ /\bHTTP2\b/) {
        require Test::More;
        Test::More::plan(skip_all => 'curl has no HTTP/2');
    }
}

use TestProxyWasm 'no_plan';
