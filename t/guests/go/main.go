// A plugin in Go without an SDK, by Go's own compiler: what its runtime needs of a host (it starts
// by _initialize, and uses WASI for the clock, random numbers and printing) is the point of it.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"strings"
	"unsafe"
)

const (
	requestHeaders      = 0
	responseHeaders     = 2
	callResponseHeaders = 6
	callResponseBody    = 4
	pluginConfiguration = 7

	actionContinue = 0
	actionPause    = 1

	logInfo = 2
)

//go:wasmimport env proxy_log
func proxyLog(level uint32, text unsafe.Pointer, size uint32) uint32

//go:wasmimport env proxy_get_buffer_bytes
func proxyGetBufferBytes(buffer, start, max uint32, data, size unsafe.Pointer) uint32

//go:wasmimport env proxy_get_header_map_value
func proxyGetHeaderMapValue(headers uint32, key unsafe.Pointer, keySize uint32, value, valueSize unsafe.Pointer) uint32

//go:wasmimport env proxy_add_header_map_value
func proxyAddHeaderMapValue(headers uint32, key unsafe.Pointer, keySize uint32, value unsafe.Pointer, valueSize uint32) uint32

//go:wasmimport env proxy_send_local_response
func proxySendLocalResponse(status uint32, details unsafe.Pointer, detailsSize uint32, body unsafe.Pointer, bodySize uint32, headers unsafe.Pointer, headersSize uint32, grpcStatus int32) uint32

//go:wasmimport env proxy_http_call
func proxyHttpCall(upstream unsafe.Pointer, upstreamSize uint32, headers unsafe.Pointer, headersSize uint32, body unsafe.Pointer, bodySize uint32, trailers unsafe.Pointer, trailersSize uint32, timeout uint32, token unsafe.Pointer) uint32

//go:wasmimport env proxy_set_tick_period_milliseconds
func proxySetTickPeriodMilliseconds(period uint32) uint32

//go:wasmimport env proxy_set_effective_context
func proxySetEffectiveContext(context uint32) uint32

//go:wasmimport env proxy_continue_stream
func proxyContinueStream(stream uint32) uint32

// What the host has been given and not yet handed over, kept from the garbage collector.
var given = map[uint32][]byte{}

// The data of which the host wrote these; it is ours from now on.
func take(address, size uint32) string {
	data := given[address]
	delete(given, address)
	return string(data[:size])
}

func pointer(text string) unsafe.Pointer {
	return unsafe.Pointer(unsafe.StringData(text))
}

func logf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	proxyLog(logInfo, pointer(text), uint32(len(text)))
}

func header(headers uint32, key string) (string, bool) {
	var address, size uint32
	status := proxyGetHeaderMapValue(headers, pointer(key), uint32(len(key)),
		unsafe.Pointer(&address), unsafe.Pointer(&size))
	if status != 0 {
		return "", false
	}
	if size == 0 {
		return "", true
	}
	return take(address, size), true
}

// A callout in flight: where it was made, and for which request.
type callout struct {
	from    string
	context uint32
}

var callouts = map[uint32]callout{}

// Asks the upstream "auth" for a path. False: the host refuses.
func call(from string, context uint32, path string) bool {
	pairs := []string{":method", "GET", ":path", path, ":authority", "auth"}
	headers := binary.LittleEndian.AppendUint32(nil, uint32(len(pairs)/2))
	for _, text := range pairs {
		headers = binary.LittleEndian.AppendUint32(headers, uint32(len(text)))
	}
	for _, text := range pairs {
		headers = append(append(headers, text...), 0)
	}
	var token uint32
	upstream := "auth"
	status := proxyHttpCall(pointer(upstream), uint32(len(upstream)), unsafe.Pointer(&headers[0]),
		uint32(len(headers)), nil, 0, nil, 0, 5000, unsafe.Pointer(&token))
	if status != 0 {
		logf("a callout from %s is refused: %d", from, status)
		return false
	}
	callouts[token] = callout{from, context}
	return true
}

var configuration string

func init() {
	logf("Go plugin initialized")
}

