"""Test guests for Envoy. It refuses a module that imports a function it does not have, and the test guest
imports them all. So an alias becomes the function that it is an alias of, which makes the two comparable;
and what Envoy has not got at all becomes a function of the guest's own, which answers 12. wabt does it."""

import re
import subprocess

ALIASES = {
    "proxy_dispatch_http_call": "proxy_http_call",
    "proxy_send_http_response": "proxy_send_local_response",
    "proxy_get_buffer": "proxy_get_buffer_bytes",
    "proxy_set_buffer": "proxy_set_buffer_bytes",
}
# There for modules of ABI 0.1.0 only.
OLD = {"proxy_continue_request", "proxy_continue_response", "proxy_get_configuration",
       "proxy_clear_route_cache"}
# There with a parameter too few.
SHORT = {"path_link", "path_symlink"}
IMPORT = re.compile(r'^  \(import "(\w+)" "(\w+)" \(func (\S+) \(type (\S+)\)\)\)$', re.M)


def rewrite(module, target, change):
    """Writes the module anew, with each of its imports changed."""
    text = target.with_suffix(".wat")
    subprocess.run(["wasm2wat", "--generate-names", module, "-o", text], check=True)
    own = []
    source = IMPORT.sub(lambda found: change(*found.groups(), own), text.read_text())
    end = source.rindex(")")
    text.write_text(source[:end] + "\n" + "".join(own) + source[end:])
    subprocess.run(["wat2wasm", text, "-o", target], check=True)


def line(place, name, function, kind):
    return '  (import "%s" "%s" (func %s (type %s)))' % (place, name, function, kind)


def for_envoy(module, target):
    """Writes the module that Envoy gets."""
    data = module.read_bytes()
    absent = SHORT if b"proxy_abi_version_0_1_0" in data else SHORT | OLD
    # Imports have their names in plain sight; so most guests need no work.
    if not any(name.encode() in data for name in [*ALIASES, *absent]):
        target.write_bytes(data)
        return

    def change(place, name, function, kind, own):
        if name in absent:
            own.append("  (func %s (type %s) (i32.const 12))\n" % (function, kind))
            return ""
        return line(place, ALIASES.get(name, name), function, kind)

    rewrite(module, target, change)


def with_names(module, target, names):
    """Writes a module that imports functions by other names."""
    rewrite(module, target, lambda place, name, function, kind, own:
            line(place, names.get(name, name), function, kind))
