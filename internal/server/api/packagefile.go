package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/depot"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

const (
	// unusedLife is how long a file is kept that belongs to no package: whoever
	// uploads one makes its package soon.
	unusedLife = 24 * time.Hour
	sweepEvery = time.Hour
)

// fileRoutes are those of the files of packages.
func (s *server) fileRoutes() []route {
	const v2 = "/api/v2/"
	return []route{
		{"GET", v2 + "package_files", withSession, rights.ReadPackage, handler(s.listFiles)},
		{"GET", v2 + "package_files/{id}", withSession, rights.ReadPackage, handler(s.showFile)},
		{"PATCH", v2 + "package_files/{id}", withSession, rights.WritePackage, handler(s.changeFile)},
		{"GET", v2 + "package_files/{id}/content", withSession, rights.ReadPackage, handler(s.fileContent)},
		{"POST", v2 + "upload_file", withSession, rights.WritePackage, post(uploadMax, s.uploadFile)},
		{"GET", v2 + "upload_file/{id}", withSession, rights.WritePackage, get(s.uploadStatus)},
		{"POST", v2 + "upload_file_stream", withSession, rights.WritePackage, handler(s.uploadStream)},
	}
}

// eachFile calls f for every file of the packages that the caller may see with a
// privilege, until it returns false.
func (s *server) eachFile(c call, p rights.Privilege, f func(*shelf.Record, *object.Object) bool) {
	for _, r := range s.shelves.All("package_spec") {
		if !c.rights.May(p, r.Object.Ref("content_set").ID) {
			continue
		}
		for _, file := range r.Object.Objects("files") {
			if !f(r, file) {
				return
			}
		}
	}
}

func (s *server) fileText(b []byte, f *object.Object) []byte {
	f = f.Clone()
	s.deriveFile(f)
	return f.Append(b, object.Header{}, s.shelves.NameOf)
}

func (s *server) listFiles(w http.ResponseWriter, c call) error {
	var all []*object.Object
	var of []int64 // their packages
	s.eachFile(c, rights.ReadPackage, func(r *shelf.Record, f *object.Object) bool {
		all, of = append(all, f), append(of, r.ID)
		return true
	})
	return s.sendList(w, c, listing{
		n: len(all), has: object.ShapeOf("package_file").HasPath,
		cell: func(i int, path string) string {
			text, _ := all[i].Cell(path, object.Header{}, s.shelves.NameOf) // "" if there is nothing
			return text
		},
		append: func(b []byte, i int) []byte { return s.fileText(b, all[i]) },
		sees: func(c call, i int) bool {
			r := s.shelves.ByID("package_spec", of[i])
			return r == nil || c.rights.May(rights.ReadPackage, r.Object.Ref("content_set").ID)
		},
	})
}

// file finds the file of a package that a path names.
func (s *server) file(c call, p rights.Privilege) (r *shelf.Record, file *object.Object, err error) {
	id, err := c.number("id", "package file")
	if err != nil {
		return nil, nil, err
	}
	s.eachFile(c, p, func(of *shelf.Record, f *object.Object) bool {
		if f.Int("id") == int64(id) {
			r, file = of, f
		}
		return file == nil
	})
	if file == nil {
		return nil, nil, missing("PackageFile", "package file")
	}
	return r, file, nil
}

func (s *server) showFile(w http.ResponseWriter, c call) error {
	_, f, err := s.file(c, rights.ReadPackage)
	if err != nil {
		return err
	}
	return s.sendText(w, s.fileText(nil, f))
}

// changeFile says how often the source of a file is looked at, or lets that be
// done now.
func (s *server) changeFile(w http.ResponseWriter, c call) error {
	body, err := readBody(w, c, bodyMax)
	if err != nil {
		return err
	}
	in, err := object.ShapeOf("package_file").Decode(body, object.Lenient)
	if err != nil {
		return err
	}
	r, f, err := s.file(c, rights.WritePackage)
	if err != nil {
		return err
	}
	trigger := in.Int("trigger_download") != 0
	if trigger && f.Text("source") == "" {
		return fault.New(fault.Invalid, "trigger_download: the file has no source; upload it with upload_file_stream and give its hash")
	}
	if trigger && !in.Has("download_seconds") {
		s.fetcher.Again(f.Int("id"))
		return s.sendText(w, s.fileText(nil, f))
	}
	var is *object.Object
	face := s.faceOf("packages")
	err = s.shelves.Change(c.Context(), c.author(), func(ch *shelf.Change) error {
		was := ch.ByID("package_spec", r.ID)
		if was == nil {
			return missing("PackageFile", "package file")
		}
		files := was.Object.Objects("files")
		for i := range files {
			if files[i].Int("id") != f.Int("id") {
				continue
			}
			files[i] = files[i].Clone()
			if in.Has("download_seconds") {
				files[i].Set("download_seconds", in.Int("download_seconds"))
			}
			is = files[i]
		}
		if is == nil {
			return missing("PackageFile", "package file")
		}
		o := was.Object.Clone()
		o.Set("files", object.ListOf(files))
		_, err := s.alter(face, c, ch, was, o)
		return err
	})
	if err != nil {
		return err
	}
	if trigger {
		s.fetcher.Again(is.Int("id"))
	}
	s.fetcher.Look()
	return s.sendText(w, s.fileText(nil, is))
}

// fileContent sends a file as it was uploaded: for those who export packages.
func (s *server) fileContent(w http.ResponseWriter, c call) (err error) {
	_, f, err := s.file(c, rights.ReadPackage)
	if err != nil {
		return err
	}
	content, err := s.depot.Open(depot.Hash(f.Text("hash")))
	if err != nil {
		return orMissing(err, "PackageFile", "package file")
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	info, err := content.Stat()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Length", strconv.FormatInt(info.Size(), 10)) // or half a file would look whole
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", "attachment")
	patient := http.NewResponseController(w)
	for {
		if err := patient.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return fmt.Errorf("sending a file: %w", err)
		}
		switch _, err := io.CopyN(w, content, filePiece); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return nil // the caller has hung up, or sees that it is not whole
		}
	}
}

// filePiece is how much of a file is sent before its caller gets more time.
const filePiece = 8 << 20

// runDepot clears away files that belong to no package, until ctx ends.
func (s *server) runDepot(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		now := time.Now()
		used := s.usedFiles()
		n, err := s.depot.Sweep(now, now.Add(-unusedLife), func(h depot.Hash) bool { return used[h] })
		if err != nil {
			s.log.ErrorContext(ctx, "unused files not cleared away", "err", err)
		}
		if n > 0 {
			s.log.InfoContext(ctx, "unused files cleared away", "files", n)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// usedFiles are the files of packages, and of actions that may still run.
func (s *server) usedFiles() map[depot.Hash]bool {
	used := map[depot.Hash]bool{}
	add := func(o *object.Object) {
		for _, f := range o.Objects("files") {
			used[depot.Hash(f.Text("hash"))] = true
		}
	}
	for _, r := range s.shelves.All("package_spec") {
		add(r.Object)
	}
	for _, kind := range []string{"action", "saved_action"} {
		for _, r := range s.shelves.All(kind) {
			if p := r.Object.Object("package_spec"); p != nil {
				add(p)
			}
		}
	}
	return used
}