// In a reactor main does not run.
func main() {
	panic("main ran")
}

//go:wasmexport proxy_abi_version_0_2_1
func abiVersion() {}

//go:wasmexport proxy_on_memory_allocate
func allocate(size uint32) unsafe.Pointer {
	data := make([]byte, size)
	// As the SDK has it: asking for nothing is a panic.
	address := unsafe.Pointer(&data[0])
	given[uint32(uintptr(address))] = data
	return address
}

//go:wasmexport proxy_on_configure
func onConfigure(root, size uint32) uint32 {
	configuration = ""
	if size > 0 {
		var address, got uint32
		proxyGetBufferBytes(pluginConfiguration, 0, size,
			unsafe.Pointer(&address), unsafe.Pointer(&got))
		configuration = take(address, got)
	}
	logf("configured with '%s'", configuration)
	if configuration == "callouts" {
		call("configure", 0, "/configure")
		proxySetTickPeriodMilliseconds(20)
	}
	if configuration == "grpc" {
		grpcCall("configure", 0, "Echo", "hello from configure")
		grpcStream("configure, a stream,", 0, "configured")
		proxySetTickPeriodMilliseconds(20)
	}
	return 1
}

//go:wasmexport proxy_on_request_headers
func onRequestHeaders(context, count, endOfStream uint32) uint32 {
	path, _ := header(requestHeaders, ":path")
	fmt.Println("printed by Go")
	fmt.Fprintln(os.Stderr, "printed by Go, as an error")
	switch {
	case path == "/go-blocked":
		body := "no, says Go\n"
		proxySendLocalResponse(403, nil, 0, pointer(body), uint32(len(body)), nil, 0, -1)
		return actionPause
	case path == "/go-callout":
		if call("request", context, "/request") {
			return actionPause
		}
	case path == "/go-grpc-call":
		if grpcCall("request", context, "Echo", "hello from request") {
			return actionPause
		}
	case path == "/go-grpc-fail":
		if grpcCall("request", context, "Fail", "7 not you") {
			return actionPause
		}
	case path == "/go-grpc-stream":
		if grpcStream("request, a stream,", context, "requested") {
			return actionPause
		}
	case path == "/go-panic":
		panic("on purpose")
	case strings.HasPrefix(path, "/go-garbage"):
		// Work for the collector and its goroutines, and for memory.grow.
		total := 0
		done := make(chan int)
		for range 8 {
			go func() {
				sum := 0
				for i := range 1000 {
					sum += len(make([]byte, 1024+i))
				}
				done <- sum
			}()
		}
		for range 8 {
			total += <-done
		}
		runtime.GC()
		logf("made %d bytes of garbage", total)
	}
	return actionContinue
}

//go:wasmexport proxy_on_tick
func onTick(root uint32) {
	proxySetTickPeriodMilliseconds(0)
	if configuration == "grpc" {
		grpcCall("tick", 0, "Echo", "hello from tick")
		grpcStream("tick, a stream,", 0, "ticked")
		return
	}
	call("tick", 0, "/tick")
}

//go:wasmexport proxy_on_http_call_response
func onHttpCallResponse(root, token, headers, bodySize, trailers uint32) {
	known, found := callouts[token]
	if !found {
		panic("nobody made this callout")
	}
	delete(callouts, token)
	status, _ := header(callResponseHeaders, ":status")
	body := ""
	if bodySize > 0 {
		var address, got uint32
		proxyGetBufferBytes(callResponseBody, 0, bodySize,
			unsafe.Pointer(&address), unsafe.Pointer(&got))
		body = take(address, got)
	}
	logf("callout from %s: %s '%s'", known.from, status, body)
	if known.context != 0 {
		proxySetEffectiveContext(known.context)
		proxyContinueStream(0)
	}
}

//go:wasmexport proxy_on_response_headers
func onResponseHeaders(context, count, endOfStream uint32) uint32 {
	key := "x-go"
	proxyAddHeaderMapValue(responseHeaders, pointer(key), uint32(len(key)),
		pointer(configuration), uint32(len(configuration)))
	return actionContinue
}
