package probe

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	// kernelFileMax bounds how much of one of the system's own files is read, in
	// bytes. The largest are the tables of sockets, 150 bytes a socket.
	kernelFileMax = 64 << 20
	// foundMax bounds the names that a pattern may stand for in one folder.
	foundMax = 10_000
)

// A tree is where the system's own files are looked up: "/", or in a test a
// folder with the files of a machine that the test has not.
type tree string

// at is the real path of a path of the tree.
func (t tree) at(path string) string { return filepath.Join(string(t), path) }

// read reads one of the system's own files whole.
func (t tree) read(path string) ([]byte, error) { return readSystem(t.at(path)) }

// text reads one of the system's own files; one that is not there is empty.
func (t tree) text(path string) (string, error) {
	b, err := t.read(path)
	if absent(err) {
		return "", nil
	}
	return string(b), err
}

// line reads a file of one line, as /sys has for each of its facts.
func (t tree) line(path string) (string, error) { return readLine(t.at(path)) }

// attribute is the content of a file of one line, or nothing: the kernel
// refuses attributes that make no sense for a device in as many ways as it has
// drivers.
func (t tree) attribute(path string) string {
	s, err := t.line(path)
	if err != nil {
		return ""
	}
	return s
}

// names returns the names in a folder, sorted. A folder that is not there has
// none.
func (t tree) names(folder string) ([]string, error) { return entries(t.at(folder)) }

// has reports whether anything is at a path.
func (t tree) has(path string) bool {
	_, err := os.Stat(t.at(path))
	return err == nil
}

// link is what a link's name says that it leads to, without the folders; empty
// if there is no such link.
func (t tree) link(path string) string {
	target, err := os.Readlink(t.at(path))
	if err != nil {
		return ""
	}
	return filepath.Base(target)
}

// glob returns the paths of the tree that match a pattern, sorted.
func (t tree) glob(pattern string) ([]string, error) {
	found, err := filepath.Glob(t.at(pattern))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", pattern, err)
	}
	for i, path := range found {
		found[i] = t.path(path)
	}
	return found[:min(len(found), foundMax)], nil
}

// path is the path of the tree at a real path.
func (t tree) path(real string) string {
	if t == machineTree {
		return real
	}
	return filepath.Join(string(filepath.Separator), strings.TrimPrefix(real, string(t)))
}

// readSystem reads one of the system's own files whole.
func readSystem(path string) ([]byte, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(io.LimitReader(f, kernelFileMax+1)); err != nil {
		return nil, err
	}
	if b.Len() > kernelFileMax {
		return nil, fmt.Errorf("%s: %w", path, tooLarge(kernelFileMax))
	}
	return b.Bytes(), nil
}

// readLine reads a file of one line.
func readLine(path string) (string, error) {
	b, err := readSystem(path)
	return strings.TrimRight(string(b), "\x00\r\n\t "), err
}

// entries returns the names in a folder, sorted. A folder that is gone has none.
func entries(folder string) ([]string, error) {
	found, err := os.ReadDir(folder)
	if err != nil && !absent(err) {
		return nil, pathError(err)
	}
	var names []string
	for _, e := range found {
		names = append(names, e.Name())
	}
	return names, nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// uniqueRows sorts rows and says each once.
func uniqueRows(rows [][]string) [][]string {
	slices.SortFunc(rows, slices.Compare)
	return slices.CompactFunc(rows, slices.Equal)
}

// countRows makes a row of each name and its count.
func countRows(counts map[string]int) [][]string {
	var rows [][]string
	for name, n := range counts {
		rows = append(rows, []string{name, strconv.Itoa(n)})
	}
	return uniqueRows(rows)
}
