-- An HTTP/2 client inside the nginx under test: as little of it as resets need.
--
--     local http2 = dofile("$TOP/t/lib/http2.lua")
--     local sock = http2.connect("$TEST_NGINX_HTML_DIR/http2.sock")
--     http2.request(sock, 1, "/t")
--     http2.reset(sock, 1)

local bit = require "bit"


local char, byte = string.char, string.byte


local _M = {}

local DATA, HEADERS, RST_STREAM, SETTINGS, PING = 0, 1, 3, 4, 6
local END_STREAM, END_HEADERS, ACK = 1, 4, 1

local CANCEL = 8


local function number(value, bytes)
    local text = ""
    for _ = 1, bytes do
        text = char(bit.band(value, 255)) .. text
        value = bit.rshift(value, 8)
    end
    return text
end


local function frame(sock, kind, flags, stream, payload)
    assert(sock:send(number(#payload, 3) .. char(kind, flags) .. number(stream, 4) .. payload))
end


-- A connection, to the socket in a file.
function _M.connect(path)
    local sock = ngx.socket.tcp()
    sock:settimeout(10000)
    assert(sock:connect("unix:" .. path))
    assert(sock:send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
    frame(sock, SETTINGS, 0, 0, "")
    return sock
end


-- A header that no table remembers; of a name in the static table, its number.
local function header(name, value)
    assert(#value < 127)
    if type(name) == "number" then
        return char(name, #value) .. value
    end
    return char(0, #name) .. name .. char(#value) .. value
end


-- Sends a request. `length`: of the body, which `data` sends.
function _M.request(sock, stream, path, headers, length)
    local GET, POST, HTTP, PATH, AUTHORITY = 0x82, 0x83, 0x86, 4, 1
    local block = char(length and POST or GET, HTTP) .. header(PATH, path) .. header(AUTHORITY, "localhost")
    for name, value in pairs(headers or {}) do
        block = block .. header(name, value)
    end
    if length then
        block = block .. header("content-length", tostring(length))
    end
    frame(sock, HEADERS, length and END_HEADERS or END_HEADERS + END_STREAM, stream, block)
end


function _M.data(sock, stream, data)
    frame(sock, DATA, 0, stream, data)
end


function _M.reset(sock, stream)
    frame(sock, RST_STREAM, 0, stream, number(CANCEL, 4))
end


-- The next frame: its kind, flags, stream and payload.
local function read(sock)
    local head = assert(sock:receive(9))
    local a, b, c, kind, flags = byte(head, 1, 5)
    local size = a * 65536 + b * 256 + c
    local stream = byte(head, 9) + byte(head, 8) * 256
    return kind, flags, stream, size > 0 and assert(sock:receive(size)) or ""
end


-- Waits until nginx has read all that was sent: it answers in the order of what
-- comes.
function _M.settle(sock)
    frame(sock, PING, 0, 0, "settled!")
    repeat
        local kind, flags = read(sock)
    until kind == PING and flags == ACK
end


-- Reads until something of the body of a stream has come, and gives that;
-- `whole`: all of it.
function _M.body(sock, stream, whole)
    local body = ""
    repeat
        local kind, flags, of, payload = read(sock)
        assert(kind ~= RST_STREAM or of ~= stream, "the stream was reset")
        if kind == DATA and of == stream then
            body = body .. payload
        end
        local ended = of == stream and bit.band(flags, END_STREAM) ~= 0 and (kind == DATA or kind == HEADERS)
    until ended or #body > 0 and not whole
    return body
end


-- Reads the body of a stream that does not come to its end, and says how that
-- was: reset, or closed with the connection.
function _M.unfinished(sock, stream)
    local body = ""
    repeat
        local ok, kind, flags, of, payload = pcall(read, sock)
        if not ok then
            return "closed after: " .. body
        end
        if kind == DATA and of == stream then
            body = body .. payload
            assert(bit.band(flags, END_STREAM) == 0, "the stream came to its end")
        end
    until kind == RST_STREAM and of == stream
    return "reset after: " .. body
end


return _M
