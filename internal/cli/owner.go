package cli

import (
	"context"
	"encoding/json"
	"strings"
)

// serverItself owns, and has changed, what nobody has made.
const serverItself = "the server"

// makers are members that say which user something belongs to or comes from: of
// these, user 0 is the server. Of otherUsers it is nobody.
var makers = map[string]bool{
	"user": true, "owner_user_id": true, "created_user": true, "modified_user": true, "mod_user": true, "modifier_user_id": true, "applied_by": true,
}

var otherUsers = map[string]bool{"archive_owner": true, "approver": true, "user_list": true}

// userNames are the names of users, read when the first is needed that an answer
// says by its number only: all at once.
type userNames struct {
	ctx   context.Context
	c     *client
	names map[string]string // by number; nil: not read yet
}

// cell is what stands at a path of an object; users are named.
func (u *userNames) cell(o apiObject, path string) cell {
	if field := path[strings.LastIndexByte(path, '.')+1:]; makers[field] || otherUsers[field] {
		if texts := u.of(field, o.at(path)); len(texts) > 0 {
			return texts
		}
		return cell{""}
	}
	return o.cell(path)
}

// of is what the member of a name holds; users are named.
func (u *userNames) of(member string, v any) cell {
	if !makers[member] && !otherUsers[member] {
		return cellOf(v)
	}
	switch v := v.(type) {
	case []any:
		var out cell
		for _, e := range v {
			out = append(out, strings.Join(u.of(member, e), ", "))
		}
		return out
	case map[string]any:
		if id, ok := v["id"].(json.Number); ok && len(v) == 1 {
			return u.of(member, id)
		}
	case json.Number:
		return cell{u.called(member, v.String())}
	}
	return cellOf(v)
}

// called is the name of the user with a number, or else the number.
func (u *userNames) called(member, id string) string {
	if id == "0" {
		if makers[member] {
			return serverItself
		}
		return ""
	}
	if u.names == nil {
		u.names = map[string]string{}
		all, err := u.c.objects(u.ctx, "users")
		if err != nil {
			return id // who may not see users sees their numbers
		}
		for _, o := range all {
			u.names[o.text("id")] = o.text("name")
		}
	}
	if name := u.names[id]; name != "" {
		return name
	}
	return id
}
