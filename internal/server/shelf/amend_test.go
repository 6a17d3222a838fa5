package shelf

import (
	"testing"

	"catenary/internal/server/object"
)

// TestAmend: what is amended is shown, and is nothing that the database keeps.
func TestAmend(t *testing.T) {
	r := newRig(t)
	set := r.create("content_set", `{"name":"Base"}`)
	before := r.All("content_set")
	r.Amend("content_set", set.ID, func(o *object.Object) { o.Set("description", "amended") })
	r.Amend("content_set", 99, func(*object.Object) { t.Error("amended what is not there") })
	is := r.ByName("content_set", "base")
	if is.Object.Text("description") != "amended" || is.ModifiedBy != set.ModifiedBy || before[0].Object.Text("description") != "" {
		t.Errorf("amended: %+v", is)
	}
	if err := r.Change(t.Context(), ann, func(c *Change) error {
		if got := c.NameOf("content_set", set.ID); got != "Base" {
			t.Errorf("within a change it is called %q", got)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	r.open()
	if got := r.ByID("content_set", set.ID).Object.Text("description"); got != "" {
		t.Errorf("the database has %q", got)
	}
}
