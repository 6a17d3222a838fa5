package store

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"catenary/internal/fault"
)

// A backup is the same whichever database it was made of: a line of text, and
// then, compressed by gzip, a header in JSON on one line, the rows of each
// table in the header's order, and a line that says that it is whole. A row
// begins with a byte 1 and has for each column a byte for the kind of value and
// the value; a byte 0 ends a table.
const (
	backupMark   = "catenary backup 1\n"
	backupEnd    = "whole\n"
	headerMax    = 1 << 20 // bytes
	valueMax     = 1 << 30 // bytes: PostgreSQL keeps no larger one
	valueChunk   = 1 << 20 // bytes that are read on the word of a file
	backupBuffer = 256 << 10
)

// Kinds of values.
const (
	valueNull byte = iota
	valueNumber
	valueText
	valueBytes
)

// Backup writes everything in a database to w, as of one moment, while a server
// goes on using it.
func Backup(ctx context.Context, address string, w io.Writer, progress Progress) (Contents, error) {
	src, err := openSource(ctx, address)
	if err != nil {
		return Contents{}, err
	}
	defer src.close()
	buffered := bufio.NewWriterSize(w, backupBuffer)
	if _, err := buffered.WriteString(backupMark); err != nil {
		return Contents{}, err
	}
	packed, err := gzip.NewWriterLevel(buffered, gzip.BestSpeed)
	if err != nil {
		return Contents{}, err
	}
	out := &fileSink{w: packed}
	c := src.contents()
	out.put(append(out.header(c), '\n'))
	if c, err = transfer(ctx, src, out, progress); err != nil {
		return c, failed(err, "backup of %s", src.store.name)
	}
	if err := errors.Join(packed.Close(), buffered.Flush()); err != nil {
		return c, fault.New(fault.Internal, "backup of %s: %w", src.store.name, err)
	}
	return c, nil
}

// Restore carries everything in a backup to a database of either kind, which
// must be empty. The tables come to be of the backup's version; opening the
// database brings them up to date.
func Restore(ctx context.Context, r io.Reader, address string, progress Progress) (Contents, error) {
	src, err := openFile(r)
	if err != nil {
		return Contents{}, err
	}
	c, err := into(ctx, src, address, progress)
	if err != nil {
		return c, failed(err, "backup")
	}
	return c, nil
}

type fileSink struct {
	w   io.Writer
	buf []byte
	err error // the first one
}

func (f *fileSink) put(b []byte) {
	if f.err == nil {
		_, f.err = f.w.Write(b)
	}
}

func (f *fileSink) header(c Contents) []byte {
	data, err := json.Marshal(c)
	if err != nil {
		f.err = err
	}
	return data
}

func (f *fileSink) load(_ context.Context, _ table, rows iter.Seq2[[]any, error]) error {
	for row, err := range rows {
		if err != nil {
			return err
		}
		f.buf = append(f.buf[:0], 1)
		for _, v := range row {
			if f.buf, err = appendValue(f.buf, v); err != nil {
				return err
			}
		}
		if f.put(f.buf); f.err != nil {
			return f.err
		}
	}
	f.put([]byte{0})
	return f.err
}

func (f *fileSink) finish(context.Context, Contents) error {
	f.put([]byte(backupEnd))
	return f.err
}

func appendValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, valueNull), nil
	case int64:
		return binary.AppendVarint(append(b, valueNumber), v), nil
	case string:
		return append(binary.AppendUvarint(append(b, valueText), uint64(len(v))), v...), nil
	case []byte:
		return append(binary.AppendUvarint(append(b, valueBytes), uint64(len(v))), v...), nil
	}
	return b, fault.New(fault.Internal, "a backup has no place for a %T", v)
}

// A fileSource reads a backup, once and from its beginning to its end.
type fileSource struct {
	r    *bufio.Reader
	had  Contents
	left int // tables not read yet
}

func openFile(r io.Reader) (*fileSource, error) {
	buffered := bufio.NewReaderSize(r, backupBuffer)
	mark, err := buffered.Peek(len(backupMark))
	if err != nil || string(mark) != backupMark {
		return nil, fault.New(fault.Invalid, "this is no backup: it does not begin with %q", backupMark)
	}
	if _, err := buffered.Discard(len(backupMark)); err != nil {
		return nil, err
	}
	unpacked, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, unreadable(err)
	}
	f := &fileSource{r: bufio.NewReaderSize(unpacked, backupBuffer)}
	header, err := f.line()
	if err == nil {
		err = json.Unmarshal(header, &f.had)
	}
	if err != nil {
		return nil, unreadable(err)
	}
	f.left, f.had.Mended = len(f.had.Tables), 0
	return f, nil
}

// line reads the header.
func (f *fileSource) line() (line []byte, err error) {
	for len(line) <= headerMax {
		part, err := f.r.ReadSlice('\n')
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
	return nil, fault.New(fault.Invalid, "its header is longer than %d bytes", headerMax)
}

func unreadable(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err // not the file's fault
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.New(fault.Invalid, "the backup is not whole: it ends too early")
	}
	if fault.KindOf(err) != fault.Internal {
		return fmt.Errorf("the backup is damaged: %w", err)
	}
	return fault.New(fault.Invalid, "the backup is damaged: %w", err)
}

func (f *fileSource) contents() Contents { return f.had }

func (f *fileSource) rows(ctx context.Context, t table) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		row := make([]any, len(t.columns))
		for {
			more, err := f.next(t, row)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(nil, unreadable(err))
				return
			}
			if !more {
				break
			}
			if !yield(row, nil) {
				return
			}
		}
		if f.left--; f.left == 0 {
			if err := f.end(); err != nil {
				yield(nil, unreadable(err))
			}
		}
	}
}

// next reads one row, if there is one more.
func (f *fileSource) next(t table, row []any) (more bool, err error) {
	mark, err := f.r.ReadByte()
	if err != nil || mark == 0 {
		return false, err
	}
	if mark != 1 {
		return false, fault.New(fault.Invalid, "a row of table %s begins with %d", t.name, mark)
	}
	for i := range row {
		if row[i], err = f.value(); err != nil {
			return false, err
		}
	}
	return true, t.conform(row)
}

// end makes sure that nothing is missing, and lets gzip compare its sum.
func (f *fileSource) end() error {
	rest, err := io.ReadAll(io.LimitReader(f.r, int64(len(backupEnd))+1))
	if err == nil && string(rest) != backupEnd {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (f *fileSource) value() (any, error) {
	kind, err := f.r.ReadByte()
	if err != nil {
		return nil, err
	}
	switch kind {
	case valueNull:
		return nil, nil
	case valueNumber:
		return binary.ReadVarint(f.r)
	case valueText:
		b, err := f.bytes()
		return string(b), err
	case valueBytes:
		return f.bytes()
	}
	return nil, fault.New(fault.Invalid, "there are no values of kind %d", kind)
}

func (f *fileSource) bytes() ([]byte, error) {
	n, err := binary.ReadUvarint(f.r)
	if err != nil {
		return nil, err
	}
	if n > valueMax {
		return nil, fault.New(fault.Invalid, "a value has %d bytes, more than %d", n, valueMax)
	}
	b := []byte{}
	for uint64(len(b)) < n { // no more memory than there are bytes
		part := min(n-uint64(len(b)), valueChunk)
		b = append(b, make([]byte, part)...)
		if _, err := io.ReadFull(f.r, b[uint64(len(b))-part:]); err != nil {
			return nil, err
		}
	}
	return b, nil
}
