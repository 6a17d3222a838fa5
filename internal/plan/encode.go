package plan

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"catenary/internal/expr"
	"catenary/internal/value"
)

// Field numbers of an encoded plan and of its parts. Plans are signed and cross
// versions, so the numbers never change their meaning.
const (
	fieldText, fieldColumn, fieldSensor, fieldWhere, fieldComputerID = 1, 2, 3, 4, 5

	fieldColumnHash, fieldColumnName, fieldColumnType = 1, 2, 3
	fieldColumnUse, fieldColumnField                  = 4, 5 // the use plus one

	fieldUseName, fieldUseParam, fieldUseMaxAge               = 1, 2, 3
	fieldUseDefinition, fieldUseWidth, fieldUseKeepDuplicates = 4, 5, 6
)

// Append appends p's one encoding to b. Selects are not part of it: they follow
// from the columns.
func (p Plan) Append(b []byte) []byte {
	b = appendText(b, fieldText, p.Text)
	for _, c := range p.Columns {
		part := appendNumber(nil, fieldColumnHash, uint64(c.SensorHash))
		part = appendText(part, fieldColumnName, c.Name)
		part = appendNumber(part, fieldColumnType, uint64(c.Type))
		part = appendNumber(part, fieldColumnUse, uint64(c.Use-ofComputerID))
		part = appendNumber(part, fieldColumnField, uint64(c.Field))
		b = appendPart(b, fieldColumn, part)
	}
	for _, u := range p.Sensors {
		part := appendText(nil, fieldUseName, u.Name)
		for _, param := range u.Params {
			part = appendPart(part, fieldUseParam, []byte(param))
		}
		part = appendNumber(part, fieldUseMaxAge, uint64(u.MaxAge))
		part = appendText(part, fieldUseDefinition, string(u.Definition))
		part = appendNumber(part, fieldUseWidth, uint64(u.Width))
		part = appendNumber(part, fieldUseKeepDuplicates, protowire.EncodeBool(u.KeepDuplicates))
		b = appendPart(b, fieldSensor, part)
	}
	b = appendText(b, fieldWhere, string(expr.Append(nil, p.Where)))
	return appendNumber(b, fieldComputerID, protowire.EncodeBool(p.ComputerID))
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

var errNotCanonical = errors.New("a plan is not in its one encoding")

// Decode reads what [Plan.Append] wrote for a plan that passes [Plan.Check], and
// nothing else.
func Decode(b []byte) (Plan, error) {
	if len(b) > BytesMax {
		return Plan{}, fmt.Errorf("a plan of %d bytes is longer than %d", len(b), BytesMax)
	}
	p, err := decode(b)
	if err != nil {
		return Plan{}, err
	}
	p.Selects = shown(p.Columns)
	if err := p.Check(); err != nil {
		return Plan{}, err
	}
	if !bytes.Equal(p.Append(nil), b) {
		return Plan{}, errNotCanonical
	}
	return p, nil
}

func decode(b []byte) (p Plan, err error) {
	err = fields(b, func(num protowire.Number, n uint64, v []byte) error {
		switch num {
		case fieldText:
			p.Text = string(v)
		case fieldColumn:
			c, err := decodeColumn(v)
			if p.Columns = append(p.Columns, c); len(p.Columns) > columnsMax {
				return fmt.Errorf("a plan has more than %d columns", columnsMax)
			}
			return err
		case fieldSensor:
			u, err := decodeUse(v)
			if p.Sensors = append(p.Sensors, u); len(p.Sensors) > SensorsMax {
				return fmt.Errorf("a plan has more than %d sensors", SensorsMax)
			}
			return err
		case fieldWhere:
			where, err := expr.Decode(v)
			p.Where = where
			return err
		case fieldComputerID:
			p.ComputerID = n != 0
		}
		return nil
	})
	return p, err
}

func decodeColumn(b []byte) (c Column, err error) {
	c.Use = ofComputerID
	err = fields(b, func(num protowire.Number, n uint64, v []byte) error {
		if n > math.MaxUint32 {
			return errNotCanonical // no number of a column is greater than a hash
		}
		switch num {
		case fieldColumnHash:
			c.SensorHash = uint32(n)
		case fieldColumnName:
			c.Name = string(v)
		case fieldColumnType:
			c.Type = value.Type(min(n, math.MaxUint8)) // 255 is no type: Check refuses it
		case fieldColumnUse:
			c.Use = ofComputerID + int(n)
		case fieldColumnField:
			c.Field = int(n)
		}
		return nil
	})
	return c, err
}

func decodeUse(b []byte) (u Use, err error) {
	err = fields(b, func(num protowire.Number, n uint64, v []byte) error {
		switch num {
		case fieldUseName:
			u.Name = string(v)
		case fieldUseParam:
			u.Params = append(u.Params, string(v))
		case fieldUseMaxAge:
			u.MaxAge = time.Duration(n)
		case fieldUseDefinition:
			u.Definition = bytes.Clone(v)
		case fieldUseWidth:
			u.Width = int(min(n, math.MaxInt32))
		case fieldUseKeepDuplicates:
			u.KeepDuplicates = n != 0
		}
		return nil
	})
	return u, err
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
