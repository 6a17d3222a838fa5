package api

import (
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/resultset"
)

const (
	exportsOfOne = 4         // exports that are kept for one user; the oldest makes room
	exportsMax   = 64        // exports that are kept at once
	exportsBytes = 2 << 30   // of their files together
	exportFor    = time.Hour // that one is kept
	exportMax    = 1 << 30   // bytes of one file
	exportText   = 64 << 10  // bytes of the texts before and behind the rows
)

// exports are files with answers as text, compressed. They are made while who
// asks for one waits, so that one which can be asked for is complete.
type exports struct {
	folder string     // empty: there is none, and nothing can be exported
	mu     sync.Mutex // guards the fields below
	begun  bool
	byID   map[string]*exported
	bytes  int64
}

// An exported file lies in the folder under its ID.
type exported struct {
	id      string
	user    int64
	footing footing // on which it was made: who has lost that has lost it
	name    string  // as which it is to be kept
	bytes   int64
	made    time.Time
}

func openExports(folder string) *exports {
	return &exports{folder: folder, byID: map[string]*exported{}}
}

// begin empties the folder, once: nobody knows any more whose the files of an
// earlier life were.
func (e *exports) begin() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.begun {
		return nil
	}
	if err := os.RemoveAll(e.folder); err != nil {
		return err
	}
	e.begun = true
	return os.MkdirAll(e.folder, 0o700)
}

func (e *exports) path(id string) string { return filepath.Join(e.folder, id) }

// export writes a view into a file and returns its ID.
func (s *server) export(ctx context.Context, c call, o resultOptions, r reading, v *resultset.View) (string, error) {
	format, err := resultset.ParseFormat(int(o.ExportFormat))
	if err != nil {
		return "", err
	}
	if len(o.ExportLeading)+len(o.ExportTrailing) > exportText {
		return "", fault.New(fault.Invalid, "export_leading_text and export_trailing_text have more than %d bytes", exportText)
	}
	e := s.exports
	if e.folder == "" {
		return "", fault.New(fault.Unavailable, "this server has no folder for exports")
	}
	if err := e.begin(); err != nil {
		return "", fault.New(fault.Internal, "folder for exports: %w", err)
	}
	counted := r.counted(len(v.Set.Rows), v.Len(), v.Machines())
	w := resultset.Writing{
		Format: format, HideHeader: bool(o.ExportHideHead), Leading: string(o.ExportLeading), Trailing: string(o.ExportTrailing),
		Question: r.plan.Text, Number: r.result.Question, Version: s.version, Head: counted.named(),
	}
	x := &exported{
		id: rand.Text(), user: c.user.ID, footing: s.footing(c.rights), made: r.now,
		name: fmt.Sprintf("question-%d.%s", r.result.Question, format.Extension()),
	}
	err = s.rendering(ctx, func() (err error) {
		x.bytes, err = writeCompressed(e.path(x.id), func(to io.Writer) error { return v.Write(to, w, ctx.Err) })
		return err
	})
	if err != nil {
		if fault.KindOf(err) == fault.Invalid || ctx.Err() != nil {
			return "", err
		}
		return "", fault.New(fault.Internal, "export: %w", err)
	}
	return x.id, e.add(x)
}

// writeCompressed makes a file of what write writes; there is none if that fails.
func writeCompressed(path string, write func(io.Writer) error) (size int64, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	bounded := &bounded{w: f, left: exportMax}
	z := gzip.NewWriter(bounded)
	err = errors.Join(write(z), z.Close(), f.Close())
	if err != nil {
		return 0, errors.Join(err, os.Remove(path))
	}
	return exportMax - bounded.left, nil
}

// A bounded writer takes no more than it may.
type bounded struct {
	w    io.Writer
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		return 0, fault.New(fault.Invalid, "the export is larger than %d bytes: choose fewer rows", exportMax)
	}
	n, err := b.w.Write(p)
	b.left -= int64(n)
	return n, err
}

// add makes a file known and room for it.
func (e *exports) add(x *exported) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.byID[x.id] = x
	e.bytes += x.bytes
	return e.tidy(x.made, x)
}

