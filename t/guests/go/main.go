// A plugin in Go without an SDK, by Go's own compiler: what its runtime needs of a host (it starts
// by _initialize, and uses WASI for the clock, random numbers and printing) is the point of it.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"unsafe"
)

const (
	requestHeaders      = 0
	responseHeaders     = 2
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

//go:wasmexport proxy_on_response_headers
func onResponseHeaders(context, count, endOfStream uint32) uint32 {
	key := "x-go"
	proxyAddHeaderMapValue(responseHeaders, pointer(key), uint32(len(key)),
		pointer(configuration), uint32(len(configuration)))
	return actionContinue
}
