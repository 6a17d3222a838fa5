package probe

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
	"time"

	"catenary/internal/fault"
)

const (
	hashMax   = 4 << 30         // bytes of one file: at a gigabyte per second a few seconds
	hashBlock = 256 << 10       // bytes read between two looks at the context
	sumsMax   = 4096            // files remembered, about 400 bytes each: more than any system runs at once
	settled   = 2 * time.Second // a file changed more recently could change again within one tick of its clock
)

// An identity tells one state of one file from every other. A file that is
// written to has another identity afterwards.
type identity struct {
	device, inode     uint64
	size              int64
	modified, changed int64 // nanoseconds since 1970
}

// A digest is a way to hash a file.
type digest uint8

const (
	sha256Sum digest = iota
	sha1Sum
	md5Sum
)

func (d digest) new() hash.Hash {
	switch d {
	case sha1Sum:
		return sha1.New()
	case md5Sum:
		return md5.New()
	default:
		return sha256.New()
	}
}

// A summed is a state of a file and how it was hashed.
type summed struct {
	file identity
	by   digest
}

// sums remembers the hashes of files, so that asking for the hashes of all
// running programs does not read them all again.
type sums struct {
	mu    sync.Mutex // guards known
	known map[summed]string
}

func (s *sums) recall(id summed) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum, ok := s.known[id]
	return sum, ok
}

// remember keeps a hash, in the place of an arbitrary other one if need be.
func (s *sums) remember(id summed, sum string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = make(map[summed]string)
	}
	for old := range s.known {
		if len(s.known) < sumsMax {
			break
		}
		delete(s.known, old)
	}
	s.known[id] = sum
}

// of returns the hash of the regular file at the path, in hex.
func (s *sums) of(ctx context.Context, path string, by digest) (string, error) {
	f, err := openRegular(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	before, err := f.identity()
	if err != nil {
		return "", err
	}
	if sum, ok := s.recall(summed{before, by}); ok {
		return sum, nil
	}
	if before.size > hashMax {
		return "", tooLarge(hashMax)
	}
	sum, err := sumOf(ctx, f, by, hashMax)
	if err != nil {
		return "", err
	}
	after, err := f.identity()
	if err != nil {
		return "", err
	}
	if after == before && time.Since(time.Unix(0, max(after.modified, after.changed))) > settled {
		s.remember(summed{after, by}, sum)
	}
	return sum, nil
}

// sumOf hashes what r has to give, if that is not more than limit bytes.
func sumOf(ctx context.Context, r io.Reader, by digest, limit int64) (string, error) {
	h := by.new()
	block := make([]byte, hashBlock)
	for total := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return "", fmt.Errorf("hashing stopped: %w", context.Cause(ctx))
		}
		n, err := r.Read(block)
		if total += int64(n); total > limit {
			return "", tooLarge(limit)
		}
		h.Write(block[:n])
		if errors.Is(err, io.EOF) {
			return hex.EncodeToString(h.Sum(nil)), nil
		}
		if err != nil {
			return "", err
		}
	}
}

func tooLarge(limit int64) error {
	return fault.New(fault.Invalid, "the file has more than %d bytes", limit)
}

// fileHash is a fact of a file's hash.
func (p *Probe) fileHash(by digest) fact {
	return ofPath(func(ctx context.Context, path string) ([][]string, error) {
		sum, err := p.sums.of(ctx, path, by)
		if err != nil {
			return nil, err
		}
		return [][]string{{sum}}, nil
	})
}
