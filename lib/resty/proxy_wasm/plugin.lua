-- Plugins and their root contexts: what is loaded and configured.

local ffi = require "ffi"
local library = require "resty.proxy_wasm.lib"
local foreign = require "resty.proxy_wasm.foreign"
local sandbox = require "resty.proxy_wasm.sandbox"
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

local SIZES = { "max_held_body", "max_request_body", "max_written_body" }
local MAX_BYTES = 2^31

local COUNTS = { "max_callouts", "max_contexts", "max_log_lines" }
local MAX_COUNT = 2^31

local CPU_LIMITS = { "cpu_limit", "start_cpu_limit" }
local MIN_CPU_LIMIT = 0.01

-- Guests have memory by the page, and addresses of 32 bits.
local PAGE = 65536
local MAX_MEMORY = 2^32


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
    max_callouts = "number",
    max_contexts = "number",
    max_log_lines = "number",
    cpu_limit = "number",
    start_cpu_limit = "number",
    memory_limit = "number",
}


local function sorted(map)
    local words = {}
    for word in pairs(map) do
        words[#words + 1] = tostring(word)
    end
    sort(words)
    return concat(words, ", ")
end


-- Checks options; gives a sentence about the first that is wrong.
function _M.check_options(opts)
    if opts == nil then
        return nil
    end
    if type(opts) ~= "table" then
        return "options must be a table"
    end
    for key, value in pairs(opts) do
        local expected = OPTIONS[key]
        if not expected then
            return "unknown option \"" .. tostring(key) .. "\", known are: " .. sorted(OPTIONS)
        end
        if type(expected) == "table" then
            if expected[value] == nil then
                return "option \"" .. key .. "\" must be one of: " .. sorted(expected)
            end
        elseif key ~= "callouts" and type(value) ~= expected then
            return "option \"" .. key .. "\" must be a " .. expected
        end
    end
    local timeout = opts.pause_timeout
    -- Asked for what is right, as NaN is never wrong.
    if timeout and not (timeout > 0 and timeout < MAX_SECONDS) then
        return "option \"pause_timeout\" must be a number of seconds above 0"
    end
    for _, key in ipairs(SIZES) do
        local bytes = opts[key]
        if bytes and not (bytes >= 1 and bytes < MAX_BYTES) then
            return "option \"" .. key .. "\" must be a number of bytes from 1 on"
        end
    end
    for _, key in ipairs(CPU_LIMITS) do
        local seconds = opts[key]
        if seconds and not (seconds >= MIN_CPU_LIMIT and seconds < MAX_SECONDS) then
            return "option \"" .. key .. "\" must be a number of seconds from 0.01 on"
        end
    end
    local memory = opts.memory_limit
    if memory and not (memory >= PAGE and memory <= MAX_MEMORY) then
        return "option \"memory_limit\" must be a number of bytes from 64 KiB to 4 GiB"
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
            return "option \"" .. key .. "\" must be a number from 1 on"
        end
    end
    return nil
end


local function read_file(path)
    local file, err = io_open(path, "rb")
    if not file then
        return nil, err
    end
    local bytes
    -- A folder can be opened, but not read.
    bytes, err = file:read("*a")
    file:close()
    if not bytes then
        return nil, path .. ": " .. err
    end
    return bytes
end
_M.read_file = read_file


-- Shared state lies in one dict. Said once, not by every worker: a plugin is
-- mostly loaded in the master.
local store_named = false


local function name_store()
    store_named = true
    local dict = ngx and ngx.shared and ngx.shared[DICT]
    if dict and lib.rpw_use_dict(dict[1]) == 0 then
        return
    end
    if ngx and ngx.log then
        ngx.log(ngx.NOTICE, "[proxy-wasm] there is no lua_shared_dict ", DICT,
                ": shared data, queues and metrics are each worker's own")
    end
end


function _M.set_cache_directory(path)
    cache_directory = path
end


-- In the master, and what stands in for it: nothing waits, and processes are
-- forked afterwards.
local function is_init()
    return ngx_get_phase and ngx_get_phase() == "init"
end


-- Compiles the module in `bytes`. Options must have been checked.
local function load(name, bytes, opts)
    if not store_named then
        name_store()
    end
    opts = opts or {}
    local flags = ngx_get_phase and not is_init() and lib.RPW_IN_BACKGROUND or 0
    for key, choices in pairs(OPTIONS) do
        if type(choices) == "table" and opts[key] ~= nil then
            flags = flags + choices[opts[key]]
        end
    end
    -- Locals, so that nothing is collected while the library reads it.
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
        max_written_body = opts.max_written_body or 0,
        max_callouts = opts.max_callouts or 0,
        max_contexts = opts.max_contexts or 0,
        max_log_lines = opts.max_log_lines or 0,
        cpu_limit = ceil((opts.cpu_limit or 0) * 1000),
        start_cpu_limit = ceil((opts.start_cpu_limit or 0) * 1000),
        memory_pages = floor((opts.memory_limit or 0) / PAGE),
        root_id = { root_id, #root_id },
        vm_id = { opts.vm_id, opts.vm_id and #opts.vm_id or 0 },
        vm_configuration = { vm_config, #vm_config },
        env = { env, #env },
        capabilities = { capabilities, capabilities and #capabilities or 0 },
        upstreams = { named, #named },
        callouts = { callouts, #callouts },
        cache_directory = { directory, directory and #directory or 0 },
    })
    local plugin = lib.rpw_plugin_load(name, #name, bytes, #bytes, options)
    if plugin == nil then
        return nil, last_error()
    end
    return ffi_gc(plugin, free_plugin)
end
_M.load = load


-- As `load`, from a file; the error names plugin and file.
function _M.load_file(name, path, opts)
    local plugin
    local bytes, err = read_file(path)
    if bytes then
        plugin, err = load(name, bytes, opts)
        err = err and path .. ": " .. err
    end
    if not plugin then
        return nil, "plugin \"" .. name .. "\": " .. err
    end
    return plugin
end


-- In the master a configuration is only tried.
function _M.configure(plugin, conf)
    local rc = run(lib.rpw_root_new(plugin, conf, #conf, is_init() and 1 or 0))
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
        return nil, "configuration must be a string or a table"
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
