// gRPC callouts: with the configuration "grpc", from everywhere.
package main

import (
	"strings"
	"unsafe"
)

const grpcReceiveBuffer = 5

//go:wasmimport env proxy_grpc_call
func proxyGrpcCall(upstream unsafe.Pointer, upstreamSize uint32, service unsafe.Pointer, serviceSize uint32, method unsafe.Pointer, methodSize uint32, metadata unsafe.Pointer, metadataSize uint32, message unsafe.Pointer, messageSize uint32, timeout uint32, token unsafe.Pointer) uint32

//go:wasmimport env proxy_grpc_stream
func proxyGrpcStream(upstream unsafe.Pointer, upstreamSize uint32, service unsafe.Pointer, serviceSize uint32, method unsafe.Pointer, methodSize uint32, metadata unsafe.Pointer, metadataSize uint32, token unsafe.Pointer) uint32

//go:wasmimport env proxy_grpc_send
func proxyGrpcSend(token uint32, message unsafe.Pointer, messageSize uint32, endOfStream uint32) uint32

//go:wasmimport env proxy_get_status
func proxyGetStatus(code, message, messageSize unsafe.Pointer) uint32

const (
	grpcUpstream = "up"
	grpcService  = "test.Echo"
)

// A gRPC callout in flight: where it was made, for which request, and what it
// has said; a stream ends with the second message.
type grpcCallout struct {
	callout
	stream   bool
	received []string
}

var grpcCallouts = map[uint32]*grpcCallout{}

func grpcCall(from string, context uint32, method, message string) bool {
	var token uint32
	status := proxyGrpcCall(pointer(grpcUpstream), uint32(len(grpcUpstream)),
		pointer(grpcService), uint32(len(grpcService)), pointer(method), uint32(len(method)),
		nil, 0, pointer(message), uint32(len(message)), 5000, unsafe.Pointer(&token))
	if status != 0 {
		logf("a gRPC callout from %s is refused: %d", from, status)
		return false
	}
	grpcCallouts[token] = &grpcCallout{callout: callout{from, context}}
	return true
}

// Sends two messages, the second when the first has been answered.
func grpcStream(from string, context uint32, message string) bool {
	var token uint32
	method := "Chat"
	status := proxyGrpcStream(pointer(grpcUpstream), uint32(len(grpcUpstream)),
		pointer(grpcService), uint32(len(grpcService)), pointer(method), uint32(len(method)),
		nil, 0, unsafe.Pointer(&token))
	if status != 0 {
		logf("a gRPC stream from %s is refused: %d", from, status)
		return false
	}
	grpcCallouts[token] = &grpcCallout{callout: callout{from, context}, stream: true}
	proxyGrpcSend(token, pointer(message), uint32(len(message)), 0)
	return true
}

func grpcStatus() (uint32, string) {
	var code, address, size uint32
	proxyGetStatus(unsafe.Pointer(&code), unsafe.Pointer(&address), unsafe.Pointer(&size))
	if size == 0 {
		return code, ""
	}
	return code, take(address, size)
}

func grpcOver(token uint32, status uint32, message string) {
	known := grpcCallouts[token]
	delete(grpcCallouts, token)
	logf("gRPC callout from %s: %d '%s' '%s'", known.from, status, message,
		strings.Join(known.received, ","))
	if known.context != 0 {
		proxySetEffectiveContext(known.context)
		proxyContinueStream(0)
	}
}

//go:wasmexport proxy_on_grpc_receive_initial_metadata
func onGrpcReceiveInitialMetadata(root, token, count uint32) {}

//go:wasmexport proxy_on_grpc_receive
func onGrpcReceive(root, token, size uint32) {
	known, found := grpcCallouts[token]
	if !found {
		panic("nobody made this gRPC callout")
	}
	message := ""
	if size > 0 {
		var address, got uint32
		proxyGetBufferBytes(grpcReceiveBuffer, 0, size,
			unsafe.Pointer(&address), unsafe.Pointer(&got))
		message = take(address, got)
	}
	known.received = append(known.received, message)
	if !known.stream {
		grpcOver(token, 0, "")
	} else if len(known.received) == 1 {
		proxyGrpcSend(token, pointer(message), uint32(len(message)), 1)
	}
}

//go:wasmexport proxy_on_grpc_receive_trailing_metadata
func onGrpcReceiveTrailingMetadata(root, token, count uint32) {}

//go:wasmexport proxy_on_grpc_close
func onGrpcClose(root, token, status uint32) {
	code, message := grpcStatus()
	if code != status {
		panic("two statuses")
	}
	grpcOver(token, status, message)
}
