package admission

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func TestBodiesTogetherAndOfOneAddressAreBounded(t *testing.T) {
	b := NewBodies(1<<20, 512<<10)
	read := func(address string, size int) (*Body, error) {
		body := b.Of(io.NopCloser(bytes.NewReader(make([]byte, size))), address)
		_, err := io.Copy(io.Discard, body)
		return body, err
	}
	full := func(err error) bool {
		var r *Refusal
		return errors.As(err, &r) && r.Reason == Full
	}
	const large = 256<<10 + freeBody // counts for 256 KiB
	var held []*Body
	for _, address := range []string{"192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1", "192.0.2.2:1"} {
		body, err := read(address, large)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, body)
	}
	for _, address := range []string{"192.0.2.1:3", "192.0.2.3:1"} {
		body, err := read(address, large)
		if !full(err) {
			t.Errorf("%s: %v", address, err)
		}
		body.Release()
		if body, err = read(address, freeBody); err != nil {
			t.Errorf("%s, a small one: %v", address, err)
		}
		body.Release()
	}
	held[2].Release()
	held[2].Release() // twice is once
	if body, err := read("192.0.2.1:3", large); !full(err) {
		t.Errorf("of one address: %v", err)
	} else {
		body.Release()
	}
	body, err := read("192.0.2.3:1", large)
	if err != nil {
		t.Errorf("of another address: %v", err)
	}
	body.Release()
	for _, x := range held {
		x.Release()
	}
	if n := b.held.Load(); n != 0 {
		t.Errorf("%d bytes stay counted", n)
	}
}
