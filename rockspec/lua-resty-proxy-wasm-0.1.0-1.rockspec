rockspec_format = "3.0"
package = "lua-resty-proxy-wasm"
version = "0.1.0-1"

source = {
    url = "git+https://github.com/lua-resty-proxy-wasm/lua-resty-proxy-wasm.git",
    tag = "v0.1.0",
}

description = {
    summary = "Proxy-Wasm plugins in stock OpenResty",
    detailed = [[
        Runs Proxy-Wasm plugins in OpenResty, or nginx with lua-nginx-module,
        as they come: no rebuilt nginx, no patch, no nginx module. Building it
        needs Rust 1.95 or newer.
    ]],
    homepage = "https://github.com/lua-resty-proxy-wasm/lua-resty-proxy-wasm",
    license = "Apache-2.0",
}

dependencies = {
    "lua == 5.1",
}

build = {
    type = "make",
    build_target = "build",
    install_target = "install",
    install_variables = {
        PREFIX = "$(PREFIX)",
        LUA_LIB_DIR = "$(LUADIR)",
        INST_LIBDIR = "$(LIBDIR)",
        INST_INCDIR = "$(PREFIX)/include",
    },
}
