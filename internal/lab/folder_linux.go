package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"catenary/internal/fault"
)

// A folder is where a lab can be found by other programs: one below the
// system's temporary folder for each lab, locked for as long as it lives. What
// the lab makes has no names outside of it, so that this folder, written
// before anything else is made, is all that a dead lab leaves behind.
type folder struct {
	path string
	lock *os.File // of the one who has made it
	seat
}

// A seat is what the folder's file says of the lab.
type seat struct {
	PID  int    `json:"pid"`  // of the inner process; 0 before it starts
	Data string `json:"data"` // folder of the programs' data
	// Profile is a file that tells `catenary ask` of the lab, if there is one.
	Profile string `json:"profile,omitempty"`
}

// dropProfile removes the profile, unless it tells of another lab by now.
func (s seat) dropProfile() error {
	if s.Profile == "" {
		return nil
	}
	data, err := os.ReadFile(s.Profile)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil || !strings.Contains(string(data), s.Data):
		return err
	}
	return os.Remove(s.Profile)
}

const (
	folderPrefix = "catenary-lab-"
	newPrefix    = ".catenary-lab-" // of a folder that is not locked yet
	seatFile     = "lab.json"
	lockName     = "lock"
	socketName   = "control"
)

func (f folder) socket() string { return filepath.Join(f.path, socketName) }

// newFolder makes and locks the folder of a new lab.
func newFolder() (f folder, err error) {
	path, err := os.MkdirTemp("", newPrefix)
	if err != nil {
		return f, err
	}
	if f.lock, err = os.OpenFile(filepath.Join(path, lockName), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return f, errors.Join(err, os.RemoveAll(path))
	}
	if err = unix.Flock(int(f.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return f, errors.Join(fmt.Errorf("lock %s: %w", path, err), os.RemoveAll(path))
	}
	f.path = filepath.Join(filepath.Dir(path), folderPrefix+strings.TrimPrefix(filepath.Base(path), newPrefix))
	if err := os.Rename(path, f.path); err != nil {
		return f, errors.Join(err, os.RemoveAll(path))
	}
	f.Data = filepath.Join(f.path, "data")
	return f, f.write()
}

func (f folder) write() error {
	data, err := json.Marshal(f.seat)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(f.path, seatFile), data, 0o600)
}

func (f *folder) read() error {
	data, err := os.ReadFile(filepath.Join(f.path, seatFile))
	if err != nil {
		return err
	}
	return json.Unmarshal(data, &f.seat)
}

// remove clears the folder away. Data that the user wanted elsewhere stays.
func (f folder) remove() error {
	return errors.Join(os.RemoveAll(f.path), f.lock.Close())
}

// folders finds the labs that live, and the paths of dead ones.
func folders() (live []folder, dead []string, err error) {
	paths, err := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*"))
	if err != nil {
		return nil, nil, err
	}
	for _, path := range paths {
		f := folder{path: path}
		alive, err := f.alive()
		if err != nil {
			return nil, nil, err
		}
		if !alive {
			dead = append(dead, path)
			continue
		}
		if f.read() != nil {
			continue // it is being made, or being removed, at this moment
		}
		live = append(live, f)
	}
	return live, dead, nil
}

// clearAway removes what dead labs have left, and says so.
func clearAway(dead []string, out io.Writer) error {
	for _, path := range dead {
		f := folder{path: path}
		// What cannot be read was not yet written: then there is no profile either.
		if f.read() == nil {
			if err := f.dropProfile(); err != nil {
				return fmt.Errorf("remove what a dead lab has left: %w", err)
			}
		}
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove what a dead lab has left: %w", err)
		}
		if _, err := fmt.Fprintf(out, "removed %s, left by a dead lab\n", path); err != nil {
			return err
		}
	}
	return nil
}

// alive reports whether a process holds the folder's lock.
func (f folder) alive() (bool, error) {
	lock, err := os.OpenFile(filepath.Join(f.path, lockName), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil // half removed
	}
	if err != nil {
		return false, err
	}
	defer lock.Close()
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

// find returns the running lab whose data lie in the given folder, or without
// one the only running lab.
func find(data string) (folder, error) {
	live, _, err := folders()
	if err != nil {
		return folder{}, err
	}
	var names []string
	for _, f := range live {
		if data != "" && sameFile(data, f.Data) {
			return f, nil
		}
		names = append(names, f.Data)
	}
	switch {
	case len(live) == 0:
		return folder{}, fault.New(fault.NotFound, "no lab runs; `catenary lab up` starts one")
	case data != "":
		return folder{}, fault.New(fault.NotFound, "no lab runs in %s, but in %s", data, strings.Join(names, " and "))
	case len(live) > 1:
		return folder{}, fault.New(fault.Conflict, "several labs run; choose one with --dir: %s", strings.Join(names, ", "))
	}
	return live[0], nil
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
