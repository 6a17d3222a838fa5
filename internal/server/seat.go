package server

import (
	"context"
	"time"

	"catenary/internal/server/roster"
	"catenary/internal/server/store"
	"catenary/internal/wire"
)

// A client is told a slot only when that is written down: after a crash, too,
// the server knows whose every slot is, and gives it to nobody else.

// place registers a client and returns the reply when the slot that it names
// outlives a crash. Every way in which clients register goes through here.
func (s *Server) place(ctx context.Context, by call, m wire.Register) (reply wire.Registered, err error) {
	id := by.id
	var fresh *store.Touch
	if doErr := s.do(ctx, func(h *hub) {
		if reply, err = h.register(time.Now(), by, m); err == nil {
			fresh = h.clients[id].fresh()
		} else {
			h.declined(id, err)
		}
	}); doErr != nil {
		return reply, doErr
	}
	if err != nil || fresh == nil {
		return reply, err
	}
	if err := s.seats.add(ctx, *fresh); err != nil {
		return wire.Registered{}, err
	}
	return reply, s.do(ctx, func(h *hub) { h.clients[id].kept = roster.Seat{LAN: fresh.LAN, Slot: fresh.Slot} })
}

// fresh returns what is to be written down before the client may hear of its
// slot; nil if that has been.
func (c *machine) fresh() *store.Touch {
	if c.seat == c.kept {
		return nil
	}
	t := c.touch()
	return &t
}

// held are the seats that clients had when the server ended.
func held(enrolled []store.Client) []roster.Held {
	var list []roster.Held
	for _, c := range enrolled {
		if c.LAN.IsValid() {
			list = append(list, roster.Held{ID: c.ID, Seat: roster.Seat{LAN: c.LAN, Slot: c.Slot}, Seen: c.Registered})
		}
	}
	return list
}
