package wire

import "catenary/internal/field"

// A value is a field that knows what this package's messages consist of.
type value struct{ field.Field }

// fields calls f for each field of a message. Fields that f does not know it
// leaves alone, so that clients of two versions can stand in one chain.
func fields(b []byte, f func(value) error) error {
	return field.Each(b, func(x field.Field) error { return f(value{x}) })
}
