-- What this worker's plugins have at this moment.

local ffi = require "ffi"
local library = require "resty.proxy_wasm.lib"
local dispatcher = require "resty.proxy_wasm.dispatcher"


local lib       = library.lib
local to_string = library.to_string


local _M = {}


function _M.get()
    local one = ffi.new("rpw_status[1]")
    local plugins = {}
    for i = 1, lib.rpw_status_take() do
        lib.rpw_status_of(i - 1, one)
        plugins[i] = {
            name = to_string(one[0].name),
            instance = one[0].running == 1,
            compiling = one[0].compiling == 1,
            back_off = one[0].back_off / 1000,
            memory = one[0].memory_kib * 1024,
            root_contexts = one[0].root_contexts,
            http_contexts = one[0].http_contexts,
            paused = one[0].paused,
            callouts = one[0].callouts,
        }
    end
    local waiting, running, timers = dispatcher.count()
    return {
        plugins = plugins,
        callouts = { waiting = waiting, running = running, timers = timers },
    }
end


return _M
