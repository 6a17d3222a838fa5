package api

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"catenary/internal/server/store"
)

const (
	// tokensEvery is how often it is written down when tokens were used last, and
	// looked whether others have changed them.
	tokensEvery    = time.Minute
	tokensFarewell = 5 * time.Second // to write it down when the server ends
)

// tokens are all API tokens there are, in memory, so that a request with one asks
// no database; they change here when they have changed there.
type tokens struct {
	gone     func()     // called when a token may be no more
	changing sync.Mutex // held while the database is read or changed, and then this: what is dead there stays dead here

	mu     sync.Mutex // guards the fields below
	read   bool
	byHash map[store.Hash]store.Token
	used   map[int64]time.Time // that have been used since it was written down, by number
}

func newTokens() *tokens {
	return &tokens{gone: func() {}, byHash: map[store.Hash]store.Token{}, used: map[int64]time.Time{}}
}

// load reads all tokens, if that has not been done.
func (t *tokens) load(ctx context.Context, st *store.Store) error {
	if t.isRead() {
		return nil
	}
	return t.renew(ctx, st)
}

// renew reads all tokens again. They may have been changed by somebody else, or
// by a change of which nobody here knows how it ended.
func (t *tokens) renew(ctx context.Context, st *store.Store) error {
	err := t.readAll(ctx, st)
	if err == nil {
		t.gone()
	}
	return err
}

func (t *tokens) readAll(ctx context.Context, st *store.Store) error {
	t.changing.Lock()
	defer t.changing.Unlock()
	list, err := st.Tokens(ctx, 0)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	byHash, used := make(map[store.Hash]store.Token, len(list)), map[int64]time.Time{}
	for _, one := range list {
		if before := t.byHash[one.Hash]; before.LastUsed.After(one.LastUsed) {
			one.LastUsed = before.LastUsed
		}
		byHash[one.Hash] = one
		if at, ok := t.used[one.ID]; ok {
			used[one.ID] = at
		}
	}
	t.read, t.byHash, t.used = true, byHash, used
	return nil
}

func (t *tokens) isRead() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.read
}

// change changes the database, and then what is here: gone is a token that is no
// more, made one that is new; the zero Token is none.
func (t *tokens) change(ctx context.Context, st *store.Store, f func() (gone, made store.Token, err error)) error {
	if err := t.load(ctx, st); err != nil {
		return err
	}
	defer t.gone()
	t.changing.Lock()
	defer t.changing.Unlock()
	gone, made, err := f()
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byHash, gone.Hash)
	delete(t.used, gone.ID)
	if made.ID != 0 {
		t.byHash[made.Hash] = made
	}
	return err
}

// find returns the token whose string has a hash, expired or not.
func (t *tokens) find(h store.Hash) (store.Token, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	one, ok := t.byHash[h]
	return one, ok
}

// use notes that a token is used.
func (t *tokens) use(now time.Time, h store.Hash) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one, ok := t.byHash[h]; ok && now.After(one.LastUsed) {
		one.LastUsed = now
		t.byHash[h] = one
		t.used[one.ID] = now
	}
}

// of are a user's tokens, oldest first; user 0: everybody's.
func (t *tokens) of(user int64) (out []store.Token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, one := range t.byHash {
		if user == 0 || one.UserID == user {
			out = append(out, one)
		}
	}
	slices.SortFunc(out, func(a, b store.Token) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// write writes down which tokens have been used. What could not be written is
// written the next time.
func (t *tokens) write(ctx context.Context, st *store.Store) error {
	t.mu.Lock()
	used := t.used
	t.used = map[int64]time.Time{}
	t.mu.Unlock()
	if len(used) == 0 {
		return nil
	}
	err := st.TouchTokens(ctx, used)
	if err == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, at := range used {
		if at.After(t.used[id]) {
			t.used[id] = at
		}
	}
	return err
}

// runTokens writes down which tokens are used, and looks for those that others
// have changed, until ctx ends.
func (s *server) runTokens(ctx context.Context) error {
	if err := s.tokens.load(ctx, s.store); err != nil {
		return err
	}
	tick := time.NewTicker(tokensEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), tokensFarewell)
			defer cancel()
			if err := s.tokens.write(last, s.store); err != nil {
				s.log.WarnContext(ctx, "it is lost when API tokens were used last", "reason", err)
			}
			return nil
		case <-tick.C:
		}
		err := s.tokens.write(ctx, s.store)
		if err == nil {
			err = s.tokens.renew(ctx, s.store)
		}
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "API tokens are as they were: the database does not answer", "reason", err)
		}
	}
}
