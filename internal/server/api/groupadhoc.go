package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/shelf"
)

const (
	// adHocLife is how long an ad hoc group is kept that nothing names and no
	// question was about: longer than anybody looks at the answer from which he
	// has made it.
	adHocLife = 24 * time.Hour
	// adHocMax is how many such groups one user may have, so that nobody fills
	// memory and disk: who makes one of each answer does not come near.
	adHocMax = 1000
	// adHocAtOnce is how many are deleted in one change; others wait meanwhile.
	adHocAtOnce = 500
)

func isAdHoc(r *shelf.Record) bool { return r.Object.Int("type") == groupAdHoc && r.Name == "" }

// forgetAdHoc deletes the ad hoc groups that are old, that no other object names,
// and that no question was about since they have been as old.
func (s *server) forgetAdHoc(ctx context.Context, now time.Time) error {
	before := now.Add(-adHocLife)
	asked, err := s.store.ContextGroups(ctx, before)
	if err != nil {
		return err
	}
	needed := map[int64]bool{}
	for _, id := range asked {
		needed[id] = true
	}
	for {
		var gone []*shelf.Record
		forget := func(ch *shelf.Change) error {
			gone = slices.DeleteFunc(looseGroups(ch), func(r *shelf.Record) bool { return needed[r.ID] || !r.Modified.Before(before) })
			gone = gone[:min(len(gone), adHocAtOnce)]
			for _, r := range gone {
				if err := ch.Delete(r); err != nil {
					return err
				}
			}
			return nil
		}
		if !s.anyOld(before) {
			return nil // most often; nobody waits for that
		}
		if err := s.shelves.Change(ctx, shelf.Author{UserName: "Catenary"}, forget); err != nil {
			return err
		}
		for _, r := range gone {
			s.book.changed(ctx, call{}, r, nil)
		}
		if len(gone) < adHocAtOnce {
			return nil
		}
	}
}

func (s *server) anyOld(before time.Time) bool {
	for _, r := range s.shelves.All("group") {
		if isAdHoc(r) && r.Modified.Before(before) {
			return true
		}
	}
	return false
}

// looseGroups are the ad hoc groups that no object names, other groups included.
func looseGroups(ch *shelf.Change) (out []*shelf.Record) {
	named := map[int64]bool{}
	for _, k := range shelf.Kinds {
		for _, r := range ch.All(k.Name) {
			eachReference(r.Object, func(kind string, id int64) {
				if kind == "group" {
					named[id] = true
				}
			})
		}
	}
	for _, r := range ch.All("group") {
		if isAdHoc(r) && !named[r.ID] {
			out = append(out, r)
		}
	}
	return out
}

// roomForAdHoc refuses another ad hoc group to who has too many that nothing
// names. Catenary itself makes them for others.
func roomForAdHoc(ch *shelf.Change) error {
	by := ch.Author().UserID
	if by == 0 {
		return nil
	}
	his := 0
	for _, r := range ch.All("group") {
		if isAdHoc(r) && r.CreatedBy == by {
			his++
		}
	}
	if his < adHocMax { // most often; what names them need not be found out
		return nil
	}
	his = 0
	for _, r := range looseGroups(ch) {
		if r.CreatedBy == by {
			his++
		}
	}
	if his < adHocMax {
		return nil
	}
	return refusal{http.StatusTooManyRequests, fault.New(fault.Unavailable,
		"Too many groups: %d without a name are yours, and nothing uses them; those are deleted that were not used for %d hours", his, adHocLife/time.Hour)}
}
