package server

import (
	"testing"
	"time"

	"catenary/internal/seal"
)

// TestContentKey: only what this installation has signed as content is taken
// for it.
func TestContentKey(t *testing.T) {
	open := func() *Server {
		keys, err := OpenKeys(t.TempDir(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return &Server{keys: keys}
	}
	s, other := open(), open()
	content := []byte(`{"packages":[]}`)
	signature := s.SignContent(content)
	if err := s.VerifyContent(content, signature); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"changed":           s.VerifyContent([]byte(`{"packages": []}`), signature),
		"of another":        s.VerifyContent(content, other.SignContent(content)),
		"of something else": s.VerifyContent(content, s.keys.Sign(seal.Sensor, content)),
		"none":              s.VerifyContent(content, nil),
	} {
		if err == nil {
			t.Errorf("a signature %s is good", name)
		}
	}
}
