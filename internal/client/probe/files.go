package probe

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf16"

	"catenary/internal/fault"
)

const (
	contentsMax   = 64 << 10 // bytes of a file that a question may bring: an answer is no file transfer
	contentsLines = 1_000    // rows of such a file
	folderMax     = 10_000   // entries of a folder
	folderBatch   = 256      // entries read between two looks at the context
)

// What an entry of a folder is.
const (
	entryFile   = "File"
	entryFolder = "Folder"
	entryLink   = "Link"
	entryOther  = "Other" // pipes, sockets and devices
)

// How a text file may begin to say how its characters are written.
const (
	markUTF8    = "\xef\xbb\xbf"
	markUTF16LE = "\xff\xfe"
	markUTF16BE = "\xfe\xff"
)

func fileExists(_ context.Context, path string) ([][]string, error) {
	_, err := os.Stat(path)
	switch {
	case err == nil:
		return [][]string{{yesNo(true)}}, nil
	case absent(err):
		return [][]string{{yesNo(false)}}, nil
	default:
		return nil, pathError(err)
	}
}

// absent reports whether err says that nothing is at a path. A file in the
// place of a folder on the way (ENOTDIR) says so too.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// pathError gives an error about a path its kind.
func pathError(err error) error {
	switch {
	case absent(err):
		return fault.New(fault.NotFound, "%w", err)
	case errors.Is(err, fs.ErrPermission):
		return fault.New(fault.Denied, "%w", err)
	default:
		return err
	}
}

func notRegular(path string) error {
	return fault.New(fault.Invalid, "%s is not a regular file", path)
}

func fileContents(_ context.Context, path string) ([][]string, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, contentsMax+1))
	if err != nil {
		return nil, err
	}
	if len(b) > contentsMax {
		return nil, tooLarge(contentsMax)
	}
	lines := splitLines(decodeText(b))
	if len(lines) > contentsLines {
		return nil, fault.New(fault.Invalid, "the file has more than %d lines", contentsLines)
	}
	rows := make([][]string, len(lines))
	for i, line := range lines {
		rows[i] = []string{strconv.Itoa(i + 1), line}
	}
	return rows, nil
}

// decodeText reads the bytes of a text file. Windows writes many of its own
// in UTF-16, with a byte order mark in front.
func decodeText(b []byte) string {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(b, []byte(markUTF16LE)):
		order = binary.LittleEndian
	case bytes.HasPrefix(b, []byte(markUTF16BE)):
		order = binary.BigEndian
	default:
		return string(bytes.TrimPrefix(b, []byte(markUTF8)))
	}
	units := make([]uint16, 0, len(b)/2)
	for b = b[2:]; len(b) >= 2; b = b[2:] {
		units = append(units, order.Uint16(b))
	}
	return string(utf16.Decode(units))
}

// splitLines cuts a text into lines without their ends. What follows the last
// line end is a line only if there is something.
func splitLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		lines = append(lines, strings.TrimSuffix(line, "\r"))
	}
	return lines
}

func folderContents(ctx context.Context, path string) ([][]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, pathError(err)
	}
	if !info.IsDir() { // opening anything else could wait
		return nil, fault.New(fault.Invalid, "%s is not a folder", path)
	}
	return listFolder(ctx, path, folderMax)
}

// listFolder describes the entries of a folder, of which there may not be more
// than limit.
func listFolder(ctx context.Context, path string, limit int) ([][]string, error) {
	folder, err := os.Open(path)
	if err != nil {
		return nil, pathError(err)
	}
	defer folder.Close()
	var rows [][]string
	for {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("reading %s stopped: %w", path, context.Cause(ctx))
		}
		entries, err := folder.ReadDir(folderBatch)
		for _, e := range entries {
			if row := entryRow(e); row != nil {
				rows = append(rows, row)
			}
		}
		if len(rows) > limit {
			return nil, fault.New(fault.Invalid, "the folder has more than %d entries", limit)
		}
		if errors.Is(err, io.EOF) {
			slices.SortFunc(rows, func(a, b []string) int { return cmp.Compare(a[0], b[0]) })
			return rows, nil
		}
		if err != nil {
			return nil, pathError(err)
		}
	}
}

// entryRow describes one entry of a folder. It is nil if the entry vanished
// while the folder was read.
func entryRow(e fs.DirEntry) []string {
	switch {
	case e.IsDir():
		return []string{e.Name(), entryFolder, ""}
	case e.Type()&fs.ModeSymlink != 0:
		return []string{e.Name(), entryLink, ""}
	case !e.Type().IsRegular():
		return []string{e.Name(), entryOther, ""}
	}
	info, err := e.Info()
	switch {
	case absent(err):
		return nil
	case err != nil: // a folder may be listed by some who may not look at its files
		return []string{e.Name(), entryFile, ""}
	}
	return []string{e.Name(), entryFile, strconv.FormatInt(info.Size(), 10)}
}
