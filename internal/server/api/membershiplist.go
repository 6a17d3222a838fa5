package api

import (
	"context"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/rights"
	"catenary/internal/server/store"
)

func (s *server) memberRoutes() []route {
	return []route{
		{"GET", "/api/v2/groups/{id}/members", withSession, rights.ReadComputerGroup, get(s.showMembers)},
	}
}

// A memberList is what is known of the machines of a group, as far as the caller
// sees them.
type memberList struct {
	Group    nameRef        `json:"group"`
	Tracked  bool           `json:"tracked_flag"`
	Interval int64          `json:"track_computer_id_interval"` // in seconds, as it is kept to; 0: the group is not tracked
	Asked    isoTime        `json:"asked_time"`                 // when it was last asked for
	Answered isoTime        `json:"answered_time"`              // when the last question was asked that has been answered
	Count    int            `json:"member_count"`
	Members  []memberObject `json:"members"` // a page of them, by name
}

type memberObject struct {
	ComputerID uint32  `json:"computer_id"`
	ClientID   string  `json:"client_id"`
	HostName   string  `json:"host_name"`
	Answered   isoTime `json:"answered_time"` // when it was asked and said that it is in the group
}

// showMembers says which machines have said last that they are in a group, to who
// may see groups and which machines there are.
func (s *server) showMembers(ctx context.Context, c call) (memberList, error) {
	r, err := s.find(s.faceOf("groups"), c)
	if err != nil {
		return memberList{}, err
	}
	if p := rights.ReadSystemStatus; !c.rights.May(p, rights.Everywhere) {
		return memberList{}, insufficient(p) // it names machines
	}
	p, err := c.page()
	if err == nil {
		p, err = p.limited()
	}
	if err != nil {
		return memberList{}, err
	}
	out := memberList{Group: nameRef{r.ID, r.Name}, Members: []memberObject{}}
	how, tracked := s.tracks(s.engine.Catalogue(), r)
	if !tracked {
		return out, nil
	}
	out.Tracked, out.Interval = true, int64(how.every/time.Second)
	tracking, err := s.store.Tracking(ctx, r.ID)
	if fault.KindOf(err) == fault.NotFound || err == nil && tracking.Meaning != how.meaning {
		return out, nil // it will be asked for
	}
	if err != nil {
		return memberList{}, err
	}
	out.Asked, out.Answered = isoTime(tracking.Asked), isoTime(tracking.Heard)
	list, err := s.membersSeen(ctx, c, r.ID)
	if err != nil {
		return memberList{}, err
	}
	out.Count = len(list)
	from, to := p.bounds(len(list))
	for _, m := range list[from:to] {
		out.Members = append(out.Members, memberObject{m.ComputerID, m.Client.String(), m.Name, isoTime(m.Answered)})
	}
	return out, nil
}

// membersSeen are the machines of a group that the caller sees.
func (s *server) membersSeen(ctx context.Context, c call, group int64) (out []store.Member, err error) {
	seen, err := s.sight(ctx, c.rights)
	if err != nil {
		return nil, err
	}
	list, err := s.store.Members(ctx, group)
	for _, m := range list {
		if seen.sees(m.Client) {
			out = append(out, m)
		}
	}
	return out, err
}
