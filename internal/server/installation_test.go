package server

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"runtime"
	"slices"
	"testing"
	"time"

	"catenary/internal/trust"
)

func TestInstallation(t *testing.T) {
	r := startSite(t, t.TempDir())
	block, _ := pem.Decode(r.PublicKey())
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil || !bytes.Equal(key.(ed25519.PublicKey), r.Keys().Root) {
		t.Errorf("the public key is %v: %v", key, err)
	}
	for _, servers := range [][]string{nil, {"a.example.org:1"}} {
		data, err := r.InitBundle(t.Context(), "floor 3", servers, 5, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		b, err := trust.Parse(data)
		want := servers
		if want == nil {
			want = r.cfg.Servers
		}
		if left := time.Until(b.Expires); err != nil || !slices.Equal(b.Servers, want) || left < 59*time.Minute || left > time.Hour {
			t.Errorf("the bundle is %+v: %v", b, err)
		}
	}
	capacity, free, err := r.Disk()
	if runtime.GOOS == "linux" && (err != nil || capacity == 0 || free > capacity) {
		t.Errorf("the disk has %d bytes, %d of them free: %v", capacity, free, err)
	}
}
