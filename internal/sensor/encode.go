package sensor

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"catenary/internal/value"
)

// BytesMax bounds an encoded sensor: scripts are programs of some hundred
// lines for each platform, and the definition must fit in a question's frame.
const BytesMax = 512 << 10

// Field numbers of an encoded sensor and of its parts. A signature covers the
// encoding, so they never change their meaning.
const (
	fieldName, fieldDescription, fieldCategory, fieldParameter, fieldColumn, fieldMaxAge = 1, 2, 3, 4, 5, 6
	fieldPlatform, fieldScript, fieldDelimiter, fieldKeepDuplicates, fieldIgnoreCase     = 7, 8, 9, 10, 11

	fieldParameterKey, fieldParameterLabel, fieldParameterHelp, fieldParameterDefault = 1, 2, 3, 4

	fieldColumnName, fieldColumnType = 1, 2

	fieldScriptPlatform, fieldScriptLanguage, fieldScriptSource = 1, 2, 3
)

// Append appends s's one encoding to b: the bytes that the server signs and
// clients compute from.
func (s Sensor) Append(b []byte) []byte {
	b = appendText(b, fieldName, s.Name)
	b = appendText(b, fieldDescription, s.Description)
	b = appendText(b, fieldCategory, s.Category)
	for _, p := range s.Parameters {
		part := appendText(nil, fieldParameterKey, p.Key)
		part = appendText(part, fieldParameterLabel, p.Label)
		part = appendText(part, fieldParameterHelp, p.Help)
		part = appendText(part, fieldParameterDefault, p.Default)
		b = appendPart(b, fieldParameter, part)
	}
	for _, c := range s.Columns {
		part := appendText(nil, fieldColumnName, c.Name)
		part = appendNumber(part, fieldColumnType, uint64(c.Type))
		b = appendPart(b, fieldColumn, part)
	}
	b = appendNumber(b, fieldMaxAge, uint64(s.MaxAge))
	for _, p := range s.Platforms {
		b = appendPart(b, fieldPlatform, []byte(p))
	}
	for _, script := range s.Scripts {
		part := appendText(nil, fieldScriptPlatform, string(script.Platform))
		part = appendText(part, fieldScriptLanguage, string(script.Language))
		part = appendText(part, fieldScriptSource, script.Source)
		b = appendPart(b, fieldScript, part)
	}
	b = appendText(b, fieldDelimiter, s.Delimiter)
	b = appendNumber(b, fieldKeepDuplicates, protowire.EncodeBool(s.KeepDuplicates))
	return appendNumber(b, fieldIgnoreCase, protowire.EncodeBool(s.IgnoreCase))
}

// appendPart writes one element of a list, also an empty one.
func appendPart(b []byte, num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

// appendText and appendNumber leave out what an absent field means.
func appendText(b []byte, num protowire.Number, v string) []byte {
	if v == "" {
		return b
	}
	return appendPart(b, num, []byte(v))
}

func appendNumber(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

var errNotCanonical = errors.New("a sensor is not in its one encoding")

// Decode reads what [Sensor.Append] wrote for a sensor that passes
// [Sensor.Check], and nothing else.
func Decode(b []byte) (Sensor, error) {
	if len(b) > BytesMax {
		return Sensor{}, fmt.Errorf("a sensor of %d bytes is longer than %d", len(b), BytesMax)
	}
	s, err := decode(b)
	if err != nil {
		return Sensor{}, err
	}
	if err := s.Check(); err != nil {
		return Sensor{}, fmt.Errorf("sensor %q: %w", s.Name, err)
	}
	if !bytes.Equal(s.Append(nil), b) {
		return Sensor{}, errNotCanonical
	}
	return s, nil
}

func decode(b []byte) (s Sensor, err error) {
	err = fields(b, func(num protowire.Number, n uint64, v []byte) error {
		switch num {
		case fieldName:
			s.Name = string(v)
		case fieldDescription:
			s.Description = string(v)
		case fieldCategory:
			s.Category = string(v)
		case fieldParameter:
			p, err := decodeParameter(v)
			s.Parameters = append(s.Parameters, p)
			return err
		case fieldColumn:
			c, err := decodeColumn(v)
			s.Columns = append(s.Columns, c)
			return err
		case fieldMaxAge:
			s.MaxAge = time.Duration(n)
		case fieldPlatform:
			s.Platforms = append(s.Platforms, Platform(v))
		case fieldScript:
			script, err := decodeScript(v)
			s.Scripts = append(s.Scripts, script)
			return err
		case fieldDelimiter:
			s.Delimiter = string(v)
		case fieldKeepDuplicates:
			s.KeepDuplicates = n != 0
		case fieldIgnoreCase:
			s.IgnoreCase = n != 0
		}
		return nil
	})
	return s, err
}

func decodeParameter(b []byte) (p Parameter, err error) {
	err = fields(b, func(num protowire.Number, _ uint64, v []byte) error {
		switch num {
		case fieldParameterKey:
			p.Key = string(v)
		case fieldParameterLabel:
			p.Label = string(v)
		case fieldParameterHelp:
			p.Help = string(v)
		case fieldParameterDefault:
			p.Default = string(v)
		}
		return nil
	})
	return p, err
}

func decodeColumn(b []byte) (c Column, err error) {
	err = fields(b, func(num protowire.Number, n uint64, v []byte) error {
		switch num {
		case fieldColumnName:
			c.Name = string(v)
		case fieldColumnType:
			c.Type = value.Type(min(n, 255)) // 255 is no type: Check refuses it
		}
		return nil
	})
	return c, err
}

func decodeScript(b []byte) (s Script, err error) {
	err = fields(b, func(num protowire.Number, _ uint64, v []byte) error {
		switch num {
		case fieldScriptPlatform:
			s.Platform = Platform(v)
		case fieldScriptLanguage:
			s.Language = Language(v)
		case fieldScriptSource:
			s.Source = string(v)
		}
		return nil
	})
	return s, err
}

// fields calls each with every field of an encoded message: its number, and
// its value as a number or as bytes.
func fields(b []byte, each func(num protowire.Number, n uint64, v []byte) error) error {
	for len(b) > 0 {
		num, typ, size := protowire.ConsumeTag(b)
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		var n uint64
		var v []byte
		switch typ {
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			v, size = protowire.ConsumeBytes(b)
		default:
			return errNotCanonical
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		if err := each(num, n, v); err != nil {
			return err
		}
	}
	return nil
}
