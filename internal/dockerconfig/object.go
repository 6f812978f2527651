package dockerconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// object is a JSON object as it was written: its members in their order, their values untouched.
type object []member

type member struct {
	key   string
	name  json.RawMessage // the key as it was written
	value json.RawMessage // nil says that it is inner
	inner object          // the value, where it is an object that this program edits
}

// check says where b stops being JSON.
func check(b []byte) error {
	var raw json.RawMessage
	err := json.Unmarshal(b, &raw)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		before := b[:max(0, min(int(syntax.Offset), len(b))-1)] // the last byte that was read is wrong
		line := bytes.Count(before, []byte("\n")) + 1
		column := len(before) - bytes.LastIndexByte(before, '\n')
		return fmt.Errorf("it is not JSON: line %d, column %d: %w", line, column, err)
	}
	return err
}

// parse reads an object out of JSON that check has passed; nothing at all, and null, is an empty one.
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
		name := bytes.TrimLeft(b[before:d.InputOffset()], ", \t\r\n")
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		// An object's keys are strings, or Token fails.
		*o = append(*o, member{key: key.(string), name: name, value: value})
	}
	return nil
}

// has says whether encoding/json, with which Docker and podman read their files, takes a member for
// the field of this name: it does in any case, and reads all such members into the one field.
func (m member) has(name string) bool { return strings.EqualFold(m.key, name) }

// text is the value as a string; "" when it is none.
func (m member) text() (s string) {
	_ = json.Unmarshal(m.value, &s)
	return s
}

// set returns o with the value of key replaced where it stands, or added at the end. Of a key that
// is there twice it replaces the last one, which is the one that counts.
func (o object) set(key string, value json.RawMessage) object {
	for i, m := range slices.Backward(o) {
		if m.key == key {
			o[i].value = value
			return o
		}
	}
	return append(o, member{key: key, name: quote(key), value: value})
}

func (o object) bytes() json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(m.name)
		b.WriteByte(':')
		if m.value == nil {
			m.value = m.inner.bytes()
		}
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// quote writes a string as JSON, without the escapes for HTML that would change how it was written.
func quote(s string) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // a string always encodes
	}
	return bytes.TrimSpace(b.Bytes())
}
