package store

import (
	"context"
	"encoding/json"
	"net/netip"
	"time"

	"catenary/internal/endpoint"
)

// An Account says what has become of a question on each machine.
type Account struct {
	Counts
	// Exceptions are machines that are not plainly answered; LeftOut more are
	// not listed.
	Exceptions []Exception `json:"exceptions,omitempty"`
	LeftOut    int         `json:"left_out,omitempty"`

	Rounds   int       `json:"rounds,omitempty"`   // highest number of times that a LAN was asked again
	Repeated int       `json:"repeated,omitempty"` // how often all of it was, after the server had ended
	Since    time.Time `json:"since,omitzero"`     // when it was last repeated
	End      string    `json:"end,omitempty"`      // why it has ended before its time; empty: it has not
}

// Counts are machines, each in one of them.
type Counts struct {
	Answered   int `json:"answered"` // no sensor failed
	Failed     int `json:"failed"`
	Stopped    int `json:"stopped"`     // a sensor took too long
	Running    int `json:"running"`     // have the question and have not answered
	Offline    int `json:"offline"`     // were off, or found dead by their neighbours
	NotReached int `json:"not_reached"` // nothing was heard of them
}

// Machines is how many there are in all.
func (c Counts) Machines() int {
	return c.Answered + c.Failed + c.Stopped + c.Running + c.Offline + c.NotReached
}

// An Outcome is how a machine has fared that has not plainly answered.
type Outcome string

// The outcomes, in the order of an account's exceptions.
const (
	Failed     Outcome = "failed"
	Stopped    Outcome = "stopped"
	Running    Outcome = "running"
	Offline    Outcome = "offline"
	NotReached Outcome = "not_reached"
)

// An Exception is a machine that has not plainly answered.
type Exception struct {
	Client     endpoint.ID  `json:"client"`
	ComputerID uint32       `json:"computer_id"`
	Name       string       `json:"name"` // computer name
	LAN        netip.Prefix `json:"lan"`
	Outcome    Outcome      `json:"outcome"`
}

// An Answer is what is kept of a question: the result in the server's own form,
// and the account.
type Answer struct {
	Result  []byte
	Account Account
}

// keep writes an answer down, in the place of an earlier one.
func (a Answer) keep(ctx context.Context, tx execer, id uint64) error {
	account, err := json.Marshal(a.Account)
	if err != nil {
		return err
	}
	// By the driver's own arguments: the query builder would spell a large
	// result out in hexadecimal.
	if _, err := tx.ExecContext(ctx, `INSERT INTO question_results (question_id, result) VALUES ($1, $2)
		ON CONFLICT (question_id) DO UPDATE SET result = excluded.result`, int64(id), solid(a.Result)); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO question_accounts (question_id, account) VALUES ($1, $2)
		ON CONFLICT (question_id) DO UPDATE SET account = excluded.account`, int64(id), account)
	return err
}

// QuestionAccount returns the account that was kept of a question.
func (s *Store) QuestionAccount(ctx context.Context, id uint64) (Account, error) {
	data, err := single[[]byte](ctx, s.read.DB, "SELECT account FROM question_accounts WHERE question_id = $1", int64(id))
	if err != nil {
		return Account{}, failed(err, "account of question %d", id)
	}
	var a Account
	if err := json.Unmarshal(data, &a); err != nil {
		return Account{}, failed(err, "account of question %d", id)
	}
	return a, nil
}
