package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"catenary/internal/endpoint"
)

// A Tracking is a computer group whose machines the server asks for now and
// again, and how far it has come with that.
type Tracking struct {
	Group int64
	// Meaning stands for the group's condition. What is kept of a group whose
	// condition is another one by now is of no use.
	Meaning  string
	Question uint64    // that was asked last
	Asked    time.Time // when
	Heard    time.Time // when the last was asked that has been answered; zero: none has
}

// A Member is a machine that has said that it is in a group.
type Member struct {
	ComputerID uint32
	Client     endpoint.ID
	Name       string    // computer name at its last registration
	Answered   time.Time // when it was asked
}

// Heard is what machines have said when they were asked for the members of a
// group.
type Heard struct {
	Group    int64
	Question uint64
	Asked    time.Time
	In       []uint32  // computer IDs of those that are in it
	Out      []uint32  // of those that are not
	Since    time.Time // who has not said so since then is a member no more
}

const trackingColumns = "SELECT group_id, meaning, question_id, asked, heard FROM group_trackings "

func scanTracking(rows *sql.Rows) (t Tracking, err error) {
	var question, asked, heard int64
	err = rows.Scan(&t.Group, &t.Meaning, &question, &asked, &heard)
	t.Question, t.Asked, t.Heard = uint64(question), when(asked), when(heard)
	return t, err
}

// Trackings returns what is kept of every group that is tracked.
func (s *Store) Trackings(ctx context.Context) ([]Tracking, error) {
	list, err := collect(ctx, s.read.DB, scanTracking, trackingColumns+"ORDER BY group_id")
	if err != nil {
		return nil, failed(err, "tracked groups")
	}
	return list, nil
}

// Tracking returns what is kept of a group; of one that is not tracked, NotFound.
func (s *Store) Tracking(ctx context.Context, group int64) (Tracking, error) {
	list, err := collect(ctx, s.read.DB, scanTracking, trackingColumns+"WHERE group_id = $1", group)
	if err == nil && len(list) == 0 {
		err = sql.ErrNoRows
	}
	if err != nil {
		return Tracking{}, failed(err, "tracking of group %d", group)
	}
	return list[0], nil
}

// TrackGroup notes that the machines of a group are asked for. What was known of
// them stays, if the group means what it did, until they have answered.
func (s *Store) TrackGroup(ctx context.Context, t Tracking) error {
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.Tx.ExecContext(ctx, "DELETE FROM group_trackings WHERE group_id = $1 AND meaning <> $2", t.Group, t.Meaning); err != nil {
			return err
		}
		_, err := tx.Tx.ExecContext(ctx, `INSERT INTO group_trackings (group_id, meaning, question_id, asked, heard) VALUES ($1, $2, $3, $4, 0)
			ON CONFLICT (group_id) DO UPDATE SET question_id = excluded.question_id, asked = excluded.asked`,
			t.Group, t.Meaning, int64(t.Question), micros(t.Asked))
		return err
	})
	if err != nil {
		return failed(err, "tracking of group %d", t.Group)
	}
	return nil
}

// ForgetTracking drops what is known of the machines of a group.
func (s *Store) ForgetTracking(ctx context.Context, group int64) error {
	if _, err := s.exec(ctx, "DELETE FROM group_trackings WHERE group_id = $1", group); err != nil {
		return failed(err, "tracking of group %d", group)
	}
	return nil
}

// KeepMembers notes what came of asking for the members of a group. Who has said
// nothing stays what he was. An answer to another question than the last one
// changes nothing: the group may have meant something else then.
func (s *Store) KeepMembers(ctx context.Context, h Heard) error {
	keep := keepMembersEach
	if s.engine == postgres {
		keep = keepMembersTogether
	}
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		done, err := tx.Tx.ExecContext(ctx, "UPDATE group_trackings SET heard = $1 WHERE group_id = $2 AND question_id = $3", micros(h.Asked), h.Group, int64(h.Question))
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return err
		}
		if _, err := tx.Tx.ExecContext(ctx, "DELETE FROM group_members WHERE group_id = $1 AND answered < $2", h.Group, micros(h.Since)); err != nil {
			return err
		}
		if h.Out, err = membersAmong(ctx, tx.Tx, h.Group, h.Out); err != nil {
			return err
		}
		return keep(ctx, tx.Tx, h)
	})
	if err != nil {
		return failed(err, "members of group %d", h.Group)
	}
	return nil
}

// membersAmong are those of some machines that are members: of a group of few,
// most machines say that they are not in it, and never were.
func membersAmong(ctx context.Context, tx *sql.Tx, group int64, ids []uint32) ([]uint32, error) {
	list, err := collect(ctx, tx, func(rows *sql.Rows) (id uint32, err error) { return id, rows.Scan(&id) },
		"SELECT computer_id FROM group_members WHERE group_id = $1", group)
	if err != nil {
		return nil, err
	}
	members := make(map[uint32]bool, len(list))
	for _, id := range list {
		members[id] = true
	}
	var out []uint32
	for _, id := range ids {
		if members[id] {
			out = append(out, id)
		}
	}
	return out, nil
}

// keptMember ends what makes members of machines that are enrolled: what others
// may be called that a row names nobody knows.
const keptMember = " ON CONFLICT (group_id, computer_id) DO UPDATE SET answered = excluded.answered"

// keepMembersEach suits SQLite, where a statement costs nobody a way.
func keepMembersEach(ctx context.Context, tx *sql.Tx, h Heard) error {
	run := func(query string, ids []uint32, more ...any) error {
		st, err := tx.PrepareContext(ctx, query)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if _, err := st.ExecContext(ctx, append([]any{h.Group, int64(id)}, more...)...); err != nil {
				return errors.Join(err, st.Close())
			}
		}
		return st.Close()
	}
	if err := run("DELETE FROM group_members WHERE group_id = $1 AND computer_id = $2", h.Out); err != nil {
		return err
	}
	return run(`INSERT INTO group_members (group_id, computer_id, answered)
		SELECT $1, computer_id, $3 FROM clients WHERE computer_id = $2`+keptMember, h.In, micros(h.Asked))
}

// keepMembersTogether gives PostgreSQL everything in two statements.
func keepMembersTogether(ctx context.Context, tx *sql.Tx, h Heard) error {
	numbers := func(ids []uint32) []int64 { return each(ids, func(id uint32) int64 { return int64(id) }) }
	if _, err := tx.ExecContext(ctx, "DELETE FROM group_members WHERE group_id = $1 AND computer_id = ANY ($2::bigint[])", h.Group, numbers(h.Out)); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO group_members (group_id, computer_id, answered)
		SELECT $1::bigint, computer_id, $2::bigint FROM clients WHERE computer_id = ANY ($3::bigint[])`+keptMember, h.Group, micros(h.Asked), numbers(h.In))
	return err
}

// Members returns the machines of a group, in the order of their names.
func (s *Store) Members(ctx context.Context, group int64) ([]Member, error) {
	list, err := collect(ctx, s.read.DB, func(rows *sql.Rows) (m Member, err error) {
		var computer, answered int64
		var id []byte
		err = rows.Scan(&computer, &id, &m.Name, &answered)
		m.ComputerID, m.Answered = uint32(computer), when(answered)
		copy(m.Client[:], id)
		return m, err
	}, `SELECT m.computer_id, c.id, c.name, m.answered FROM group_members m JOIN clients c ON c.computer_id = m.computer_id
		WHERE m.group_id = $1 ORDER BY c.name, m.computer_id`, group)
	if err != nil {
		return nil, failed(err, "members of group %d", group)
	}
	return list, nil
}
