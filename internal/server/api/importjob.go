package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/rights"
	"catenary/internal/server/store"
)

const (
	importsMax   = 8   // imports that wait for their turn
	importsShown = 100 // imports whose end can be asked for
)

// A Sealer signs content, and tells signed content from other.
type Sealer interface {
	SignContent(content []byte) (signature []byte)
	// VerifyContent returns an error unless the signature is that of a key of
	// this installation over the content.
	VerifyContent(content, signature []byte) error
}

// unsignedSetting lets content without a signature in; on if it is not said.
const unsignedSetting = "import_unsigned_content"

// importContent imports at once, or begins to.
func (s *server) importContent(w http.ResponseWriter, c call) error {
	body, err := readBody(w, c, importMax)
	if err != nil {
		return err
	}
	var in importRequest
	if err := decode(body, &in); err != nil {
		return err
	}
	if in.ObjectList == nil {
		return fault.New(fault.Invalid, "object_list is missing")
	}
	if err := s.checkSignature(body, in.Signature); err != nil {
		return err
	}
	var opt importOptions
	if err := c.options(&opt); err != nil {
		return err
	}
	if strings.Contains(c.Header.Get("Prefer"), "respond-async") {
		job, err := s.imports.add(importing{s: s, c: c, in: in, opt: opt}, time.Now())
		if err != nil {
			return err
		}
		return reply(w, idObject{uint64(job)})
	}
	out, err := s.runImport(c.Context(), c, in, opt)
	if err != nil {
		return err
	}
	return reply(w, out)
}

// checkSignature looks at the signature of content, which is over the bytes of
// its object_list.
func (s *server) checkSignature(body []byte, signature string) error {
	if signature == "" {
		if s.setting(unsignedSetting) == "0" {
			return fault.New(fault.Denied, "SignatureValidationFailed: the content is not signed, and the setting %s does not let it in", unsignedSetting)
		}
		return nil
	}
	if err := s.verify(body, signature); err != nil {
		return fault.New(fault.Denied, "SignatureValidationFailed: %w", err)
	}
	return nil
}

func (s *server) verify(body []byte, signature string) error {
	var parts struct {
		ObjectList json.RawMessage `json:"object_list"`
	}
	if err := json.Unmarshal(body, &parts); err != nil {
		return fault.New(fault.Invalid, "the content is not JSON")
	}
	raw, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return fault.New(fault.Invalid, "the signature is not base64")
	}
	return s.sealer.VerifyContent(parts.ObjectList, raw)
}

// An importJob is an import that goes on by itself.
type importJob struct {
	ID        int64   `json:"id"`
	StartTime isoTime `json:"start_time"`
	EndTime   isoTime `json:"end_time"`
	Success   bool    `json:"success"`
	Status    string  `json:"status_text"`
	Exception string  `json:"exception"`
	Result    any     `json:"result"`

	user int64
	work importing
}

// imports are those that go on by themselves, one after the other.
type imports struct {
	mu    sync.Mutex // guards the fields below
	last  int64
	jobs  []*importJob // the oldest first
	queue chan *importJob
}

func newImports() *imports { return &imports{queue: make(chan *importJob, importsMax)} }

func (q *imports) add(work importing, now time.Time) (int64, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	job := &importJob{ID: q.last + 1, StartTime: isoTime(now), Status: "Waiting", user: work.c.user.ID, work: work}
	select {
	case q.queue <- job:
	default:
		return 0, fault.New(fault.Unavailable, "%d imports are waiting: try again later", importsMax)
	}
	q.last++
	if q.jobs = append(q.jobs, job); len(q.jobs) > importsShown {
		q.jobs = slices.Delete(q.jobs, 0, 1)
	}
	return job.ID, nil
}

// status is a copy of a job, for its user.
func (q *imports) status(id int64, u store.User) (importJob, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, job := range q.jobs {
		if job.ID == id && job.user == u.ID {
			return *job, true
		}
	}
	return importJob{}, false
}

func (q *imports) change(job *importJob, f func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f()
}

// runImports does the imports that go on by themselves, until ctx ends.
func (s *server) runImports(ctx context.Context) error {
	for {
		var job *importJob
		select {
		case <-ctx.Done():
			return nil
		case job = <-s.imports.queue:
		}
		s.imports.change(job, func() { job.Status = "Running" })
		out, err := s.runLater(ctx, job.work)
		s.imports.change(job, func() {
			job.EndTime, job.Success, job.Status, job.Result = isoTime(time.Now()), err == nil, "Completed", out
			if err != nil {
				_, job.Exception = statusOf(err)
				job.Status, job.Result = "Failed", nil
			}
			job.work = importing{} // it may be large
		})
		if fault.KindOf(err) == fault.Internal && err != nil {
			s.log.ErrorContext(ctx, "import failed", "job", job.ID, "err", err)
		}
	}
}

// runLater does an import whose author has been answered already, if he may do it
// still.
func (s *server) runLater(ctx context.Context, work importing) (importAnswer, error) {
	c := work.c
	c.Request = c.Clone(ctx)
	if c.rights = s.rightsOf(c.user); !s.mayAct(c.user) || !c.rights.MayAnywhere(rights.ImportContent) {
		return importAnswer{}, insufficient(rights.ImportContent)
	}
	return s.runImport(ctx, c, work.in, work.opt)
}

func (s *server) importStatus(_ context.Context, c call) (importJob, error) {
	id, err := c.number("id", "import")
	if err != nil {
		return importJob{}, err
	}
	job, ok := s.imports.status(int64(id), c.user)
	if !ok {
		return importJob{}, missing("ImportJob", "import")
	}
	return job, nil
}
