package probe

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
)

// The ndb form of rpm's database (SUSE): a head of 32 bytes, pages of slots of
// 16 bytes of which the head takes the place of the first two, and the headers
// of packages in blocks of 16 bytes. All numbers are little-endian.
const (
	ndbMagic     = "RpmP"
	ndbSlotMagic = "Slot"
	ndbBlobMagic = "BlbS"
	ndbBlock     = 16
	ndbPage      = 4096
	ndbPagesMax  = 2048 // half a million packages
)

func readNDB(ctx context.Context, r io.ReaderAt, visit func(header []byte) error) error {
	head := make([]byte, 2*ndbBlock)
	if _, err := r.ReadAt(head, 0); err != nil {
		return damaged("its head: %w", err)
	}
	pages := binary.LittleEndian.Uint32(head[12:])
	if string(head[:4]) != ndbMagic || binary.LittleEndian.Uint32(head[4:]) != 0 || pages == 0 || pages > ndbPagesMax {
		return damaged("its head is that of no database of packages")
	}
	slots := make([]byte, pages*ndbPage-2*ndbBlock)
	if _, err := r.ReadAt(slots, 2*ndbBlock); err != nil {
		return damaged("its slots: %w", err)
	}
	for ; len(slots) > 0; slots = slots[ndbBlock:] {
		if ctx.Err() != nil {
			return fmt.Errorf("reading the packages stopped: %w", context.Cause(ctx))
		}
		if string(slots[:4]) != ndbSlotMagic {
			return damaged("a slot that is none")
		}
		number, block := binary.LittleEndian.Uint32(slots[4:]), binary.LittleEndian.Uint32(slots[8:])
		if number == 0 { // free
			continue
		}
		header, err := readNDBBlob(r, number, int64(block)*ndbBlock)
		if err != nil {
			return err
		}
		if err := visit(header); err != nil {
			return err
		}
	}
	return nil
}

// readNDBBlob reads the header of the package of the given number.
func readNDBBlob(r io.ReaderAt, number uint32, offset int64) ([]byte, error) {
	head := make([]byte, ndbBlock)
	if _, err := r.ReadAt(head, offset); err != nil {
		return nil, damaged("package %d: %w", number, err)
	}
	size := binary.LittleEndian.Uint32(head[12:])
	if string(head[:4]) != ndbBlobMagic || binary.LittleEndian.Uint32(head[4:]) != number || size > rpmHeaderMax {
		return nil, damaged("package %d is not where its slot says", number)
	}
	return readExactly(r, offset+ndbBlock, int64(size))
}

// readExactly reads n bytes, of which it takes memory for no more than there
// are.
func readExactly(r io.ReaderAt, offset, n int64) ([]byte, error) {
	b, err := io.ReadAll(io.NewSectionReader(r, offset, n))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) != n {
		return nil, damaged("%d bytes at %d end after %d", n, offset, len(b))
	}
	return b, nil
}