// tidy removes what is too old, and what is too much.
func (e *exports) tidy(now time.Time, newest *exported) error {
	var errs []error
	own := 0
	for _, x := range e.byID {
		if now.Sub(x.made) >= exportFor {
			errs = append(errs, e.drop(x))
		} else if newest != nil && x.user == newest.user {
			own++
		}
	}
	for ; own > exportsOfOne; own-- {
		errs = append(errs, e.drop(e.oldest(newest.user)))
	}
	for len(e.byID) > 1 && (len(e.byID) > exportsMax || e.bytes > exportsBytes) {
		errs = append(errs, e.drop(e.oldest(0)))
	}
	return errors.Join(errs...)
}

// oldest is the oldest export of a user, or of anybody.
func (e *exports) oldest(user int64) (first *exported) {
	for _, x := range e.byID {
		if (user == 0 || x.user == user) && (first == nil || x.made.Before(first.made)) {
			first = x
		}
	}
	return first
}

func (e *exports) drop(x *exported) error {
	delete(e.byID, x.id)
	e.bytes -= x.bytes
	if err := os.Remove(e.path(x.id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// find returns an export of a user. Nobody learns of those of others.
func (e *exports) find(now time.Time, user int64, id string) (exported, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.tidy(now, nil); err != nil {
		return exported{}, err
	}
	x := e.byID[id]
	if x == nil || x.user != user {
		return exported{}, missing("Export", "export")
	}
	return *x, nil
}

// exportFile answers /export/{id}.status and /export/{id}.gz.
func (s *server) exportFile(w http.ResponseWriter, c call) error {
	id, ending, _ := strings.Cut(c.PathValue("file"), ".")
	x, err := s.exports.find(time.Now(), c.user.ID, id)
	if err != nil {
		return err
	}
	if err := s.lasts(x.footing, c.rights); err != nil {
		return err
	}
	switch ending {
	case "status": // what it is, and how far it has come
		return reply(w, plain(fmt.Sprintf("Completed. %d bytes.", x.bytes)))
	case "gz":
		return s.sendExport(w, c, x)
	}
	return missing("Export", "export")
}

func (s *server) sendExport(w http.ResponseWriter, c call, x exported) error {
	f, err := os.Open(s.exports.path(x.id))
	if errors.Is(err, fs.ErrNotExist) {
		return missing("Export", "export") // it made room just now
	}
	if err != nil {
		return err
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/gzip")
	w.Header().Set("Content-Length", strconv.FormatInt(x.bytes, 10))
	w.Header().Set("Content-Disposition", `attachment; filename="`+x.name+`.gz"`)
	w.WriteHeader(http.StatusOK)
	if c.Method == http.MethodHead {
		return nil
	}
	if _, err := io.Copy(w, f); err != nil {
		return nil // the caller has hung up; there is nobody left to tell
	}
	return nil
}

// named are the counters by their names, for XML.
func (c counters) named() [][2]string {
	n := func(x int) string { return strconv.Itoa(x) }
	return [][2]string{
		{"age", strconv.FormatInt(c.Age, 10)}, {"id", strconv.FormatUint(c.ID, 10)}, {"question_id", strconv.FormatUint(c.QuestionID, 10)},
		{"saved_question_id", strconv.FormatUint(c.SavedQuestionID, 10)}, {"archived_question_id", strconv.FormatUint(c.ArchivedQuestionID, 10)},
		{"report_count", n(c.ReportCount)}, {"seconds_since_issued", strconv.FormatInt(c.SecondsSinceIssued, 10)},
		{"issue_seconds", strconv.FormatInt(c.IssueSeconds, 10)}, {"expire_seconds", strconv.FormatInt(c.ExpireSeconds, 10)},
		{"tested", n(c.Tested)}, {"passed", n(c.Passed)}, {"mr_tested", n(c.MRTested)}, {"mr_passed", n(c.MRPassed)},
		{"estimated_total", n(c.EstimatedTotal)}, {"select_count", n(c.SelectCount)}, {"error_count", n(c.ErrorCount)},
		{"no_results_count", n(c.NoResultsCount)}, {"row_count", n(c.RowCount)}, {"row_count_machines", n(c.RowCountMachines)},
		{"filtered_row_count", n(c.FilteredRowCount)}, {"filtered_row_count_machines", n(c.FilteredRowCountMachines)},
		{"item_count", n(c.ItemCount)},
	}
}
