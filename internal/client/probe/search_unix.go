//go:build unix

package probe

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// temporaryMax bounds the entries of the folders for temporary files that are
// looked at.
const temporaryMax = 100_000

// deviceOf tells the file system on which a file lies.
func deviceOf(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev)
	}
	return 0
}

// severalNames reports whether a file has more than one name, and what it is
// that they name.
func severalNames(info fs.FileInfo) (id [2]uint64, several bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Nlink < 2 {
		return id, false
	}
	return [2]uint64{uint64(st.Dev), st.Ino}, true
}

// modeText writes who may do what with a file as chmod takes it, four octal
// digits.
func modeText(mode uint32) string { return fmt.Sprintf("%04o", mode&0o7777) }

// unixMode is a file's mode with its special bits as the system numbers them.
func unixMode(info fs.FileInfo) uint32 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint32(st.Mode)
	}
	return 0
}

// ownership tells a file's mode, owner and group.
func (p *Probe) ownership(info fs.FileInfo) (mode, owner, group string) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", "", ""
	}
	return modeText(uint32(st.Mode)), p.userNames().of(idText(st.Uid)), p.groupNames().of(idText(st.Gid))
}

func idText(id uint32) string { return strconv.FormatUint(uint64(id), 10) }

// groupNames are the names of the groups that the machine keeps.
func (p *Probe) groupNames() userNames {
	b, err := p.root.read("etc/group")
	if err != nil {
		return nil
	}
	return namesOfGroups(parseGroups(string(b)))
}

// fileSearch is a fact of files below a folder of which row makes a row.
func (p *Probe) fileSearch(row func(path string, info fs.FileInfo, users, groups userNames) []string) fact {
	return ofPath(func(ctx context.Context, folder string) ([][]string, error) {
		users, groups := p.userNames(), p.groupNames()
		var rows [][]string
		_, err := walk(ctx, folder, walkMax, func(path string, e fs.DirEntry) error {
			info, err := e.Info()
			if err != nil {
				return nil // gone meanwhile
			}
			if r := row(path, info, users, groups); r != nil {
				rows = append(rows, r)
			}
			return enough(len(rows), searchMax)
		})
		return rows, err
	})
}

// unixFileFacts are told of files where files have owners and modes.
func (p *Probe) unixFileFacts() map[string]fact {
	return map[string]fact{
		"SUID Files":                 p.fileSearch(suidRow),
		"World Writable Files":       p.fileSearch(worldWritableRow),
		"Unowned Files":              p.fileSearch(unownedRow),
		"Temporary Executables":      p.tableIn(p.temporaryExecutables),
		"Sensitive File Permissions": p.tableIn(p.sensitiveFiles),
		"Trust Files":                p.tableIn(p.trustFiles),
		"Writable Path Folders":      p.tableIn(p.writableFolders),
		"Configured Mounts":          p.tableIn(configuredMounts),
		"SSH Host Keys":              p.tableIn(hostKeys),
		"SSH Server Settings":        p.tableIn(sshSettings),
		"SSH Server Setting":         p.withIn(1, sshSetting),
		"PAM Rules":                  p.tableIn(pamRules),
		"Python Packages":            p.tableIn(pythonPackages),
		"Node Packages":              p.tableIn(nodePackages),
		"Ruby Gems":                  p.tableIn(rubyGems),
		"Java Runtimes":              p.tableIn(javaRuntimes),
	}
}

func suidRow(path string, info fs.FileInfo, users, groups userNames) []string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() || uint32(st.Mode)&(unix.S_ISUID|unix.S_ISGID) == 0 {
		return nil
	}
	return []string{path, users.of(idText(st.Uid)), groups.of(idText(st.Gid)), modeText(uint32(st.Mode))}
}

// worldWritableRow passes over folders whose files only their owners may
// remove, as /tmp is.
func worldWritableRow(path string, info fs.FileInfo, users, _ userNames) []string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || info.Mode()&fs.ModeSymlink != 0 || uint32(st.Mode)&unix.S_IWOTH == 0 || info.IsDir() && uint32(st.Mode)&unix.S_ISVTX != 0 {
		return nil
	}
	kind := entryFile
	switch {
	case info.IsDir():
		kind = entryFolder
	case !info.Mode().IsRegular():
		return nil // a device or a socket keeps its own rules
	}
	return []string{path, kind, users.of(idText(st.Uid)), modeText(uint32(st.Mode))}
}

func unownedRow(path string, info fs.FileInfo, users, groups userNames) []string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	uid, gid := idText(st.Uid), idText(st.Gid)
	_, hasUser := users[uid]
	_, hasGroup := groups[gid]
	if hasUser && hasGroup {
		return nil
	}
	return []string{path, uid, gid}
}

