// Package literal is a second evaluator of AWS policies, written from AWS's prose alone and in its order, for tests to
// compare with the compiled evaluator of package policy. The invariant it keeps: every step is one sentence of the IAM
// User Guide (or a choice that a comment here names), nothing is compiled, cached or skipped, and nothing is shared
// with the evaluator that it judges.
package literal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// member is one name and value of a JSON object, kept in the order of the text.
type member struct {
	name  string
	value any
}

// object is a JSON object in the order of its text; a name occurs once.
type object []member

func (o object) get(name string) (any, bool) {
	for _, m := range o {
		if m.name == name {
			return m.value, true
		}
	}
	return nil, false
}

// decodeOrdered reads one JSON value: object, []any, string, json.Number, bool or nil.
func decodeOrdered(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	value, err := decodeValue(decoder)
	if err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("text after the value")
	}
	return value, nil
}

func decodeValue(decoder *json.Decoder) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		return decodeObject(decoder)
	case json.Delim('['):
		return decodeArray(decoder)
	}
	return token, nil
}

func decodeObject(decoder *json.Decoder) (any, error) {
	members := object{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string)
		if _, twice := members.get(name); twice {
			return nil, fmt.Errorf("%q occurs twice", name)
		}
		value, err := decodeValue(decoder)
		if err != nil {
			return nil, err
		}
		members = append(members, member{name, value})
	}
	_, err := decoder.Token()
	return members, err
}

func decodeArray(decoder *json.Decoder) (any, error) {
	values := []any{}
	for decoder.More() {
		value, err := decodeValue(decoder)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	_, err := decoder.Token()
	return values, err
}

// oneOrMany reads AWS's "a string or a list of strings". Numbers and booleans stand for their text, as AWS's grammar
// allows for condition values.
func oneOrMany(value any) ([]string, error) {
	list, many := value.([]any)
	if !many {
		list = []any{value}
	}
	texts := make([]string, 0, len(list))
	for _, item := range list {
		switch scalar := item.(type) {
		case string:
			texts = append(texts, scalar)
		case json.Number:
			texts = append(texts, scalar.String())
		case bool:
			texts = append(texts, fmt.Sprint(scalar))
		default:
			return nil, fmt.Errorf("want a string or a list of strings, found %T", item)
		}
	}
	return texts, nil
}
