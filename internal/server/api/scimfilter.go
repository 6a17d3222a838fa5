package api

import (
	"encoding/json"
	"strings"
	"unicode"

	"catenary/internal/fault"
	"catenary/internal/value"
)

const (
	scimFilterMax = 4096 // bytes
	scimTermsMax  = 10   // in a filter
)

// A scimFilter is what identity providers ask for: attributes that equal texts,
// all of them. Other filters are refused.
type scimFilter []scimTerm

type scimTerm struct{ attribute, value string }

// parseSCIMFilter reads terms like userName eq "ann", with "and" between them.
func parseSCIMFilter(text string) (out scimFilter, err error) {
	bad := fault.New(fault.Invalid, `the filter is none that is known here: attribute eq "text", with and between several`)
	if len(text) > scimFilterMax {
		return nil, bad
	}
	for rest := strings.TrimSpace(text); rest != ""; {
		if len(out) > 0 {
			after, ok := cutWord(rest, "and")
			if !ok {
				return nil, bad
			}
			rest = after
		}
		end := strings.IndexFunc(rest, unicode.IsSpace)
		if end < 1 || len(out) == scimTermsMax {
			return nil, bad
		}
		name := rest[:end]
		after, ok := cutWord(strings.TrimSpace(rest[end:]), "eq")
		if !ok {
			return nil, bad
		}
		var v any
		dec := json.NewDecoder(strings.NewReader(after))
		if dec.Decode(&v) != nil {
			return nil, bad
		}
		t := scimTerm{attribute: strings.ToLower(name)}
		switch v := v.(type) {
		case string:
			t.value = v
		case bool:
			t.value = "false"
			if v {
				t.value = "true"
			}
		default:
			return nil, bad
		}
		out = append(out, t)
		rest = strings.TrimSpace(after[dec.InputOffset():])
	}
	return out, nil
}

// cutWord takes a word, in whatever case, and the blanks behind it from a text.
func cutWord(text, word string) (string, bool) {
	if len(text) <= len(word) || !strings.EqualFold(text[:len(word)], word) || !unicode.IsSpace(rune(text[len(word)])) {
		return text, false
	}
	return strings.TrimSpace(text[len(word):]), true
}

// passes reports whether a resource has all that is wanted.
func (f scimFilter) passes(attribute func(name string) (values []string, known bool)) (bool, error) {
	for _, t := range f {
		values, known := attribute(t.attribute)
		if !known {
			return false, fault.New(fault.Invalid, "there is no filter by %.100q here", t.attribute)
		}
		found := false
		for _, v := range values {
			found = found || value.Fold(v) == value.Fold(t.value)
		}
		if !found {
			return false, nil
		}
	}
	return true, nil
}

// A scimOperation is one change of a PATCH.
type scimOperation struct {
	Op    string          `json:"op"` // add, replace, remove, in whatever case
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value"`
}

type scimPatch struct {
	Operations []scimOperation `json:"Operations"`
}

const scimOperationsMax = 10_000 // in a request

// each calls f for each attribute that a PATCH changes. An operation without a
// path changes those that its value names; a removal has no value.
func (p scimPatch) each(f func(op, path string, v json.RawMessage) error) error {
	if len(p.Operations) == 0 || len(p.Operations) > scimOperationsMax {
		return fault.New(fault.Invalid, "a patch has 1 to %d operations", scimOperationsMax)
	}
	for _, o := range p.Operations {
		op := strings.ToLower(o.Op)
		switch {
		case op != "add" && op != "replace" && op != "remove":
			return fault.New(fault.Invalid, "op is add, replace or remove, not %.50q", o.Op)
		case o.Path != "":
			if err := f(op, o.Path, o.Value); err != nil {
				return err
			}
			continue
		case op == "remove":
			return fault.New(fault.Invalid, "a removal has a path")
		}
		var all map[string]json.RawMessage
		if json.Unmarshal(o.Value, &all) != nil {
			return fault.New(fault.Invalid, "an operation without a path has an object as value")
		}
		for path, v := range all {
			if err := f(op, path, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// A scimBool is a bool, also as some spell it: "True".
type scimBool bool

func (b *scimBool) UnmarshalJSON(raw []byte) error {
	switch strings.ToLower(strings.Trim(string(raw), `"`)) {
	case "true":
		*b = true
	case "false":
		*b = false
	default:
		return fault.New(fault.Invalid, "%.20s is neither true nor false", raw)
	}
	return nil
}
