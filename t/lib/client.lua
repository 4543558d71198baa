-- A client inside the nginx under test, for what Test::Nginx's own cannot do:
-- hang up, keep connections, send several requests at a time.
--
--     local client = dofile("$TOP/t/lib/client.lua")

local wasm = require "resty.proxy_wasm"


local _M = {}


-- A line in the log among those of the plugins, for the order of things.
function _M.mark(text)
    ngx.log(ngx.INFO, "[proxy-wasm] -- ", text)
end


function _M.connect()
    local sock = ngx.socket.tcp()
    sock:settimeout(10000)
    assert(sock:connect("127.0.0.1", ngx.var.server_port))
    return sock
end


-- Sends a request and gives the connection.
function _M.send(path, headers, sock)
    sock = sock or _M.connect()
    assert(sock:send("GET " .. path .. " HTTP/1.1\r\nHost: localhost\r\n" .. (headers or "") .. "\r\n"))
    return sock
end


-- Reads one answer. Gives status and body.
function _M.read(sock)
    local head = assert(sock:receive())
    local status = tonumber(head:match("^HTTP/1.1 (%d+)"))
    repeat
        local line = assert(sock:receive())
        head = head .. "\n" .. line:lower()
    until line == ""
    local length = tonumber(head:match("\ncontent%-length: (%d+)"))
    if length or status == 204 then
        return status, (length or 0) > 0 and assert(sock:receive(length)) or ""
    end
    if not head:find("\ntransfer%-encoding: chunked") then
        return status, assert(sock:receive("*a"))
    end
    local body = ""
    while true do
        local size = tonumber(assert(sock:receive()), 16)
        if size == 0 then
            assert(sock:receive() == "")
            return status, body
        end
        body = body .. assert(sock:receive(size))
        assert(sock:receive() == "")
    end
end


-- A whole request on a connection of its own. Gives status and body.
function _M.get(path, headers)
    local sock = _M.send(path, "Connection: close\r\n" .. (headers or ""))
    local status, body = _M.read(sock)
    sock:close()
    return status, body
end


-- A request whose answer may never come whole: its status, or "cut".
function _M.ask(path, headers, body)
    body = body or ""
    local sock = _M.connect()
    assert(sock:send("POST " .. path .. " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                     .. (headers or "") .. "Content-Length: " .. #body .. "\r\n\r\n" .. body))
    local answer = sock:receive("*a")
    sock:close()
    return answer and answer:match("^HTTP/1.1 (%d+)") or "cut"
end


-- What a function gives, and the CPU seconds that the process used meanwhile.
function _M.cpu(fn, ...)
    local before = os.clock()
    local result = fn(...)
    return result, os.clock() - before
end


-- Sends a request, with a body if there is one, and says what comes: status and
-- body, and "cut" behind what was not the whole answer.
function _M.outcome(path, headers, body)
    local sock = _M.connect()
    assert(sock:send((body and "POST " or "GET ") .. path .. " HTTP/1.1\r\nHost: localhost\r\n"
                     .. "Connection: close\r\n" .. (headers or "")
                     .. (body and "Content-Length: " .. #body .. "\r\n" or "")
                     .. "\r\n" .. (body or "")))
    local outcome = _M.rest(sock)
    sock:close()
    return outcome
end


-- As `outcome`, of a request that was sent with `Connection: close`.
function _M.rest(sock)
    local answer, _, part = sock:receive("*a")
    answer = answer or part or ""
    local head, body = answer:match("^(.-)\r\n\r\n(.*)$")
    if not head then
        return "cut"
    end
    local text, whole = body
    local length = head:lower():match("\ncontent%-length: (%d+)")
    if length then
        whole = #body == tonumber(length)
    elseif not head:lower():find("\ntransfer%-encoding: chunked") then
        whole = true
    else
        text = ""
        local at = 1
        while true do
            local size, start = body:match("^(%x+)\r\n()", at)
            if not size or size == "0" then
                whole = size == "0"
                break
            end
            text = text .. body:sub(start, start + tonumber(size, 16) - 1)
            at = start + tonumber(size, 16) + 2
        end
    end
    if text:find("<html>", 1, true) then
        text = "page"
    end
    local words = { head:match("^HTTP/1.1 (%d+)"), text:match("^(.-)%s*$"), whole and "" or "cut" }
    return (table.concat(words, " "):gsub(" +", " "):gsub(" $", ""))
end


-- The same request many times on one connection, several at a time. Each answer
-- must be as long as the first, with a body of four bytes and the line `wanted`.
function _M.repeated(path, headers, count, wanted)
    local request = "GET " .. path .. " HTTP/1.1\r\nHost: localhost\r\n" .. headers .. "\r\n"
    local sock = _M.connect()
    assert(sock:send(request))
    local size, chunked = 0, false
    repeat
        local line = assert(sock:receive())
        size = size + #line + 2
        chunked = chunked or line == "Transfer-Encoding: chunked"
    until line == ""
    local rest = chunked and #"4\r\nbody\r\n0\r\n\r\n" or #"body"
    assert(sock:receive(rest))
    size = size + rest

    local batch = 50
    assert(count % batch == 0)
    local requests = request:rep(batch)
    wanted = "\r\n" .. wanted .. "\r\n"
    for _ = 1, count / batch do
        assert(sock:send(requests))
        local answers = assert(sock:receive(size * batch))
        local found, at = 0, 0
        repeat
            at = answers:find(wanted, at + 1, true)
            found = found + (at and 1 or 0)
        until not at
        assert(found == batch, answers)
    end
    sock:close()
end


-- Waits until it is true: as long as it takes on a slow machine, not for ever.
-- `times`: for less long, where it is not to become true.
function _M.wait(condition, times)
    for _ = 1, times or 500 do
        if condition() then
            return true
        end
        ngx.sleep(0.02)
    end
    return false
end


-- Waits until a plugin that has failed may have its next instance: not at all, but
-- where a start takes long, as under valgrind.
function _M.until_restart()
    return _M.wait(function()
        for _, plugin in ipairs(wasm.status().plugins) do
            if plugin.back_off > 0 then
                return false
            end
        end
        return true
    end)
end


-- True when every http context has come to its end, as the library sees to it.
function _M.all_ended()
    for _, plugin in ipairs(wasm.status().plugins) do
        if plugin.http_contexts > 0 then
            return false
        end
    end
    return true
end


-- Says in the answer whether they do.
function _M.no_context_left()
    ngx.say(_M.wait(_M.all_ended) and "no context left" or "contexts are left")
end


return _M
