// Package nativepb is the generated form of decide.proto.
//
// Invariant: field numbers are never reused or given another meaning.
package nativepb

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative decide.proto