// temporaryFolders are where everybody may put files.
var temporaryFolders = []string{"/tmp", "/var/tmp", "/dev/shm"}

func (p *Probe) temporaryExecutables(ctx context.Context, at tree) ([][]string, error) {
	users := p.userNames()
	var rows [][]string
	for _, folder := range temporaryFolders {
		if !isFolder(at.at(folder)) {
			continue
		}
		_, err := walk(ctx, at.at(folder), temporaryMax, func(path string, e fs.DirEntry) error {
			if !e.Type().IsRegular() {
				return nil
			}
			info, err := e.Info()
			if err != nil || info.Mode()&0o111 == 0 {
				return nil
			}
			kind, err := fileType(ctx, path)
			if err != nil {
				return nil // gone meanwhile
			}
			st, ok := info.Sys().(*syscall.Stat_t)
			if ok {
				rows = append(rows, []string{at.path(path), users.of(idText(st.Uid)), kind[0][0], date(info.ModTime())})
			}
			return enough(len(rows), searchMax)
		})
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// sensitive are files that must be nobody else's.
var sensitive = []string{
	"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/passwd-", "/etc/shadow-", "/etc/group-", "/etc/gshadow-",
	"/etc/sudoers", "/etc/sudoers.d", "/etc/crontab", "/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly",
	"/etc/cron.monthly", "/etc/cron.allow", "/etc/at.allow", "/etc/ssh/sshd_config", "/etc/ssh/ssh_host_*_key", "/etc/krb5.keytab",
	"/etc/ld.so.preload", "/etc/security/opasswd", "/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/etc/grub.d", "/etc/master.passwd",
	"/root", "/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog", "/etc/docker", "/var/run/docker.sock", "/etc/kubernetes/admin.conf",
}

func (p *Probe) sensitiveFiles(_ context.Context, at tree) ([][]string, error) {
	var rows [][]string
	for _, pattern := range sensitive {
		paths, err := at.glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			info, err := os.Stat(at.at(path))
			if err != nil {
				continue // gone meanwhile, or a link to nothing
			}
			mode, owner, group := p.ownership(info)
			rows = append(rows, []string{path, owner, group, mode})
		}
	}
	return rows, nil
}

// trusting are files in home folders that let others in or keep passwords.
var trusting = []string{
	".rhosts", ".shosts", ".netrc", ".pgpass", ".my.cnf", ".git-credentials", ".aws/credentials", ".docker/config.json", ".vault-token",
	".kube/config", ".npmrc", ".pypirc", ".config/gh/hosts.yml", ".config/gcloud/application_default_credentials.json",
}

func (p *Probe) trustFiles(ctx context.Context, at tree) ([][]string, error) {
	paths := []string{"/etc/hosts.equiv", "/etc/ssh/shosts.equiv"}
	err := perHome(ctx, at, func(h home) error {
		for _, name := range trusting {
			paths = append(paths, filepath.Join(h.folder, name))
		}
		return nil
	})
	var rows [][]string
	for _, path := range paths {
		info, err := os.Lstat(at.at(path))
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		mode, owner, _ := p.ownership(info)
		rows = append(rows, []string{path, owner, mode})
	}
	return uniqueRows(rows), err
}

// searchFolders are where the master's shells look for programs.
var searchFolders = []string{
	"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/opt/homebrew/bin", "/snap/bin",
}

// writableFolders names folders of the search path, and those above them, that
// somebody but root may write to.
func (p *Probe) writableFolders(_ context.Context, at tree) ([][]string, error) {
	var rows [][]string
	seen := map[string]bool{}
	for _, folder := range searchFolders {
		for ; folder != "/" && !seen[folder]; folder = filepath.Dir(folder) {
			seen[folder] = true
			info, err := os.Stat(at.at(folder))
			if err != nil {
				continue // not there
			}
			st, ok := info.Sys().(*syscall.Stat_t)
			if !ok {
				continue
			}
			byGroup := unixMode(info)&unix.S_IWGRP != 0 && st.Gid != 0
			if st.Uid != 0 || byGroup || unixMode(info)&unix.S_IWOTH != 0 {
				mode, owner, _ := p.ownership(info)
				rows = append(rows, []string{folder, owner, mode})
			}
		}
	}
	return uniqueRows(rows), nil
}

// configuredMounts reads fstab(5): source, place, kind, options.
func configuredMounts(_ context.Context, at tree) ([][]string, error) {
	text, err := at.text("etc/fstab")
	var rows [][]string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 3 || strings.HasPrefix(f[0], "#") {
			continue
		}
		options := "defaults"
		if len(f) > 3 {
			options = f[3]
		}
		rows = append(rows, []string{unescape(f[1]), unescape(f[0]), f[2], options})
	}
	return rows, err
}
