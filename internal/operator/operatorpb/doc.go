// Package operatorpb is the generated form of operator.proto.
//
// Invariant: field numbers are never reused or given another meaning.
package operatorpb

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative operator.proto
