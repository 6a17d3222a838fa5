package api

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"catenary/internal/server/rights"
)

func TestMove(t *testing.T) {
	d := newDesk(t)
	for i := range 3 {
		d.ok(d.call("POST", "/api/v2/packages", fmt.Sprintf(`{"name":"p%d","command":"x"}`, i)))
	}
	d.ok(d.call("POST", "/api/v2/dashboards", `{"name":"board","public_flag":true}`))
	where := func() (out []any) {
		for _, p := range d.list("/api/v2/packages", true) {
			out = append(out, p["content_set"].(map[string]any)["name"])
		}
		return out
	}
	w := d.call("POST", "/api/v2/move", `{"packages":[{"id":1,"content_set":{"name":"base"}},{"name":"P2","content_set":{"id":2}}],"dashboards":[{"id":1,"content_set":{"id":3}}]}`)
	if w.Code != 200 || strings.Count(w.Body.String(), `"content_set":{"id":2,"name":"Base"}`) != 2 {
		t.Fatalf("moved: %d %s", w.Code, w.Body)
	}
	same(t, where(), []any{"Base", "Default Content", "Base"})
	role := `{"name":"of 1","content_set_role_privileges":[{"content_set":{"id":1},"content_set_privilege":{"name":"Write Package"}}]}`
	d.ok(d.call("POST", "/api/v2/content_set_roles", role))
	bob := d.person("bob", "of 1")
	for _, tt := range []struct {
		w      *httptest.ResponseRecorder
		status int
		text   string
	}{
		{d.as(bob, "POST", "/api/v2/move", `{"packages":[{"id":2,"content_set":{"id":2}}]}`), 403, "Write Package"},
		{d.as(bob, "POST", "/api/v2/move", `{"packages":[{"id":1,"content_set":{"id":1}}]}`), 403, "Write Package"},
		{d.call("POST", "/api/v2/move", `{"packages":[{"id":2,"content_set":{"id":2}},{"id":9,"content_set":{"id":2}}]}`), 404, "PackageNotFound"},
		{d.call("POST", "/api/v2/move", `{"packages":[{"id":2}]}`), 400, "content_set"},
		{d.call("POST", "/api/v2/move", `{"packages":[{"id":2,"content_set":{"id":77}}]}`), 400, "there is no content set"},
		{d.call("POST", "/api/v2/move", `{"users":[{"id":1,"content_set":{"id":1}}]}`), 400, "lie in no content set"},
		{d.call("POST", "/api/v2/move", `{"spoons":[{"id":1}]}`), 400, "ObjectNotFound"},
		{d.call("POST", "/api/v2/move", `{}`), 400, "1 to 10000 objects"},
	} {
		d.refuses(tt.w, tt.status, tt.text)
	}
	same(t, where(), []any{"Base", "Default Content", "Base"})
	d.refuses(d.call("DELETE", "/api/v2/content_sets/2", ""), 400, "cannot be changed")
	d.ok(d.call("POST", "/api/v2/content_sets", `{"name":"mine"}`))
	d.ok(d.call("POST", "/api/v2/move", `{"packages":[{"id":1,"content_set":{"name":"mine"}}]}`))
	d.refuses(d.call("DELETE", "/api/v2/content_sets/4", ""), 400, "ContentSetInUse")
}

func TestTransfer(t *testing.T) {
	d := newDesk(t)
	d.role("writes", false, rights.WriteDashboard)
	bob, eve := d.person("bob", "writes"), d.person("eve", "writes")
	d.ok(d.as(bob, "POST", "/api/v2/dashboards", `{"name":"board","public_flag":true}`))
	owner := func() any {
		return d.object(d.call("GET", "/api/v2/dashboards/1", ""))["user"].(map[string]any)["name"]
	}
	same(t, owner(), any("bob"))
	give := func(to string) string {
		return fmt.Sprintf(`{"dashboards":[{"id":1,"user":{"name":%q}}]}`, to)
	}
	d.refuses(d.as(bob, "POST", "/api/v2/transfer", give(testUser)), 403, "may do more")
	d.refuses(d.as(bob, "POST", "/api/v2/transfer", give("nobody")), 400, "InvalidUser")
	w := d.as(bob, "POST", "/api/v2/transfer", give("eve"))
	same(t, w.Code, 200)
	same(t, w.Header().Get("Content-Type"), "application/xml")
	same(t, owner(), any("eve"))
	const head = `<?xml version="1.0" encoding="UTF-8"?>` + "\n<result_object><dashboards><dashboard>"
	if body := w.Body.String(); !strings.HasPrefix(body, head) || !strings.HasSuffix(body, "</dashboard></dashboards></result_object>\n") ||
		!strings.Contains(body, "<id>1</id><name>board</name>") || !strings.Contains(body, "<public_flag>1</public_flag>") || !strings.Contains(body, fmt.Sprintf("<user><id>%d</id><name>eve</name></user>", eve.ID)) {
		t.Errorf("the answer is %s", body)
	}
	if o := d.object(d.call("GET", fmt.Sprintf("/api/v2/users/%d", eve.ID), ""))["owned_object_ids"]; fmt.Sprint(o.(map[string]any)["dashboards"]) != "[1]" {
		t.Errorf("eve owns %v", o)
	}
	d.refuses(d.call("POST", "/api/v2/transfer", `{"packages":[{"id":1}]}`), 404, "PackageNotFound")
	d.refuses(d.as(d.person("zoe"), "POST", "/api/v2/transfer", give("zoe")), 403, "Write Dashboard")
}
