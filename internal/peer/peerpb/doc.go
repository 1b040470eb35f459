// Package peerpb is the generated form of peer.proto.
//
// Invariant: field numbers are never reused or given another meaning.
package peerpb

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative peer.proto
