// Command apicheck asks a server everything that its own OpenAPI description says
// it can be asked, rightly and wrongly, and says what is not answered as
// described: failures, statuses that are not described, refusals that are not
// JSON. It makes, changes and deletes what it can: use a server that nobody
// needs.
//
//	catenary demo --clients 2 &
//	go run ./bench/apicheck -url https://localhost:8443 -ca ca.pem -session token-…
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"catenary/internal/server/apicheck"
)

func main() {
	base := flag.String("url", "https://localhost:8443", "the server")
	ca := flag.String("ca", "", "PEM file with who vouches for it")
	session := flag.String("session", os.Getenv("CATENARY_TOKEN"), "a session string or an API token of an administrator")
	rounds := flag.Int("rounds", 50, "requests for each operation")
	seed := flag.Uint64("seed", 1, "the same seed makes the same requests")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *base, *ca, *session, *rounds, *seed)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "apicheck:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, base, ca, session string, rounds int, seed uint64) error {
	conf := &tls.Config{}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return err
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s has no certificate", ca)
		}
	}
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: conf}}
	ask := func(ctx context.Context, r apicheck.Request) (apicheck.Answer, error) {
		return send(ctx, c, base, session, r)
	}
	doc, err := ask(ctx, apicheck.Request{Method: http.MethodGet, Path: "/openapi.json"})
	if err != nil {
		return err
	}
	rep, err := apicheck.Run(ctx, doc.Body, seed, rounds, ask)
	fmt.Printf("%d requests for %d operations; statuses %v\n", rep.Requests, rep.Operations, rep.Statuses)
	for _, f := range rep.Findings {
		fmt.Println(f)
	}
	if err == nil && len(rep.Findings) > 0 {
		err = errors.New("the server does not keep to its description")
	}
	return err
}

func send(ctx context.Context, c *http.Client, base, session string, r apicheck.Request) (apicheck.Answer, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, base+r.Path, strings.NewReader(r.Body))
	if err != nil {
		return apicheck.Answer{}, err
	}
	req.Header.Set("session", session)
	if r.Options != "" {
		req.Header.Set("tanium-options", r.Options)
	}
	resp, err := c.Do(req)
	if err != nil {
		return apicheck.Answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return apicheck.Answer{}, err
	}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		kind = ""
	}
	return apicheck.Answer{Status: resp.StatusCode, Type: kind, Body: body}, nil
}
