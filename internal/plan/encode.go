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
	fieldVersion, fieldRights, fieldKeep, fieldPart                  = 6, 7, 8, 9

	fieldColumnHash, fieldColumnName, fieldColumnType = 1, 2, 3
	fieldColumnUse, fieldColumnField                  = 4, 5 // the use plus one
	fieldColumnKeep, fieldColumnPart                  = 6, 7

	fieldUseName, fieldUseParam, fieldUseMaxAge               = 1, 2, 3
	fieldUseDefinition, fieldUseWidth, fieldUseKeepDuplicates = 4, 5, 6

	fieldPartDelimiter, fieldPartIndex, fieldPartStart, fieldPartLength = 1, 2, 3, 4
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
		part = field.AppendUint(part, fieldColumnKeep, uint64(c.Keep))
		part = field.AppendUint(part, fieldColumnPart, uint64(c.Part))
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
	b = field.AppendUint(b, fieldComputerID, protowire.EncodeBool(p.ComputerID))
	b = field.AppendUint(b, fieldVersion, p.version())
	b = field.AppendText(b, fieldRights, string(expr.Append(nil, p.Rights)))
	for _, c := range p.Keeps {
		b = field.AppendPart(b, fieldKeep, expr.Append(nil, c))
	}
	for _, x := range p.Parts {
		part := field.AppendText(nil, fieldPartDelimiter, x.Delimiter)
		part = field.AppendUint(part, fieldPartIndex, uint64(x.Index))
		part = field.AppendUint(part, fieldPartStart, uint64(x.Start))
		part = field.AppendUint(part, fieldPartLength, uint64(x.Length))
		b = field.AppendPart(b, fieldPart, part)
	}
	return b
}

var errNotCanonical = errors.New("a plan is not in its one encoding")

// Decode reads what [Plan.Append] wrote for a plan that passes [Plan.Check], and
// nothing else.
func Decode(b []byte) (Plan, error) {
	if len(b) > BytesMax {
		return Plan{}, fmt.Errorf("a plan of %d bytes is longer than %d", len(b), BytesMax)
	}
	if err := checkVersion(b); err != nil {
		return Plan{}, err
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

// checkVersion looks for the version of a plan before anything else of it, which
// a newer one may have in other forms.
func checkVersion(b []byte) error {
	version := uint64(0)
	err := field.Each(b, func(f field.Field) error {
		if f.Num == fieldVersion {
			version = f.N
		}
		return nil
	})
	if err == nil && version > Version {
		err = fmt.Errorf("its plan has version %d, and plans up to version %d are known", version, Version)
	}
	return err
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
		case fieldRights:
			rights, err := expr.Decode(f.B)
			p.Rights = rights
			return err
		case fieldKeep:
			keep, err := expr.Decode(f.B)
			if p.Keeps = append(p.Keeps, keep); len(p.Keeps) > conditionsMax {
				return fmt.Errorf("a plan has more than %d conditions on rows", conditionsMax)
			}
			return err
		case fieldPart:
			part, err := decodePart(f.B)
			if p.Parts = append(p.Parts, part); len(p.Parts) > conditionsMax {
				return fmt.Errorf("a plan has more than %d parts of texts", conditionsMax)
			}
			return err
		}
		return nil
	})
	return p, err
}

func decodePart(b []byte) (p value.Part, err error) {
	err = field.Each(b, func(f field.Field) error {
		n := int(min(f.N, math.MaxInt32)) // none so large: Check refuses it
		switch f.Num {
		case fieldPartDelimiter:
			p.Delimiter = string(f.B)
		case fieldPartIndex:
			p.Index = n
		case fieldPartStart:
			p.Start = n
		case fieldPartLength:
			p.Length = n
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
		case fieldColumnKeep:
			c.Keep = int(f.N)
		case fieldColumnPart:
			c.Part = int(f.N)
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
