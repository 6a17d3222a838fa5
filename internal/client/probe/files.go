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

// fileFacts are told of files on every platform.
func (p *Probe) fileFacts() map[string]fact {
	return map[string]fact{
		"File Exists":            ofPath(fileExists),
		"File Hash":              p.fileHash(sha256Sum),
		"File MD5 Hash":          p.fileHash(md5Sum),
		"File SHA-1 Hash":        p.fileHash(sha1Sum),
		"File Size":              ofPath(fileSize),
		"File Modified":          ofPath(fileModified),
		"File Type":              ofPath(fileType),
		"File Details":           p.fileDetails(),
		"Link Target":            ofPath(linkTarget),
		"File Contents":          ofPath(fileContents),
		"Last Lines":             pathAnd(1, lastLines),
		"Matching Lines":         pathAnd(1, matchingLines),
		"File Contains":          pathAnd(1, fileContains),
		"INI Setting":            pathAnd(2, iniSetting),
		"JSON Value":             pathAnd(1, jsonValue),
		"Folder Contents":        ofPath(folderContents),
		"Matching Files":         ofPath(matchingFiles),
		"File Hashes":            ofPath(p.matchingHashes),
		"Find Files":             pathAnd(1, findFiles),
		"Find Files by Hash":     pathAnd(2, p.findByHash),
		"Large Files":            pathAnd(1, largeFiles),
		"Recently Changed Files": pathAnd(1, recentFiles),
		"Folder Size":            ofPath(folderSize),
		"Subfolder Sizes":        ofPath(subfolderSizes),
	}
}

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

// passedOver reports whether err is about a file that is not there, is none, is
// too long or may not be read: people's folders are full of those.
func passedOver(err error) bool {
	kind := fault.KindOf(err)
	return absent(err) || kind == fault.Denied || kind == fault.Invalid || errors.Is(err, fs.ErrPermission)
}

func notRegular(path string) error {
	return fault.New(fault.Invalid, "%s is not a regular file", path)
}

func fileContents(_ context.Context, path string) ([][]string, error) {
	text, err := smallText(path, contentsMax)
	if err != nil {
		return nil, err
	}
	lines := splitLines(text)
	if len(lines) > contentsLines {
		return nil, fault.New(fault.Invalid, "the file has more than %d lines", contentsLines)
	}
	rows := make([][]string, len(lines))
	for i, line := range lines {
		rows[i] = []string{strconv.Itoa(i + 1), line}
	}
	return rows, nil
}

// smallText reads a text file whole, if it is a regular one and not longer than
// limit bytes.
func smallText(path string, limit int64) (string, error) {
	b, err := smallFile(path, limit)
	return decodeText(b), err
}

func smallFile(path string, limit int64) ([]byte, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, tooLarge(limit)
	}
	return b, nil
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
