package server

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"time"
)

// Disk is how large the disk of the server's data is, and how much of it is
// free, in bytes.
func (s *Server) Disk() (capacity, free uint64, err error) { return diskOf(s.cfg.DataDir) }

// Queues are what waits for parts of the server, by their names: how much, and how
// much at most.
func (s *Server) Queues() map[string][2]int {
	return map[string][2]int{
		"calls_of_the_hub": {len(s.calls), cap(s.calls)},
		"database_writes":  {len(s.written), cap(s.written)},
		"enrolments":       {len(s.enrolments.queue), cap(s.enrolments.queue)},
		"seats":            {len(s.seats.queue), cap(s.seats.queue)},
	}
}

// PublicKey is what vouches for all that the installation signs, in PEM.
func (s *Server) PublicKey() []byte {
	der, err := x509.MarshalPKIXPublicKey(s.keys.Root)
	if err != nil {
		panic("server: " + err.Error()) // a key of ours can be written
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// InitBundle makes a file that lets machines in. They are told to dial these
// servers, or the usual ones if there are none.
func (s *Server) InitBundle(ctx context.Context, name string, servers []string, uses int, life time.Duration) ([]byte, error) {
	if len(servers) == 0 {
		servers = s.cfg.Servers
	}
	b, err := MakeBundle(ctx, s.keys, s.store, servers, name, uses, time.Now().Add(life))
	if err != nil {
		return nil, err
	}
	return b.Marshal()
}
