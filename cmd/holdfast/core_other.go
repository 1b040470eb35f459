//go:build !unix

package main

// noCore: there is nothing to say here.
func noCore() {}
