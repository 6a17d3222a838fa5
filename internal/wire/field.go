package wire

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// A field is one protobuf field of a message: a varint or fixed64 in u, or
// length-delimited bytes in b.
type field struct {
	num protowire.Number
	typ protowire.Type
	u   uint64
	b   []byte
}

// fields calls f for each field of a protobuf message. Fields that f does not
// know it leaves alone, so that clients of two versions can stand in one
// chain.
func fields(b []byte, f func(field) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		x := field{num: num, typ: typ}
		switch typ {
		case protowire.VarintType:
			x.u, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			x.u, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			x.b, n = protowire.ConsumeBytes(b)
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

func (x field) want(t protowire.Type) error {
	if x.typ != t {
		return fmt.Errorf("has wire type %d, want %d", x.typ, t)
	}
	return nil
}

func (x field) uint(to *uint64) error {
	*to = x.u
	return x.want(protowire.VarintType)
}

func (x field) bool(to *bool) error {
	*to = x.u != 0
	return x.want(protowire.VarintType)
}

func (x field) fixed(to *uint64) error {
	*to = x.u
	return x.want(protowire.Fixed64Type)
}

func (x field) bytes(to *[]byte) error {
	*to = x.b
	return x.want(protowire.BytesType)
}

func (x field) text(to *string) error {
	*to = string(x.b)
	return x.want(protowire.BytesType)
}

// exact copies the field into an array of just its size.
func (x field) exact(to []byte) error {
	if copy(to, x.b) != len(to) || len(x.b) != len(to) {
		return fmt.Errorf("has %d bytes, want %d", len(x.b), len(to))
	}
	return x.want(protowire.BytesType)
}

// A zero value is not written, as in proto3.

func putUint(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

func putBool(b []byte, num protowire.Number, v bool) []byte {
	return putUint(b, num, protowire.EncodeBool(v))
}

func putFixed(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendFixed64(protowire.AppendTag(b, num, protowire.Fixed64Type), v)
}

func putBytes(b []byte, num protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

func putText(b []byte, num protowire.Number, v string) []byte {
	if v == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), v)
}
