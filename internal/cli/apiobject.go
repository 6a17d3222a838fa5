package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// An apiObject is an object as the API says it.
type apiObject struct{ raw json.RawMessage }

type member struct {
	name  string
	value any // as encoding/json reads it, numbers as json.Number
}

// objects are all elements of a list but what programs know of the list itself
// by its last element.
func (c *client) objects(ctx context.Context, path string) ([]apiObject, error) {
	var list []json.RawMessage
	if err := c.call(ctx, http.MethodGet, "/api/v2/"+path, nil, &list); err != nil {
		return nil, err
	}
	out := make([]apiObject, 0, len(list))
	for i, raw := range list {
		o := apiObject{raw}
		if last := i == len(list)-1; last && o.has("cache_id") && o.has("page_row_count") {
			break
		}
		out = append(out, o)
	}
	return out, nil
}

// members are what the object says, in its order.
func (o apiObject) members() (out []member, err error) {
	dec := json.NewDecoder(bytes.NewReader(o.raw))
	dec.UseNumber()
	if begin, err := dec.Token(); err != nil || begin != json.Delim('{') {
		return nil, fmt.Errorf("the answer is no object: %w", err)
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: fmt.Sprint(name)}
		if err := dec.Decode(&m.value); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func (o apiObject) has(name string) bool {
	var all map[string]json.RawMessage
	if json.Unmarshal(o.raw, &all) != nil {
		return false
	}
	_, ok := all[name]
	return ok
}

// at is the value at a path like "user.name"; nil if there is none.
func (o apiObject) at(path string) any {
	dec := json.NewDecoder(bytes.NewReader(o.raw))
	dec.UseNumber()
	var at any
	if dec.Decode(&at) != nil {
		return nil
	}
	for name := range strings.SplitSeq(path, ".") {
		inner, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = inner[name]
	}
	return at
}

// cell is what stands at a path, for people.
func (o apiObject) cell(path string) cell {
	if texts := cellOf(o.at(path)); len(texts) > 0 {
		return texts
	}
	return cell{""}
}

// text is a cell with a single text.
func (o apiObject) text(path string) string { return strings.Join(o.cell(path), ", ") }

// cellOf writes a value for people: of what points to another object its name,
// of a list its elements.
func cellOf(v any) cell {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return cell{v}
	case []any:
		var out cell
		for _, e := range v {
			out = append(out, strings.Join(cellOf(e), ", "))
		}
		return out
	case map[string]any:
		for _, name := range []string{"name", "id"} {
			if text, ok := v[name]; ok && len(v) <= 2 {
				return cellOf(text)
			}
		}
		b, err := json.Marshal(v)
		if err != nil {
			panic("cli: " + err.Error()) // it was read from JSON
		}
		return cell{string(b)}
	}
	return cell{fmt.Sprint(v)}
}
