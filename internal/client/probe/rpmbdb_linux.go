package probe

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
)

// The oldest form of rpm's database: a hash of Berkeley DB. Its file consists
// of pages of one size; the first describes it. Numbers have the byte order
// of the machine that made it.
const (
	bdbMagic       = 0x00061561
	bdbMeta        = 8  // type of the first page
	bdbHash        = 13 // type of a page with keys and values
	bdbHashOld     = 2  // the same before they were sorted
	bdbOverflow    = 7  // type of a page with a piece of an item that is too large for a hash page
	bdbInline      = 1  // type of an item that stands on the hash page
	bdbOffPage     = 3  // type of an item of which the hash page tells the first overflow page
	bdbPageHead    = 26
	bdbOffPageSize = 12
	bdbPageMin     = 512
	bdbPageMax     = 64 << 10
)

// A bdb is an open database.
type bdb struct {
	io.ReaderAt
	order    binary.ByteOrder
	pageSize uint32
	last     uint32 // number of the last page
	left     uint32 // overflow pages that can be left to read: each belongs to one item
}

func readBDB(ctx context.Context, r *io.SectionReader, visit func(header []byte) error) error {
	db, err := openBDB(r)
	if err != nil {
		return err
	}
	for n := uint32(1); n <= db.last; n++ {
		if ctx.Err() != nil {
			return fmt.Errorf("reading the packages stopped: %w", context.Cause(ctx))
		}
		page, err := db.page(n)
		if err != nil {
			return err
		}
		if page[25] != bdbHash && page[25] != bdbHashOld {
			continue
		}
		if err := db.values(page, visit); err != nil {
			return err
		}
	}
	return nil
}

func openBDB(r *io.SectionReader) (*bdb, error) {
	head := make([]byte, bdbPageMin)
	if _, err := r.ReadAt(head, 0); err != nil {
		return nil, damaged("its head: %w", err)
	}
	db := &bdb{ReaderAt: r, order: binary.LittleEndian}
	if binary.BigEndian.Uint32(head[12:]) == bdbMagic {
		db.order = binary.BigEndian
	}
	db.pageSize, db.last = db.order.Uint32(head[20:]), db.order.Uint32(head[32:])
	powerOfTwo := db.pageSize&(db.pageSize-1) == 0
	if db.order.Uint32(head[12:]) != bdbMagic || head[25] != bdbMeta ||
		db.pageSize < bdbPageMin || db.pageSize > bdbPageMax || !powerOfTwo {
		return nil, damaged("its head is that of no hash of Berkeley DB")
	}
	if pages := r.Size() / int64(db.pageSize); int64(db.last) >= pages {
		return nil, damaged("it has %d pages and says that the last is number %d", pages, db.last)
	}
	db.left = db.last
	return db, nil
}

func (db *bdb) page(n uint32) ([]byte, error) {
	page := make([]byte, db.pageSize)
	if _, err := db.ReadAt(page, int64(n)*int64(db.pageSize)); err != nil {
		return nil, damaged("page %d: %w", n, err)
	}
	return page, nil
}

// values visits the values on a hash page. Keys and values take turns in its
// index of offsets; the items themselves fill the page from its end.
func (db *bdb) values(page []byte, visit func(header []byte) error) error {
	entries := int(db.order.Uint16(page[20:]))
	if bdbPageHead+2*entries > len(page) {
		return damaged("a page with %d items", entries)
	}
	for i := 1; i < entries; i += 2 {
		start := int(db.order.Uint16(page[bdbPageHead+2*i:]))
		end := int(db.order.Uint16(page[bdbPageHead+2*(i-1):])) // the key before it lies behind it
		if start >= len(page) {
			return damaged("an item that lies outside of its page")
		}
		item := page[start:min(max(end, start), len(page))]
		if page[start] == bdbOffPage && start+bdbOffPageSize <= len(page) {
			item = page[start : start+bdbOffPageSize]
		}
		header, err := db.item(item)
		if err != nil {
			return err
		}
		if header == nil {
			continue
		}
		if err := visit(header); err != nil {
			return err
		}
	}
	return nil
}

// item returns the header that an item of a hash page holds, or nothing: rpm
// keeps a counter of packages among them, which is shorter than any header.
func (db *bdb) item(item []byte) ([]byte, error) {
	switch {
	case len(item) > rpmIntro+rpmEntry && item[0] == bdbInline:
		return item[1:], nil
	case len(item) == bdbOffPageSize && item[0] == bdbOffPage:
		return db.overflow(db.order.Uint32(item[4:]), db.order.Uint32(item[8:]))
	}
	return nil, nil
}

// overflow joins the pages of a large item, which each name the next one. They
// end where the item does, or the database is damaged: pages might even name
// each other in a circle.
func (db *bdb) overflow(n, size uint32) ([]byte, error) {
	var b []byte
	for uint32(len(b)) < size {
		if n == 0 || n > db.last || db.left == 0 {
			return nil, damaged("a package that ends too early or not at all")
		}
		db.left--
		page, err := db.page(n)
		if err != nil {
			return nil, err
		}
		used := int(db.order.Uint16(page[22:])) // for overflow pages: bytes of the item
		if page[25] != bdbOverflow || used == 0 || bdbPageHead+used > len(page) {
			return nil, damaged("page %d is no piece of a package", n)
		}
		b = append(b, page[bdbPageHead:bdbPageHead+used]...)
		n = db.order.Uint32(page[16:])
	}
	return b[:size], nil
}
