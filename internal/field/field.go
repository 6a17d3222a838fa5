// Package field is the fields of a protobuf message: read one by one with their
// wire types checked, and written in the order of the caller's choice. It is
// the low level below every encoding of ours; what the fields mean, and how
// large they may be, their owners know.
package field

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// A Number is a field's number in its message.
type Number = protowire.Number

// A Field is one field: a varint or fixed64 in N, or length-delimited bytes,
// which share the message's memory, in B.
type Field struct {
	Num  Number
	Type protowire.Type
	N    uint64
	B    []byte
}

// Each calls f for each field of a message. A field of another wire type than
// those of [Field] is passed with its number alone.
func Each(b []byte, f func(Field) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		x := Field{Num: num, Type: typ}
		switch typ {
		case protowire.VarintType:
			x.N, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			x.N, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			x.B, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return fmt.Errorf("field %d: %w", num, protowire.ParseError(n))
		}
		b = b[n:]
		if err := f(x); err != nil {
			return fmt.Errorf("field %d: %w", num, err)
		}
	}
	return nil
}

// Want is an error unless the field has the wire type t.
func (x Field) Want(t protowire.Type) error {
	if x.Type != t {
		return fmt.Errorf("has wire type %d, want %d", x.Type, t)
	}
	return nil
}

// Uint, Bool, Fixed, Bytes and Text store the field's value; it is an error if
// that has another wire type.

func (x Field) Uint(to *uint64) error {
	*to = x.N
	return x.Want(protowire.VarintType)
}

func (x Field) Bool(to *bool) error {
	*to = x.N != 0
	return x.Want(protowire.VarintType)
}

func (x Field) Fixed(to *uint64) error {
	*to = x.N
	return x.Want(protowire.Fixed64Type)
}

func (x Field) Bytes(to *[]byte) error {
	*to = x.B
	return x.Want(protowire.BytesType)
}

func (x Field) Text(to *string) error {
	*to = string(x.B)
	return x.Want(protowire.BytesType)
}

// Exact copies the field into an array of just its size.
func (x Field) Exact(to []byte) error {
	if copy(to, x.B) != len(to) || len(x.B) != len(to) {
		return fmt.Errorf("has %d bytes, want %d", len(x.B), len(to))
	}
	return x.Want(protowire.BytesType)
}

// AppendVarint and ConsumeVarint write and read a number outside any field; a
// count of bytes below 0 is an error.

func AppendVarint(b []byte, v uint64) []byte   { return protowire.AppendVarint(b, v) }
func ConsumeVarint(b []byte) (v uint64, n int) { return protowire.ConsumeVarint(b) }

// AppendPart writes a field even if it is empty: one element of a list.
func AppendPart(b []byte, num Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

// AppendUint and the rest do not write a zero value, as in proto3.

func AppendUint(b []byte, num Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

func AppendBool(b []byte, num Number, v bool) []byte {
	return AppendUint(b, num, protowire.EncodeBool(v))
}

func AppendFixed(b []byte, num Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendFixed64(protowire.AppendTag(b, num, protowire.Fixed64Type), v)
}

func AppendBytes(b []byte, num Number, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	return AppendPart(b, num, v)
}

func AppendText(b []byte, num Number, v string) []byte {
	if v == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), v)
}
