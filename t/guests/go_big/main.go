// A plugin in Go of more than 20 MB, as real ones are that bring a rule engine and its libraries:
// what it links is most of Go's standard library, and 100 MiB are what it allocates at its start.
// The size is the point of it: that this compiles, starts and runs within the default limits.
package main

import (
	"fmt"
	"os"
	"reflect"
	"unsafe"
)

const (
	logInfo = 2
	startMB = 100
)

//go:wasmimport env proxy_log
func proxyLog(level uint32, text unsafe.Pointer, size uint32) uint32

//go:wasmimport env proxy_add_header_map_value
func proxyAddHeaderMapValue(headers uint32, key unsafe.Pointer, keySize uint32, value unsafe.Pointer, valueSize uint32) uint32

const responseHeaders = 2

// What the host has been given and not yet handed over, kept from the garbage collector.
var given = map[uint32][]byte{}

// Allocated at the start, and kept.
var ballast [][]byte

func pointer(text string) unsafe.Pointer {
	return unsafe.Pointer(unsafe.StringData(text))
}

func init() {
	for range startMB {
		block := make([]byte, 1<<20)
		// Touched: what nobody writes to costs the machine nothing.
		for at := 0; at < len(block); at += 4096 {
			block[at] = 1
		}
		ballast = append(ballast, block)
	}
	text := fmt.Sprintf("started with %d MiB, %d packages linked", len(ballast), len(library))
	proxyLog(logInfo, pointer(text), uint32(len(text)))
}

// In a reactor main does not run. It keeps the linker from dropping methods: one that is looked up
// by a name that only running tells may be any.
func main() {
	for _, value := range library {
		reflect.ValueOf(value).MethodByName(os.Args[0])
	}
}

//go:wasmexport proxy_abi_version_0_2_1
func abiVersion() {}

//go:wasmexport proxy_on_memory_allocate
func allocate(size uint32) unsafe.Pointer {
	data := make([]byte, size)
	address := unsafe.Pointer(&data[0])
	given[uint32(uintptr(address))] = data
	return address
}

//go:wasmexport proxy_on_response_headers
func onResponseHeaders(context, count, endOfStream uint32) uint32 {
	key := "x-go-big"
	sum := 0
	for _, block := range ballast {
		sum += int(block[4096])
	}
	value := fmt.Sprint(sum)
	proxyAddHeaderMapValue(responseHeaders, pointer(key), uint32(len(key)), pointer(value), uint32(len(value)))
	return 0
}
