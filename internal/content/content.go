// Package content is content as code: sensors, packages, saved questions, groups
// and what belongs to them, as a folder of YAML files that a person writes and a
// repository keeps, ⇄ the objects that the public API imports and exports.
//
// It reads and writes files through io/fs and knows no server. What there is to
// say of an object is what its shape says (package server/object); that a field
// may be written more shortly is said in docs/content.md. It also holds the
// content that comes with Catenary.
package content

import (
	"embed"
	"encoding/json"
	"io/fs"

	"catenary/internal/server/object"
)

// A Type is one sort of objects in a folder.
type Type struct {
	Plural string // in the API: "saved_questions"
	Folder string // "saved-questions"
	Shape  string // of package object
	Key    string // the field by which an object is known
}

// Types are all sorts, in the order in which they are made: each refers to those
// before it.
var Types = []Type{
	{"content_sets", "content-sets", "content_set", "name"},
	{"sensors", "sensors", "sensor", "name"},
	{"groups", "groups", "group", "name"},
	{"packages", "packages", "package_spec", "name"},
	{"saved_questions", "saved-questions", "saved_question", "name"},
	{"dashboards", "dashboards", "dashboard", "name"},
	{"dashboard_groups", "categories", "dashboard_group", "name"},
	{"white_listed_urls", "allowed-urls", "white_listed_url", "url_regex"},
}

// TypeOf finds a type by its name in the API.
func TypeOf(plural string) (Type, bool) {
	for _, t := range Types {
		if t.Plural == plural {
			return t, true
		}
	}
	return Type{}, false
}

func (t Type) shape() *object.Shape { return object.ShapeOf(t.Shape) }

// A Folder is content: what one folder of files holds.
type Folder struct {
	Name        string // by which a server knows it again
	Version     string
	Description string
	Objects     []Object
}

// An Object is one object of a folder.
type Object struct {
	Type Type
	Name string
	Path string          // of its file
	Body json.RawMessage // as the API imports it
	// Files are the files of a package that lie in the folder. Their hash and
	// size are not in the body: who reads them fills them in.
	Files []File
}

// A File is a file beside an object.
type File struct {
	Name string // in the package
	Path string // in the folder
}

//go:embed all:shipped
var shipped embed.FS

// Shipped is the content that comes with Catenary.
func Shipped() fs.FS {
	sub, err := fs.Sub(shipped, "shipped")
	if err != nil {
		panic(err) // the folder's name is a constant
	}
	return sub
}
