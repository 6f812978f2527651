package dockerconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// object is a JSON object that keeps the order of its members and the text of their keys and values.
type object []member

type member struct {
	key    string
	rawKey json.RawMessage // the key as it is in the file
	value  json.RawMessage // nil if the value is object
	object object          // the value, if it is an object that the helper edits
}

// checkSyntax returns an error with the line and the column if b is not valid JSON.
func checkSyntax(b []byte) error {
	var raw json.RawMessage
	err := json.Unmarshal(b, &raw)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		// The last byte that was read is the invalid one.
		before := b[:max(0, min(int(syntax.Offset), len(b))-1)]
		line := bytes.Count(before, []byte("\n")) + 1
		column := len(before) - bytes.LastIndexByte(before, '\n')
		return fmt.Errorf("it is not JSON: line %d, column %d: %w", line, column, err)
	}
	return err
}

// parse parses valid JSON into o. An empty text and null become an empty object. Any other value that
// is not an object is an error.
func (o *object) parse(b []byte) error {
	*o = nil
	if len(b) == 0 || string(b) == "null" {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("it is not a JSON object")
	}
	for d.More() {
		before := d.InputOffset()
		key, err := d.Token()
		if err != nil {
			return err
		}
		rawKey := bytes.TrimLeft(b[before:d.InputOffset()], ", \t\r\n")
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		// Token returns an error for a key that is not a string.
		*o = append(*o, member{key: key.(string), rawKey: rawKey, value: value})
	}
	return nil
}

// isField reports whether encoding/json decodes the member into the field of this name. Docker and
// Podman read their files with encoding/json, which ignores the case of keys and decodes all members
// that match into the same field.
func (m member) isField(name string) bool { return strings.EqualFold(m.key, name) }

// text returns the value as a string, or "" if it is not a string.
func (m member) text() (s string) {
	_ = json.Unmarshal(m.value, &s)
	return s
}

// set returns o with the value of key replaced in place, or with a new member at the end. If the key
// occurs several times, it replaces the last value, because that is the one that Docker uses.
func (o object) set(key string, value json.RawMessage) object {
	for i, m := range slices.Backward(o) {
		if m.key == key {
			o[i].value = value
			return o
		}
	}
	return append(o, member{key: key, rawKey: quote(key), value: value})
}

// bytes returns the object as JSON.
func (o object) bytes() json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(m.rawKey)
		b.WriteByte(':')
		if m.value == nil {
			m.value = m.object.bytes()
		}
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// quote returns a string as JSON. It does not escape the HTML characters <, > and &.
func quote(s string) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // encoding a string does not fail
	}
	return bytes.TrimSpace(b.Bytes())
}
