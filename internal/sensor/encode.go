package sensor

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"catenary/internal/answer"
	"catenary/internal/field"
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
	fieldMode                                                                            = 12

	fieldParameterKey, fieldParameterLabel, fieldParameterHelp, fieldParameterDefault = 1, 2, 3, 4

	fieldColumnName, fieldColumnType = 1, 2

	fieldScriptPlatform, fieldScriptLanguage, fieldScriptSource = 1, 2, 3
)

// Append appends s's one encoding to b: the bytes that the server signs and
// clients compute from.
func (s Sensor) Append(b []byte) []byte {
	b = field.AppendText(b, fieldName, s.Name)
	b = field.AppendText(b, fieldDescription, s.Description)
	b = field.AppendText(b, fieldCategory, s.Category)
	for _, p := range s.Parameters {
		part := field.AppendText(nil, fieldParameterKey, p.Key)
		part = field.AppendText(part, fieldParameterLabel, p.Label)
		part = field.AppendText(part, fieldParameterHelp, p.Help)
		part = field.AppendText(part, fieldParameterDefault, p.Default)
		b = field.AppendPart(b, fieldParameter, part)
	}
	for _, c := range s.Columns {
		part := field.AppendText(nil, fieldColumnName, c.Name)
		part = field.AppendUint(part, fieldColumnType, uint64(c.Type))
		b = field.AppendPart(b, fieldColumn, part)
	}
	b = field.AppendUint(b, fieldMaxAge, uint64(s.MaxAge))
	for _, p := range s.Platforms {
		b = field.AppendPart(b, fieldPlatform, []byte(p))
	}
	for _, script := range s.Scripts {
		part := field.AppendText(nil, fieldScriptPlatform, string(script.Platform))
		part = field.AppendText(part, fieldScriptLanguage, string(script.Language))
		part = field.AppendText(part, fieldScriptSource, script.Source)
		b = field.AppendPart(b, fieldScript, part)
	}
	b = field.AppendText(b, fieldDelimiter, s.Delimiter)
	b = field.AppendUint(b, fieldKeepDuplicates, protowire.EncodeBool(s.KeepDuplicates))
	b = field.AppendUint(b, fieldIgnoreCase, protowire.EncodeBool(s.IgnoreCase))
	return field.AppendUint(b, fieldMode, uint64(s.Mode))
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
	err = field.Each(b, func(f field.Field) error {
		switch f.Num {
		case fieldName:
			s.Name = string(f.B)
		case fieldDescription:
			s.Description = string(f.B)
		case fieldCategory:
			s.Category = string(f.B)
		case fieldParameter:
			p, err := decodeParameter(f.B)
			s.Parameters = append(s.Parameters, p)
			return err
		case fieldColumn:
			c, err := decodeColumn(f.B)
			s.Columns = append(s.Columns, c)
			return err
		case fieldMaxAge:
			s.MaxAge = time.Duration(f.N)
		case fieldPlatform:
			s.Platforms = append(s.Platforms, Platform(f.B))
		case fieldScript:
			script, err := decodeScript(f.B)
			s.Scripts = append(s.Scripts, script)
			return err
		case fieldDelimiter:
			s.Delimiter = string(f.B)
		case fieldKeepDuplicates:
			s.KeepDuplicates = f.N != 0
		case fieldIgnoreCase:
			s.IgnoreCase = f.N != 0
		case fieldMode:
			s.Mode = answer.Mode(min(f.N, 255)) // 255 is no mode: Check refuses it
		}
		return nil
	})
	return s, err
}

func decodeParameter(b []byte) (p Parameter, err error) {
	err = field.Each(b, func(f field.Field) error {
		switch f.Num {
		case fieldParameterKey:
			p.Key = string(f.B)
		case fieldParameterLabel:
			p.Label = string(f.B)
		case fieldParameterHelp:
			p.Help = string(f.B)
		case fieldParameterDefault:
			p.Default = string(f.B)
		}
		return nil
	})
	return p, err
}

func decodeColumn(b []byte) (c Column, err error) {
	err = field.Each(b, func(f field.Field) error {
		switch f.Num {
		case fieldColumnName:
			c.Name = string(f.B)
		case fieldColumnType:
			c.Type = value.Type(min(f.N, 255)) // 255 is no type: Check refuses it
		}
		return nil
	})
	return c, err
}

func decodeScript(b []byte) (s Script, err error) {
	err = field.Each(b, func(f field.Field) error {
		switch f.Num {
		case fieldScriptPlatform:
			s.Platform = Platform(f.B)
		case fieldScriptLanguage:
			s.Language = Language(f.B)
		case fieldScriptSource:
			s.Source = string(f.B)
		}
		return nil
	})
	return s, err
}
