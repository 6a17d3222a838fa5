package plan

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"catenary/internal/expr"
	"catenary/internal/field"
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
	b = field.AppendText(b, fieldText, p.Text)
	for _, c := range p.Columns {
		part := field.AppendUint(nil, fieldColumnHash, uint64(c.SensorHash))
		part = field.AppendText(part, fieldColumnName, c.Name)
		part = field.AppendUint(part, fieldColumnType, uint64(c.Type))
		part = field.AppendUint(part, fieldColumnUse, uint64(c.Use-ofComputerID))
		part = field.AppendUint(part, fieldColumnField, uint64(c.Field))
		b = field.AppendPart(b, fieldColumn, part)
	}
	for _, u := range p.Sensors {
		part := field.AppendText(nil, fieldUseName, u.Name)
		for _, param := range u.Params {
			part = field.AppendPart(part, fieldUseParam, []byte(param))
		}
		part = field.AppendUint(part, fieldUseMaxAge, uint64(u.MaxAge))
		part = field.AppendText(part, fieldUseDefinition, string(u.Definition))
		part = field.AppendUint(part, fieldUseWidth, uint64(u.Width))
		part = field.AppendUint(part, fieldUseKeepDuplicates, protowire.EncodeBool(u.KeepDuplicates))
		b = field.AppendPart(b, fieldSensor, part)
	}
	b = field.AppendText(b, fieldWhere, string(expr.Append(nil, p.Where)))
	return field.AppendUint(b, fieldComputerID, protowire.EncodeBool(p.ComputerID))
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
	err = field.Each(b, func(f field.Field) error {
		switch f.Num {
		case fieldText:
			p.Text = string(f.B)
		case fieldColumn:
			c, err := decodeColumn(f.B)
			if p.Columns = append(p.Columns, c); len(p.Columns) > columnsMax {
				return fmt.Errorf("a plan has more than %d columns", columnsMax)
			}
			return err
		case fieldSensor:
			u, err := decodeUse(f.B)
			if p.Sensors = append(p.Sensors, u); len(p.Sensors) > SensorsMax {
				return fmt.Errorf("a plan has more than %d sensors", SensorsMax)
			}
			return err
		case fieldWhere:
			where, err := expr.Decode(f.B)
			p.Where = where
			return err
		case fieldComputerID:
			p.ComputerID = f.N != 0
		}
		return nil
	})
	return p, err
}

func decodeColumn(b []byte) (c Column, err error) {
	c.Use = ofComputerID
	err = field.Each(b, func(f field.Field) error {
		if f.N > math.MaxUint32 {
			return errNotCanonical // no number of a column is greater than a hash
		}
		switch f.Num {
		case fieldColumnHash:
			c.SensorHash = uint32(f.N)
		case fieldColumnName:
			c.Name = string(f.B)
		case fieldColumnType:
			c.Type = value.Type(min(f.N, math.MaxUint8)) // 255 is no type: Check refuses it
		case fieldColumnUse:
			c.Use = ofComputerID + int(f.N)
		case fieldColumnField:
			c.Field = int(f.N)
		}
		return nil
	})
	return c, err
}

func decodeUse(b []byte) (u Use, err error) {
	err = field.Each(b, func(f field.Field) error {
		switch f.Num {
		case fieldUseName:
			u.Name = string(f.B)
		case fieldUseParam:
			u.Params = append(u.Params, string(f.B))
		case fieldUseMaxAge:
			u.MaxAge = time.Duration(f.N)
		case fieldUseDefinition:
			u.Definition = bytes.Clone(f.B)
		case fieldUseWidth:
			u.Width = int(min(f.N, math.MaxInt32))
		case fieldUseKeepDuplicates:
			u.KeepDuplicates = f.N != 0
		}
		return nil
	})
	return u, err
}
