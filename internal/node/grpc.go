package node

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
)

// handshakeTimeout is how long a connection may take until calls can come on it:
// as long as a request's headers. gRPC's own two minutes let a stranger hold one
// for nothing.
const handshakeTimeout = 5 * time.Second

// grpcOptions are what every gRPC server of a node is made with: one call's
// panic is no other's (lesson L39: a library would end the process), handshakes and
// headers have a limit, and a call that takes no stream is in the log.
func grpcOptions(log *slog.Logger, observe func(service, operation, code string, status int, took time.Duration)) []grpc.ServerOption {
	ended := callEnded(log, observe)
	patience := handshakeTimeout
	if failpoint.On(failpoint.WaitsForSlow) {
		patience = 2 * time.Minute
	}
	return []grpc.ServerOption{grpc.MaxHeaderListSize(16 << 10), grpc.ConnectionTimeout(patience),
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (out any, err error) {
			begun := clock()
			defer func() { ended(info.FullMethod, begun, err) }()
			defer caught(log, info.FullMethod, &err)
			return next(ctx, req)
		}),
		grpc.ChainStreamInterceptor(func(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
			begun := clock()
			defer func() { ended(info.FullMethod, begun, err) }()
			defer caught(log, info.FullMethod, &err)
			return next(srv, s)
		})}
}

// callEnded notes how a call that takes no stream has ended.
func callEnded(log *slog.Logger, observe func(service, operation, code string, status int, took time.Duration)) func(method string, begun time.Time, err error) {
	return func(method string, begun time.Time, err error) {
		if observe == nil {
			return
		}
		took := clock().Sub(begun)
		if status.Code(err) != codes.ResourceExhausted { // what is refused because of load is counted alone
			log.Info("call", "method", method, "code", status.Code(err).String(), "took", took)
		}
		observe("holdfast", operationOf(method), codeOf(err), statusOf(err), took)
	}
}

// caught turns a panic into the call's error; its cause goes to the log alone.
func caught(log *slog.Logger, method string, err *error) {
	if p := recover(); p != nil {
		log.Error("panic in a call", "method", method, "panic", p, "stack", string(debug.Stack()))
		*err = status.Error(codes.Internal, "the call could not be answered")
	}
}

// codeOf is a call's outcome as a metric's label.
func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return status.Code(err).String()
}

// statusOf is the HTTP status that says as much as a call's outcome.
func statusOf(err error) int {
	switch status.Code(err) {
	case codes.OK:
		return http.StatusOK
	case codes.Unavailable, codes.Internal, codes.Unknown, codes.DataLoss, codes.Unimplemented:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// operationOf is the last part of a method's full name: one of ours, since
// unknown methods reach no interceptor.
func operationOf(method string) string {
	for i := len(method) - 1; i >= 0; i-- {
		if method[i] == '/' {
			return method[i+1:]
		}
	}
	return method
}
