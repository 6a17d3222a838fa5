package api

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/depot"
)

const (
	// uploadMax is the size in bytes of an upload's body with one part: more goes
	// in several parts, or as a stream.
	uploadMax = 24 << 20
	partSize  = 16 << 20 // bytes of a part that fits, for those who ask
)

// An uploadRequest is a file, or a part of one.
type uploadRequest struct {
	ID       *number `json:"id"` // of an upload that has begun; -1 or nothing: a new one
	FileSize number  `json:"file_size"`
	StartPos number  `json:"start_pos"`
	Bytes    string  `json:"bytes"` // base64
	Hash     string  `json:"hash"`  // of the whole, if it is known: perhaps it is here already
}

type uploadObject struct {
	ID              int64  `json:"id"`
	FileSize        int64  `json:"file_size"`
	StartPos        int64  `json:"start_pos"` // where the next part begins
	PartSize        int64  `json:"part_size"`
	FileCached      bool   `json:"file_cached"`
	Hash            string `json:"hash"`
	PercentComplete int64  `json:"percent_complete"`
}

type uploadAnswer struct {
	UploadFile uploadObject `json:"upload_file"`
}

func toUpload(u depot.Upload) uploadAnswer {
	return uploadAnswer{uploadObject{
		ID: u.ID, FileSize: u.Size, StartPos: u.Have, PartSize: partSize, FileCached: u.Done(), Hash: string(u.Hash), PercentComplete: 100 * u.Have / u.Size,
	}}
}

// uploadFile takes a file in one part or in several.
func (s *server) uploadFile(_ context.Context, c call, in uploadRequest) (uploadAnswer, error) {
	part, err := base64.StdEncoding.DecodeString(in.Bytes)
	if err != nil {
		return uploadAnswer{}, fault.New(fault.Invalid, "bytes: not base64: %w", err)
	}
	now := time.Now()
	begun := in.ID != nil && *in.ID > 0
	var u depot.Upload
	switch {
	case begun:
		if u, err = s.depot.Uploading(c.user.ID, int64(*in.ID)); err != nil {
			return uploadAnswer{}, orMissing(err, "FileUpload", "upload")
		}
		if u.Done() {
			return toUpload(u), nil // the answer to the last part was lost, and it comes again
		}
	default:
		if in.FileSize == 0 {
			in.FileSize = number(len(part))
		}
		if h, err := depot.ParseHash(in.Hash); err == nil && in.Hash != "" {
			if size, ok := s.depot.Has(h); ok && size == int64(in.FileSize) {
				return toUpload(depot.Upload{Size: size, Have: size, Hash: h}), nil
			}
		}
		if u, err = s.depot.Begin(c.user.ID, int64(in.FileSize), now); err != nil {
			return uploadAnswer{}, err
		}
	}
	if len(part) > 0 {
		if u, err = s.depot.Part(c.user.ID, u.ID, int64(in.StartPos), part, now); err != nil {
			return uploadAnswer{}, orMissing(err, "FileUpload", "upload")
		}
	}
	return toUpload(u), nil
}

type uploadState struct {
	FileCached      int          `json:"file_cached"`
	FileParts       []uploadPart `json:"file_parts"`
	Hash            string       `json:"hash"`
	PercentComplete int64        `json:"percent_complete"`
}

type uploadPart struct {
	StartPos int64 `json:"start_pos"`
	Size     int64 `json:"size"`
}

// uploadStatus says how far an upload has come.
func (s *server) uploadStatus(_ context.Context, c call) (uploadState, error) {
	id, err := c.number("id", "upload")
	if err != nil {
		return uploadState{}, err
	}
	u, err := s.depot.Uploading(c.user.ID, int64(id))
	if err != nil {
		return uploadState{}, orMissing(err, "FileUploadNotFound", "upload") // so programs know it
	}
	out := uploadState{FileParts: []uploadPart{}, Hash: string(u.Hash), PercentComplete: 100 * u.Have / u.Size}
	if u.Done() {
		out.FileCached = 1
	}
	if u.Have > 0 {
		out.FileParts = append(out.FileParts, uploadPart{0, u.Have})
	}
	return out, nil
}

type streamAnswer struct {
	FileSize int64  `json:"file_size"`
	Hash     string `json:"hash"`
}

// uploadStream takes a file as it is: the body, or the only part of a form.
func (s *server) uploadStream(w http.ResponseWriter, c call) error {
	kind, params, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil {
		return fault.New(fault.Invalid, "InvalidContentType: %w", err)
	}
	body := &patientBody{c.Body, http.NewResponseController(w)}
	var file io.Reader = body
	switch kind {
	case "application/octet-stream":
	case "multipart/form-data":
		if params["boundary"] == "" {
			return fault.New(fault.Invalid, "InvalidContentType: multipart/form-data without a boundary")
		}
		return s.uploadForm(w, c, body)
	default:
		return fault.New(fault.Invalid, "InvalidContentType: %q is not application/octet-stream or multipart/form-data", shorten(kind))
	}
	h, size, err := s.depot.Put(file)
	if err != nil {
		return broken(err)
	}
	if size == 0 {
		return fault.New(fault.Invalid, "FileSizeRequired: the file is empty")
	}
	return reply(w, streamAnswer{size, string(h)})
}

func (s *server) uploadForm(w http.ResponseWriter, c call, body io.ReadCloser) error {
	r := c.Request.Clone(c.Context())
	r.Body = body
	form, err := r.MultipartReader()
	if err != nil {
		return fault.New(fault.Invalid, "InvalidContentType: %w", err)
	}
	part, err := form.NextPart()
	if errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "ReceivedNoFormData: the form has no part")
	}
	if err != nil {
		return broken(err)
	}
	h, size, err := s.depot.Put(part)
	if err != nil {
		return broken(err)
	}
	if _, err := form.NextPart(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "ExpectedOnlySingleFormData: the form has more than one part")
	}
	return reply(w, streamAnswer{size, string(h)})
}

// broken gives an upload that broke off its kind, unless the error has one.
func broken(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "the upload broke off: %w", err)
	}
	return err
}

// A patientBody is the body of a large request: who goes on sending has more
// time than for a small one.
type patientBody struct {
	io.ReadCloser
	conn *http.ResponseController
}

func (b *patientBody) Read(p []byte) (int, error) {
	if err := b.conn.SetReadDeadline(time.Now().Add(readTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return b.ReadCloser.Read(p)
}
