package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
)

// The compact form of a record: its fields in declaration order, numbers as
// varints, strings and lists behind their length. It is smaller than the
// stored JSON, one allocation a record, and decodes an order of magnitude
// faster. It never leaves the node: the disk copy that holds it names the
// build's layout hash, and another layout is rebuilt from the log's bytes.

var errPacked = errors.New("compact form is cut short or malformed")

// pack returns the compact form of the struct that v points to.
func pack(v any) string {
	return string(appendPacked(make([]byte, 0, 512), reflect.ValueOf(v).Elem()))
}

func appendPacked(b []byte, v reflect.Value) []byte {
	switch v.Kind() {
	case reflect.String:
		b = binary.AppendUvarint(b, uint64(v.Len()))
		return append(b, v.String()...)
	case reflect.Bool:
		if v.Bool() {
			return append(b, 1)
		}
		return append(b, 0)
	case reflect.Int, reflect.Int64, reflect.Int32:
		return binary.AppendVarint(b, v.Int())
	case reflect.Uint8, reflect.Uint64, reflect.Uint32:
		return binary.AppendUvarint(b, v.Uint())
	case reflect.Slice:
		b = binary.AppendUvarint(b, uint64(v.Len()))
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return append(b, v.Bytes()...)
		}
		for i := range v.Len() {
			b = appendPacked(b, v.Index(i))
		}
		return b
	case reflect.Struct:
		for i := range v.NumField() {
			b = appendPacked(b, v.Field(i))
		}
		return b
	}
	panic(fmt.Sprintf("record: a %s cannot be packed", v.Type())) // found by TestEveryKindPacks
}

// unpack fills the struct that v points to, every field of it. Strings share
// memory with s; lists of an earlier use are filled again.
func unpack(s string, v any) error {
	rest, err := unpackValue(s, reflect.ValueOf(v).Elem())
	if err == nil && rest != "" {
		err = errPacked
	}
	return err
}

func unpackValue(s string, v reflect.Value) (string, error) {
	switch v.Kind() {
	case reflect.String:
		text, rest, err := cutText(s)
		v.SetString(text)
		return rest, err
	case reflect.Bool:
		if s == "" || s[0] > 1 {
			return "", errPacked
		}
		v.SetBool(s[0] == 1)
		return s[1:], nil
	case reflect.Int, reflect.Int64, reflect.Int32:
		u, rest, err := cutUvarint(s)
		v.SetInt(int64(u>>1) ^ -int64(u&1))
		return rest, err
	case reflect.Uint8, reflect.Uint64, reflect.Uint32:
		u, rest, err := cutUvarint(s)
		v.SetUint(u)
		return rest, err
	case reflect.Slice:
		return unpackSlice(s, v)
	case reflect.Struct:
		var err error
		for i := range v.NumField() {
			if s, err = unpackValue(s, v.Field(i)); err != nil {
				return "", err
			}
		}
		return s, nil
	}
	return "", errPacked
}

func unpackSlice(s string, v reflect.Value) (string, error) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		text, rest, err := cutText(s)
		v.SetBytes(append(v.Bytes()[:0], text...))
		return rest, err
	}
	n, s, err := cutUvarint(s)
	if err != nil || n > uint64(len(s)) { // every element takes a byte or more
		return "", errPacked
	}
	if int(n) > v.Cap() {
		v.Set(reflect.MakeSlice(v.Type(), int(n), int(n)))
	}
	v.SetLen(int(n))
	for i := range int(n) {
		if s, err = unpackValue(s, v.Index(i)); err != nil {
			return "", err
		}
	}
	return s, nil
}

func cutText(s string) (text, rest string, err error) {
	n, s, err := cutUvarint(s)
	if err != nil || n > uint64(len(s)) {
		return "", "", errPacked
	}
	return s[:n], s[n:], nil
}

func cutUvarint(s string) (uint64, string, error) {
	var x uint64
	for i := 0; i < len(s) && i < binary.MaxVarintLen64; i++ {
		x |= uint64(s[i]&0x7f) << (7 * i)
		if s[i] < 0x80 {
			return x, s[i+1:], nil
		}
	}
	return 0, "", errPacked
}
