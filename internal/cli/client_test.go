package cli

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catenary/internal/fault"
)

// clientOf returns a client of a server that answers every request alike.
func clientOf(t *testing.T, h http.HandlerFunc) *client {
	server := httptest.NewTLSServer(h)
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := newClient(Config{URL: server.URL, Token: "token-00ff", CA: ca})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		status int
		body   string
		kind   fault.Kind
		says   string
	}{
		{400, `{"text":"bad \u001b[2J"}`, fault.Invalid, `bad \x1b[2J`},
		{401, `{"text":"unknown API token"}`, fault.Stranger, "unknown API token; `catenary login` makes a new token"},
		{403, `{"text":"not yours"}`, fault.Denied, "not yours"},
		{404, `{"text":"gone"}`, fault.NotFound, "gone"},
		{409, `{"text":"exists"}`, fault.Conflict, "exists"},
		{429, `{"text":"slowly"}`, fault.Unavailable, "slowly"},
		{500, `{"text":"broken"}`, fault.Internal, "broken"},
		{502, "<html>proxy</html>", fault.Unavailable, "502 Bad Gateway"},
		{503, "", fault.Unavailable, "503 Service Unavailable"},
		{404, `{"error":"?"}`, fault.NotFound, "404 Not Found"},
		{200, "<html>hello</html>", fault.Internal, "is not what a server of this kind says"},
		{200, `{"data":[{"name":7}]}`, fault.Internal, "is not what a server of this kind says"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.status), func(t *testing.T) {
			c := clientOf(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			})
			_, err := c.sensors(t.Context())
			if err == nil || fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v of kind %d, want %q of kind %d", err, fault.KindOf(err), tt.says, tt.kind)
			}
		})
	}
}

// A redirect would take the token along.
func TestRedirectIsNotFollowed(t *testing.T) {
	followed := false
	thief := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
	defer thief.Close()
	c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, thief.URL+"/x", http.StatusTemporaryRedirect)
	})
	_, err := c.sensors(t.Context())
	if err == nil || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "points to") || followed {
		t.Errorf("got %v, followed: %v", err, followed)
	}
}

func TestEveryRequestBearsTheToken(t *testing.T) {
	var got http.Header
	c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		fmt.Fprint(w, `{"data":{"id":7}}`)
	})
	if id, err := c.ask(t.Context(), newQuestion{Text: "Get X"}); id != 7 || err != nil {
		t.Errorf("got %d, %v", id, err)
	}
	if got.Get("session") != "token-00ff" || got.Get("Content-Type") != "application/json" || got.Get("User-Agent") != "catenary" {
		t.Errorf("sent %v", got)
	}
}

// TestStreamThatIsRefused: who may hear no more is told why, and does not try
// again.
func TestStreamThatIsRefused(t *testing.T) {
	for status, kind := range map[int]fault.Kind{http.StatusUnauthorized: fault.Stranger, http.StatusForbidden: fault.Denied} {
		asked := 0
		c := clientOf(t, func(w http.ResponseWriter, _ *http.Request) {
			asked++
			fmt.Fprintf(w, "event: progress\ndata: {}\n\nevent: end\ndata: {\"reason\":\"refused\",\"status\":%d,\"text\":\"the rights are gone\"}\n\n", status)
		})
		_, err := newPlace(t).desk.await(t.Context(), c, 1, patience{percent: 99, quiet: defaultTimeout, timeout: defaultTimeout}, func(progress) {})
		if err == nil || !strings.Contains(err.Error(), "the rights are gone") || fault.KindOf(err) != kind || asked != 1 {
			t.Errorf("%d: %v, asked %d times", status, err, asked)
		}
	}
}

func TestStreamThatCannotBeRead(t *testing.T) {
	tests := map[string]string{
		"event: progress\ndata: nonsense\n\n": `an event "progress" that cannot be read`,
		"event: end\ndata: []\n\n":            `an event "end" that cannot be read`,
		"event: progress\ndata: {\"x\":\"" + strings.Repeat("x", eventMax) + "\"}\n\n":            `an event "progress" of more than 64 KiB`,
		"event: progress\ndata: {\"estimated_total\":\"\\u001b[2J\"}\n\nevent: end\ndata: {}\n\n": `an event "progress" that cannot be read`,
	}
	for stream, says := range tests {
		c := clientOf(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, stream) })
		d := newPlace(t).desk
		_, err := d.await(t.Context(), c, 1, patience{percent: 99, quiet: defaultTimeout, timeout: defaultTimeout}, func(progress) {})
		if err == nil || !strings.Contains(err.Error(), says) || fault.KindOf(err) != fault.Internal {
			t.Errorf("%.80q: got %v, want %q", stream, err, says)
		}
	}
}

func TestResultWithoutASet(t *testing.T) {
	c := clientOf(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"data":{"result_sets":[]}}`) })
	if _, err := c.result(t.Context(), 7); err == nil || err.Error() != "answer of question 7: 0 result sets, not one" {
		t.Errorf("got %v", err)
	}
}

func TestParseFingerprint(t *testing.T) {
	digits := strings.Repeat("0a", 31) + "ff"
	want, err := parseFingerprint(digits)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := parseFingerprint(want.String()); got != want || err != nil || len(want.String()) != 95 {
		t.Errorf("%v is read as %v, %v", want, got, err)
	}
	for _, bad := range []string{"", digits[2:], digits + "00", strings.Repeat("zz", 32), "SHA1:" + digits} {
		if got, err := parseFingerprint(bad); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q is read as %v, %v", bad, got, err)
		}
	}
}

func TestTerminal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for _, stream := range []any{r, w, strings.NewReader("")} {
		if width, ok := terminal(stream); ok {
			t.Errorf("%T is a terminal of %d cells", stream, width)
		}
		if _, err := secret(t.Context(), stream); err == nil {
			t.Errorf("read a password from %T", stream)
		}
	}
}

func FuzzFingerprint(f *testing.F) {
	f.Add(strings.Repeat("0a", 32))
	f.Add("sha256:" + strings.Repeat("FF:", 31) + "00")
	f.Add(":::")
	f.Fuzz(func(t *testing.T, text string) {
		once, err := parseFingerprint(text)
		if err != nil {
			return
		}
		if twice, err := parseFingerprint(once.String()); twice != once || err != nil {
			t.Fatalf("%q is %v, and then %v, %v", text, once, twice, err)
		}
	})
}
