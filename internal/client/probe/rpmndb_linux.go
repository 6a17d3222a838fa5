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

// readNDB visits the packages of a database. All together they cannot be
// longer than the file: one that says so is damaged.
func readNDB(ctx context.Context, r *io.SectionReader, visit func(header []byte) error) error {
	head := make([]byte, 2*ndbBlock)
	if _, err := r.ReadAt(head, 0); err != nil {
		return damaged("its head: %w", err)
	}
	pages := binary.LittleEndian.Uint32(head[12:])
	if string(head[:4]) != ndbMagic || binary.LittleEndian.Uint32(head[4:]) != 0 || pages == 0 || pages > ndbPagesMax {
		return damaged("its head is that of no database of packages")
	}
	left := r.Size()
	slot := make([]byte, ndbBlock)
	for at := int64(len(head)); at < int64(pages)*ndbPage; at += ndbBlock {
		if ctx.Err() != nil {
			return fmt.Errorf("reading the packages stopped: %w", context.Cause(ctx))
		}
		if _, err := r.ReadAt(slot, at); err != nil {
			return damaged("its slots: %w", err)
		}
		if string(slot[:4]) != ndbSlotMagic {
			return damaged("a slot that is none")
		}
		number, block := binary.LittleEndian.Uint32(slot[4:]), binary.LittleEndian.Uint32(slot[8:])
		if number == 0 { // free
			continue
		}
		header, err := readNDBBlob(r, number, int64(block)*ndbBlock, left)
		if err != nil {
			return err
		}
		left -= int64(len(header))
		if err := visit(header); err != nil {
			return err
		}
	}
	return nil
}

// readNDBBlob reads the header of the package of the given number, which may
// have at most left bytes.
func readNDBBlob(r io.ReaderAt, number uint32, offset, left int64) ([]byte, error) {
	head := make([]byte, ndbBlock)
	if _, err := r.ReadAt(head, offset); err != nil {
		return nil, damaged("package %d: %w", number, err)
	}
	size := binary.LittleEndian.Uint32(head[12:])
	if string(head[:4]) != ndbBlobMagic || binary.LittleEndian.Uint32(head[4:]) != number || int64(size) > left {
		return nil, damaged("package %d is not where its slot says", number)
	}
	header := make([]byte, size)
	if _, err := r.ReadAt(header, offset+ndbBlock); err != nil {
		return nil, damaged("package %d: %w", number, err)
	}
	return header, nil
}
