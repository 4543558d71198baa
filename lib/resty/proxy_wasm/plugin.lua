-- Plugins and their root contexts: what is loaded and configured.

local ffi = require "ffi"
local library = require "resty.proxy_wasm.lib"
local foreign = require "resty.proxy_wasm.foreign"
local sandbox = require "resty.proxy_wasm.sandbox"
local shown = require "resty.proxy_wasm.shown"
local upstreams = require "resty.proxy_wasm.upstreams"


local type       = type
local pairs      = pairs
local ipairs     = ipairs
local pcall      = pcall
local tostring   = tostring
local sort       = table.sort
local concat     = table.concat
local ceil       = math.ceil
local floor      = math.floor
local io_open    = io.open
local ffi_gc     = ffi.gc
local ffi_new    = ffi.new
local ffi_istype = ffi.istype

local lib        = library.lib
local last_error = library.last_error
local run        = foreign.run

local ngx_get_phase = ngx and ngx.get_phase


-- The lua_shared_dict where shared state lies.
local DICT = "proxy_wasm"

-- Where compiled code lies, in a folder for each user; false: nowhere.
local cache_directory = "/var/tmp"


local _M = {}


-- Kept by this module on purpose: LuaJIT calls finalizers also when it shuts
-- down, in any order.
local function free_plugin(plugin)
    lib.rpw_plugin_free(plugin)
end


local function free_root(root)
    lib.rpw_root_free(root)
end


local plugin_type = ffi.typeof("rpw_plugin *")
local root_type = ffi.typeof("rpw_root *")


function _M.is_plugin(plugin)
    return type(plugin) == "cdata" and ffi_istype(plugin_type, plugin) and plugin ~= nil
end


function _M.is_root(root)
    return type(root) == "cdata" and ffi_istype(root_type, root) and root ~= nil
end


-- Milliseconds are an int32.
local MAX_SECONDS = 2^31 / 1000

local SIZES = {
    "max_held_body", "max_request_body", "max_written_body", "max_written_headers",
    "max_callout_bytes", "max_callout_response", "max_shared_key", "max_shared_value",
    "max_shared_bytes", "max_compile_memory",
}
local MAX_BYTES = 2^31

-- A dict's own keys are not much longer.
local MAX_SHARED_KEY = lib.RPW_MAX_SHARED_KEY

local COUNTS = { "max_callouts", "max_contexts", "max_log_lines", "max_table_elements" }
local MAX_COUNT = 2^31

local CPU_LIMITS = { "cpu_limit", "start_cpu_limit", "max_compile_time" }
local MIN_CPU_LIMIT = 0.01

-- Guests have memory by the page, and addresses of 32 bits.
local PAGE = 65536
local MAX_MEMORY = 2^32

local MIN_STACK, MAX_STACK = lib.RPW_MIN_STACK, lib.RPW_MAX_STACK

-- Bytes from which on any module comes to a worker by a thread.
local LARGE = lib.RPW_LARGE_MODULE

local ROOT_USED, ROOT_TRIAL, ROOT_LATER = lib.RPW_ROOT_USED, lib.RPW_ROOT_TRIAL, lib.RPW_ROOT_LATER


-- What `load` takes beside name and path: type, and what it becomes.
local OPTIONS = {
    root_id = "string",
    vm_id = "string",
    vm_config = "string",
    env = "table",
    capabilities = "table",
    upstreams = "table",
    callouts = "string or list",
    pause_timeout = "number",
    resume = { continue = 0, callouts = lib.RPW_RESUME_AFTER_CALLOUTS },
    non_utf8_headers = { keep = 0, drop = lib.RPW_ONLY_TEXT_HEADERS },
    property_encoding = { binary = 0, string = lib.RPW_TEXT_PROPERTIES },
    ticks = { every = 0, one = lib.RPW_TICKS_IN_ONE },
    context_ids = { unique = 0, reused = lib.RPW_REUSE_IDS },
    fail = { closed = 0, open = lib.RPW_FAIL_OPEN },
    subrequests = { [true] = lib.RPW_SUBREQUESTS, [false] = 0 },
    request_body = { [true] = 0, [false] = lib.RPW_NO_REQUEST_BODY },
    response_body = { [true] = 0, [false] = lib.RPW_NO_RESPONSE_BODY },
    max_held_body = "number",
    max_request_body = "number",
    max_written_body = "number",
    max_written_headers = "number",
    max_callouts = "number",
    max_callout_bytes = "number",
    max_callout_response = "number",
    max_contexts = "number",
    max_log_lines = "number",
    max_table_elements = "number",
    max_shared_key = "number",
    max_shared_value = "number",
    max_shared_bytes = "number",
    max_compile_memory = "number",
    max_compile_time = "number",
    cpu_limit = "number",
    start_cpu_limit = "number",
    memory_limit = "number",
    stack_limit = "number",
}


