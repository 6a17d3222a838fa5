package api

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"time"

	"catenary/internal/server/depot"
	"catenary/internal/server/fetch"
	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
)

// newFetcher makes what fetches the files of packages from their sources.
func (s *server) newFetcher(limits fetch.Limits) *fetch.Fetcher {
	return fetch.New(fetch.Config{
		Depot: s.depot, Files: s.sourcedFiles, Allowed: s.allowedURLs, Ways: s.ways, Fetched: s.learnFile, Log: s.log, Limits: limits,
	})
}

// refetch is called when a package has changed, or where files may come from.
func (s *server) refetch(context.Context, call, *shelf.Record, *shelf.Record) { s.fetcher.Look() }

// sourcedFiles are the files of packages that have a source.
func (s *server) sourcedFiles() (out []fetch.File) {
	for _, r := range s.shelves.All("package_spec") {
		for _, f := range r.Object.Objects("files") {
			if f.Text("source") == "" {
				continue
			}
			out = append(out, fetch.File{
				ID: f.Int("id"), Source: f.Text("source"), Hash: depot.Hash(f.Text("hash")), Learned: f.Is(learnedHash),
				Size: f.Int("size"), Every: time.Duration(f.Int("download_seconds")) * time.Second,
			})
		}
	}
	return out
}

func (s *server) allowedURLs() (out []string) {
	for _, r := range s.shelves.All("white_listed_url") {
		out = append(out, r.Object.Text("url_regex"))
	}
	slices.Sort(out)
	return out
}

// learnedHash says of a file that its hash is what its source had, and not what
// somebody demands.
const learnedHash = "hash_from_source_flag"

// learnFile notes what the source of a package's file has, unless the package
// wants another by now.
func (s *server) learnFile(ctx context.Context, file fetch.File, h depot.Hash, size int64) error {
	return s.shelves.Change(ctx, shelf.Author{UserName: "Catenary"}, func(ch *shelf.Change) error {
		for _, r := range ch.All("package_spec") {
			files := r.Object.Objects("files")
			i := slices.IndexFunc(files, func(f *object.Object) bool {
				return f.Int("id") == file.ID && f.Text("source") == file.Source && f.Text("hash") == string(file.Hash)
			})
			if i < 0 {
				continue
			}
			f := files[i].Clone()
			f.Set("hash", string(h))
			f.Set("size", size)
			f.Set(learnedHash, true)
			files = slices.Clone(files)
			files[i] = f
			o := r.Object.Clone()
			o.Set("files", object.ListOf(files))
			_, err := ch.Update(r, o)
			return err
		}
		return nil
	})
}

// keepLearned lets a file that a program sends again keep the hash that was
// learned from its source, though the program does not say how it came by it.
func keepLearned(was, f *object.Object) {
	if was == nil || !was.Is(learnedHash) || was.Text("source") != f.Text("source") || f.Text("hash") != "" && f.Text("hash") != was.Text("hash") {
		f.Set(learnedHash, false)
		return
	}
	for _, field := range []string{"id", "hash", "size", learnedHash} {
		f.Set(field, was.Value(field))
	}
}

// The states of a package's file.
const (
	fileCached     = "Cached"
	fileProcessing = "Processing"
	fileMissing    = "Not Cached"
	fileError      = "Error: " // and why
)

// deriveFile says whether a file is here, and if not, what becomes of it.
func (s *server) deriveFile(f *object.Object) (cached bool) {
	size, cached := s.depot.Has(depot.Hash(f.Text("hash")))
	status, now := fileMissing, fetch.State{}
	if f.Text("source") != "" {
		now = s.fetcher.State(f.Int("id"))
		f.Set("download_start_time", now.Started)
		f.Set("last_download_progress_time", now.Progress)
	}
	switch {
	case cached:
		status, now.Status, now.Downloaded, now.Total = fileCached, fetch.OK, size, size // also if it was uploaded: programs look for that
		f.Set("size", size)
	case now.Busy, now.Failure == "" && f.Text("source") != "":
		status = fileProcessing
		if now.Status == fetch.OK || now.Status == 0 { // it is going to be fetched
			now = fetch.State{Status: fetch.Waiting}
		}
	case now.Failure != "":
		status = fileError + now.Failure
	}
	f.Set("status", int64(now.Status))
	f.Set("cache_status", status)
	f.Set("bytes_downloaded", now.Downloaded)
	f.Set("bytes_total", now.Total)
	said, err := marshal(packageFileStatus{
		Server: s.hostname, Status: now.Status, CacheStatus: status, Downloaded: now.Downloaded, Total: now.Total,
		Started: isoTime(now.Started), Progress: isoTime(now.Progress), Failure: now.Failure, Next: isoTime(now.Next),
	})
	if err == nil { // of numbers and texts there is none
		f.Set("file_status", []any{json.RawMessage(bytes.TrimSpace(said))})
	}
	return cached
}

type packageFileStatus struct {
	Server      string  `json:"server_name"`
	Status      int     `json:"status"`
	CacheStatus string  `json:"cache_status"`
	Downloaded  int64   `json:"bytes_downloaded"`
	Total       int64   `json:"bytes_total"`
	Started     isoTime `json:"download_start_time"`
	Progress    isoTime `json:"last_download_progress_time"`
	// Catenary's own: why the last look at the source has failed, also if a file
	// from before is here, and when the next is.
	Failure string  `json:"failure,omitempty"`
	Next    isoTime `json:"next_try_time"`
}
