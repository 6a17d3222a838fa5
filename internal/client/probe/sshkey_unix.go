//go:build unix

package probe

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	keyFileMax  = 1 << 20 // bytes of a file of keys
	keyFilesMax = 1_000   // files in an account's folder of keys
)

// perHome calls visit for the home folder of each person. What a person keeps
// from others, or has not, is passed over.
func perHome(ctx context.Context, at tree, visit func(home) error) error {
	all, err := homes(at)
	if err != nil {
		return err
	}
	for _, h := range all {
		if err := stoppedIf(ctx, "reading the home folders"); err != nil {
			return err
		}
		if err := visit(h); err != nil && !passedOver(err) {
			return err
		}
	}
	return nil
}

func authorizedKeys(ctx context.Context, at tree) ([][]string, error) {
	var rows [][]string
	err := perHome(ctx, at, func(h home) error {
		for _, name := range []string{"authorized_keys", "authorized_keys2"} {
			text, err := smallText(at.at(filepath.Join(h.folder, ".ssh", name)), keyFileMax)
			if err != nil {
				if passedOver(err) {
					continue
				}
				return err
			}
			for line := range strings.Lines(text) {
				if k, ok := parseSSHKey(line); ok {
					rows = append(rows, []string{h.user, k.kind, k.fingerprint, k.comment, k.options})
				}
			}
		}
		return nil
	})
	return uniqueRows(rows), err
}

func privateKeys(ctx context.Context, at tree) ([][]string, error) {
	var rows [][]string
	err := perHome(ctx, at, func(h home) error {
		folder := filepath.Join(h.folder, ".ssh")
		names, err := at.names(folder)
		if err != nil {
			return err
		}
		for _, name := range names[:min(len(names), keyFilesMax)] {
			path := filepath.Join(folder, name)
			text, err := smallText(at.at(path), keyFileMax)
			if err != nil {
				if passedOver(err) {
					continue
				}
				return err
			}
			if form, encrypted, ok := privateKey(text); ok {
				rows = append(rows, []string{h.user, path, form, yesNo(encrypted)})
			}
		}
		return nil
	})
	return uniqueRows(rows), err
}

func hostKeys(_ context.Context, at tree) ([][]string, error) {
	files, err := at.glob("/etc/ssh/ssh_host_*_key.pub")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, file := range files {
		text, err := smallText(at.at(file), keyFileMax)
		if err != nil {
			return nil, err
		}
		if k, ok := parseSSHKey(text); ok {
			rows = append(rows, []string{k.kind, strconv.Itoa(k.bits), k.fingerprint, file})
		}
	}
	slices.SortFunc(rows, slices.Compare)
	return rows, nil
}