local function sorted(map, write)
    local words = {}
    for word in pairs(map) do
        words[#words + 1] = write(word)
    end
    sort(words)
    return words
end


-- Where what is no option belongs.
local ELSEWHERE = {
    name = "it is the first argument of load()",
    path = "it is the second argument of load()",
    config = "it is the second argument of on_configure()",
}


-- A sentence about an option that there is none of. `fields`: what an entry of
-- a chain has beside options.
local function unknown(key, fields)
    local known = concat(sorted(OPTIONS, tostring), ", ")
    if fields then
        known = fields .. ", " .. known
    elseif ELSEWHERE[key] then
        return "\"" .. key .. "\" is no option: " .. ELSEWHERE[key]
    end
    return "unknown option " .. shown(key) .. ", known are: " .. known
end


local function must(key, be, value)
    return "option \"" .. key .. "\" must be " .. be .. ", not " .. shown(value)
end


-- Checks options; gives a sentence about the first that is wrong. `fields`:
-- what stands beside them, where they stand in the entry of a chain.
function _M.check_options(opts, fields)
    if opts == nil then
        return nil
    end
    if type(opts) ~= "table" then
        return "options must be a table, not " .. shown(opts)
    end
    for key, value in pairs(opts) do
        local expected = OPTIONS[key]
        if not expected then
            return unknown(key, fields)
        end
        if type(expected) == "table" then
            if expected[value] == nil then
                return must(key, concat(sorted(expected, shown), " or "), value)
            end
        elseif key ~= "callouts" and type(value) ~= expected then
            return must(key, "a " .. expected, value)
        end
    end
    local timeout = opts.pause_timeout
    -- Asked for what is right, as NaN is never wrong.
    if timeout and not (timeout > 0 and timeout < MAX_SECONDS) then
        return must("pause_timeout", "a number of seconds above 0", timeout)
    end
    for _, key in ipairs(SIZES) do
        local bytes = opts[key]
        if bytes and not (bytes >= 1 and bytes < MAX_BYTES) then
            return must(key, "a number of bytes from 1 to 2147483647", bytes)
        end
    end
    if (opts.max_shared_key or 1) > MAX_SHARED_KEY then
        return must("max_shared_key", "a number of bytes from 1 to " .. MAX_SHARED_KEY, opts.max_shared_key)
    end
    for _, key in ipairs(CPU_LIMITS) do
        local seconds = opts[key]
        if seconds and not (seconds >= MIN_CPU_LIMIT and seconds < MAX_SECONDS) then
            return must(key, "a number of seconds from 0.01 on", seconds)
        end
    end
    local memory = opts.memory_limit
    if memory and not (memory >= PAGE and memory <= MAX_MEMORY) then
        return must("memory_limit", "a number of bytes from 64 KiB to 4 GiB", memory)
    end
    local stack = opts.stack_limit
    if stack and not (stack >= MIN_STACK and stack <= MAX_STACK) then
        return must("stack_limit", "a number of bytes from 64 KiB to 4 MiB", stack)
    end
    local wrong = upstreams.check(opts.upstreams or {})
    if wrong then
        return "option \"upstreams\": " .. wrong
    end
    wrong = opts.callouts ~= nil and upstreams.check_callouts(opts.callouts)
    if wrong then
        return "option \"callouts\" " .. wrong
    end
    wrong = opts.env and sandbox.check_env(opts.env)
    if wrong then
        return "option \"env\" " .. wrong
    end
    wrong = opts.capabilities and sandbox.check_capabilities(opts.capabilities)
    if wrong then
        return "option \"capabilities\" " .. wrong
    end
    for _, key in ipairs(COUNTS) do
        local count = opts[key]
        if count and not (count >= 1 and count < MAX_COUNT) then
            return must(key, "a number from 1 to 2147483647", count)
        end
    end
    return nil
end


-- Shared state lies in one dict, or else in each worker: also when the last
-- configuration, which this process may know, had a dict.
local store_named = false


local function name_store()
    store_named = true
    local dict = ngx and ngx.shared and ngx.shared[DICT]
    lib.rpw_use_dict(dict and dict[1])
end


function _M.set_cache_directory(path)
    cache_directory = path
end


-- In the master, and what stands in for it: nothing waits, and processes are
-- forked afterwards.
local function is_init()
    return ngx_get_phase and ngx_get_phase() == "init"
end


-- The bytes of a module; or none, and true, where the library is to read them
-- in a thread.
local function read_file(path)
    local file, err = io_open(path, "rb")
    if not file then
        return nil, err
    end
    local bytes, more
    -- A folder can be opened, but not read.
    if not ngx_get_phase or is_init() then
        bytes, err = file:read("*a")
    else
        bytes, err = file:read(LARGE + 1)
        if not bytes and not err then
            bytes = ""
        end
        more = bytes and #bytes > LARGE
    end
    file:close()
    if not bytes then
        return nil, path .. ": " .. err
    end
    return not more and bytes or "", more
end
_M.read_file = read_file


-- Options as the library reads them, with the strings that it reads there.
-- They must have been checked; what is left of that the library does.
--
-- Errors: a sentence that names the option.
local function encode_options(opts)
    opts = opts or {}
    local flags = 0
    for key, choices in pairs(OPTIONS) do
        if type(choices) == "table" and opts[key] ~= nil then
            flags = flags + choices[opts[key]]
        end
    end
    local root_id, vm_config = opts.root_id or "", opts.vm_config or ""
    local named, wrong = upstreams.encode(opts.upstreams or {})
    if not named then
        return nil, wrong
    end
    local callouts = upstreams.encode_callouts(opts.callouts)
    local directory = cache_directory or nil
    local env = sandbox.encode_env(opts.env)
    local capabilities = sandbox.encode_capabilities(opts.capabilities)
    local options = ffi_new("rpw_options", {
        flags = flags,
        -- 0 would be the default.
        pause_timeout = ceil((opts.pause_timeout or 0) * 1000),
        max_held_body = opts.max_held_body or 0,
        max_request_body = opts.max_request_body or 0,
        max_written_body = opts.max_written_body or 0,
        max_written_headers = opts.max_written_headers or 0,
        max_callouts = opts.max_callouts or 0,
        max_callout_bytes = opts.max_callout_bytes or 0,
        max_callout_response = opts.max_callout_response or 0,
        max_contexts = opts.max_contexts or 0,
        max_log_lines = opts.max_log_lines or 0,
        max_table_elements = opts.max_table_elements or 0,
        max_shared_key = opts.max_shared_key or 0,
        max_shared_value = opts.max_shared_value or 0,
        max_shared_bytes = opts.max_shared_bytes or 0,
        cpu_limit = ceil((opts.cpu_limit or 0) * 1000),
        start_cpu_limit = ceil((opts.start_cpu_limit or 0) * 1000),
        memory_pages = floor((opts.memory_limit or 0) / PAGE),
        stack_limit = opts.stack_limit or 0,
        max_compile_memory = opts.max_compile_memory or 0,
        max_compile_time = ceil((opts.max_compile_time or 0) * 1000),
        root_id = { root_id, #root_id },
        vm_id = { opts.vm_id, opts.vm_id and #opts.vm_id or 0 },
        vm_configuration = { vm_config, #vm_config },
        env = { env, #env },
        capabilities = { capabilities, capabilities and #capabilities or 0 },
        upstreams = { named, #named },
        callouts = { callouts, #callouts },
        cache_directory = { directory, directory and #directory or 0 },
    })
    if lib.rpw_check_options(options) ~= 0 then
        return nil, last_error()
    end
    return { options = options, opts, named, callouts, directory, env, capabilities }
end


-- Compiles the module in `bytes`, which are those of the file `path`. With
-- `later`, or where that takes long, a thread reads and compiles the file.
local function compile(name, bytes, encoded, path, later)
    if not store_named then
        name_store()
    end
    local plugin
    if ngx_get_phase and not is_init()
       and (later or lib.rpw_takes_long(bytes, #bytes, encoded.options) ~= 0)
    then
        plugin = lib.rpw_plugin_load_later(name, #name, path, #path, encoded.options)
    else
        plugin = lib.rpw_plugin_load(name, #name, bytes, #bytes, encoded.options)
    end
    if plugin == nil then
        return nil, last_error()
    end
    return ffi_gc(plugin, free_plugin)
end


-- As `compile`. Options must have been checked.
function _M.load(name, bytes, opts, path, later)
    local encoded, err = encode_options(opts)
    if not encoded then
        return nil, err
    end
    return compile(name, bytes, encoded, path, later)
end


-- As `load`, from a file; the error names the plugin, and the option or file.
function _M.load_file(name, path, opts)
    local plugin, bytes, later
    local encoded, err = encode_options(opts)
    if encoded then
        bytes, later = read_file(path)
        err = later
    end
    if bytes then
        plugin, err = compile(name, bytes, encoded, path, later)
        err = err and path .. ": " .. err
    end
    if not plugin then
        return nil, "plugin \"" .. name .. "\": " .. err
    end
    return plugin
end


-- In the master a configuration is only tried. `just_loaded`: what a thread finds
-- out about the plugin comes later, however soon that is.
function _M.configure(plugin, conf, just_loaded)
    local kind = is_init() and ROOT_TRIAL or just_loaded and ROOT_LATER or ROOT_USED
    local rc = run(lib.rpw_root_new(plugin, conf, #conf, kind))
    if rc ~= 0 then
        return nil, last_error(), rc
    end
    return ffi_gc(lib.rpw_root_made(), free_root)
end


-- A configuration as the guest gets it: a string, or a table as JSON.
function _M.encode_config(conf)
    if conf == nil then
        return ""
    end
    if type(conf) == "string" then
        return conf
    end
    if type(conf) ~= "table" then
        return nil, "configuration must be a string or a table, not " .. shown(conf)
    end
    local ok, cjson = pcall(require, "cjson.safe")
    if not ok then
        return nil, "a configuration that is a table needs lua-cjson, which is not installed: "
                    .. "give it as a string"
    end
    local json, err = cjson.encode(conf)
    if not json then
        return nil, "configuration cannot be JSON: " .. err
    end
    return json
end


return _M
