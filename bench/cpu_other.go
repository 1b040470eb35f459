//go:build !unix

package main

import "time"

// spent is the time of day where CPU time cannot be asked for.
func spent() time.Duration { return time.Duration(time.Now().UnixNano()) }
